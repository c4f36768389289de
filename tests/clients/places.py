"""Mailbox servers that programs are pointed at: ours in a lab, and Dovecot, which everybody knows."""

import imaplib
import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.lab.ports import FreePorts
from tests import throwaway
from tests.lab.labs import running
from tests.lab.waiting import until

__all__ = ["Box", "Place", "ceralacca", "dovecot", "program", "told"]

BOXES = 40
PASSWORD = "una parola lunga"


@dataclass(frozen=True)
class Box:
    """An empty mailbox, and where it is."""

    user: str
    password: str
    imaps: int
    ca_file: Path
    pop3s: int = 0  # of servers that tests here ask by POP3

    def imap(self) -> imaplib.IMAP4_SSL:
        """A session that is signed in; its answers may be long."""
        context = throwaway.Throwaway(self.ca_file, self.ca_file).client()
        session = imaplib.IMAP4_SSL("localhost", self.imaps, ssl_context=context, timeout=60)
        session.login(self.user, self.password)
        return session


@dataclass
class Place:
    """A server with boxes that nobody has used yet."""

    name: str
    imaps: int
    ca_file: Path
    accounts: list[tuple[str, str]] = field(default_factory=list)
    pid: int = 0  # of our server
    pop3s: int = 0

    def box(self) -> Box:
        user, password = self.accounts.pop()
        return Box(user, password, self.imaps, self.ca_file, self.pop3s)


@contextmanager
def ceralacca(folder: Path) -> Iterator[Place]:
    """The first provider of a lab."""
    with running(folder / "lab", "--providers", "1", "--accounts", str(BOXES)) as lab:
        accounts = [(account["address"], account["password"]) for account in lab.description["accounts"]]
        provider = lab.description["providers"][0]
        try:
            ca_file = Path(lab.description["ca_file"])
            ports = provider["ports"]
            yield Place("ceralacca", ports["imaps"], ca_file, accounts, provider["pid"], ports["pop3s"])
        finally:
            lab.stop()  # before anybody looks into the boxes: what tests put there is nothing to certify


@contextmanager
def dovecot(folder: Path, tls: throwaway.Throwaway | None = None, *, mail: str = "sdbox:~/sdbox") -> Iterator[Place]:
    """A Dovecot of its own, with plain files for users and mail, and a certificate if none is given.

    Args:
        mail: form and place of the mail of a user, whose home is ``folder``/mail/USER.
    """
    server = program("dovecot")
    if " 2.4" in told([server, "--version"], prefix=" "):
        pytest.skip("Dovecot 2.4 wants another configuration")  # of Debian 13
    folder.chmod(0o755)
    owner = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    tls = tls or throwaway.make(folder)
    (homes := folder / "mail").mkdir()
    shutil.chown(homes, owner)
    users = [f"box{number}@dovecot.example" for number in range(BOXES)]
    (folder / "users").write_text("".join(f"{user}:{{PLAIN}}{PASSWORD}\n" for user in users))
    ports = FreePorts(set(), None)
    try:
        port, pop3s = ports.take(), ports.take()
    finally:
        ports.release()
    config = folder / "dovecot.conf"
    config.write_text(_configuration(folder, owner, tls, port, pop3s, mail))
    process = subprocess.Popen([server, "-F", "-c", str(config)], stderr=(folder / "errors").open("wb"))
    try:
        until(lambda: _answers(port, process, folder) and _answers(pop3s, process, folder), "Dovecot")
        yield Place("dovecot", port, tls.certificate, [(user, PASSWORD) for user in users], pop3s=pop3s)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def program(name: str) -> str:
    """Where a program is. Without it the test is left out, but never in CI."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return found


def told(command: list[str | Path], *, prefix: str = "", seconds: float = 120, home: Path | None = None) -> str:
    """What a program writes; it must end well."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **({"HOME": str(home)} if home else {})}
    done = subprocess.run(command, capture_output=True, env=environment, timeout=seconds, check=False)
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0, text
    return prefix + text


def _answers(port: int, process: "subprocess.Popen[bytes]", folder: Path) -> bool:
    assert process.poll() is None, (folder / "errors").read_text() + (folder / "log").read_text()
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _configuration(folder: Path, owner: str, tls: throwaway.Throwaway, port: int, pop3s: int, mail: str) -> str:
    as_owner = (
        ""
        if os.geteuid() == 0
        else "\n".join(f"default_{which} = {owner}" for which in ("internal_user", "internal_group", "login_user"))
    )
    uses = "\n".join(
        f"  mailbox {name} {{\n    special_use = \\{name}\n    auto = subscribe\n  }}"
        for name in ("Sent", "Drafts", "Trash", "Junk", "Archive")
    )
    return f"""
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
instance_name = ceralacca-tests
protocols = imap pop3
listen = 127.0.0.1
{as_owner}
first_valid_uid = 1
mail_location = {mail}
mail_max_userip_connections = 100
ssl = yes
ssl_cert = <{tls.certificate}
ssl_key = <{tls.key}
auth_mechanisms = plain login
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid={owner} gid={pwd.getpwnam(owner).pw_gid} home={folder}/mail/%n
}}
namespace inbox {{
  inbox = yes
  separator = /
{uses}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = 0
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
"""
