"""A Dovecot of the tests' own: the IMAP server that others are measured by."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gateway.lab.ports import FreePorts
from tests import throwaway
from tests.lab.waiting import until

__all__ = ["MASTER", "PASSWORD", "Dovecot", "available", "require", "running"]

PASSWORD = "corretto cavallo batteria"
USERS = ("anna", "bruno")
FOLDERS = ("Drafts", "Sent", "Trash")
BINARY = shutil.which("dovecot") or "/usr/sbin/dovecot"

MASTER = """\
auth_master_user_separator = *
passdb {
  driver = static
  args = user=ceralacca password=sigillo
  master = yes
}
"""
"""A master user, and its password."""

CONFIGURATION = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
instance_name = {name}
protocols = imap pop3
listen = 127.0.0.1
default_internal_user = {internal}
default_internal_group = {internal_group}
default_login_user = {login}
first_valid_uid = 1
mail_location = {location}
ssl = required
ssl_cert = <{certificate}
ssl_key = <{key}
auth_mechanisms = plain login
mail_max_userip_connections = 1000
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid={mail} gid={mail_group} home={folder}/mail/%n
}}
namespace inbox {{
  inbox = yes
  separator = /
{folders}
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
    port = {imaps}
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
protocol imap {{
  mail_max_userip_connections = 1000
}}
"""


def available() -> bool:
    """Whether there is a Dovecot here, of the 2.3 whose configuration this is."""
    if not Path(BINARY).exists():
        return False
    version = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=True).stdout
    return version.startswith("2.3")


def require() -> None:
    """Leave the test out where there is none; with CI=true that is an error."""
    if not available():
        if os.environ.get("CI") == "true":
            pytest.fail("dovecot 2.3 is not installed (dovecot-imapd, dovecot-pop3d)")
        pytest.skip("dovecot 2.3 is not installed")


@dataclass(frozen=True)
class Dovecot:
    """A running one."""

    host: str
    imaps: int
    pop3s: int
    tls: throwaway.Throwaway
    mail: Path  # the folder with a home for each user; ``owner`` reads and writes there
    owner: str


@contextmanager
def running(
    extra: str = "",
    *,
    users: Sequence[str] = USERS,
    folders: Sequence[str] = FOLDERS,
    location: str = "sdbox:~/sdbox",
    tls: throwaway.Throwaway | None = None,
) -> Iterator[Dovecot]:
    """A Dovecot until the end of the block.

    Args:
        extra: further lines of its configuration, with {folder} in them.
        folders: those with a special use of that name, which every user has from the start.
        location: form and place of the mail of a user, whose home is named before the "@".
        tls: its certificate; without it, one that is its own authority.
    """
    with TemporaryDirectory(prefix="dovecot-", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder, owners = Path(name), _owners()
        folder.chmod(0o755)  # its users must be able to enter
        for part in ("run", "state", "mail"):
            (folder / part).mkdir()
        if os.geteuid() == 0:
            shutil.chown(folder / "mail", owners["mail"])
        tls = tls or throwaway.make(folder)
        (folder / "users").write_text("".join(f"{user}:{{PLAIN}}{PASSWORD}\n" for user in users))
        (folder / "users").chmod(0o644)
        imaps, pop3s = _free_ports(2)
        configuration = folder / "dovecot.conf"
        configuration.write_text(
            CONFIGURATION.format(
                folder=folder,
                name=folder.name,
                location=location,
                folders="\n".join(map(_special, folders)),
                certificate=tls.certificate,
                key=tls.key,
                imaps=imaps,
                pop3s=pop3s,
                **owners,
            )
            + extra.replace("{folder}", str(folder))
        )
        process = subprocess.Popen([BINARY, "-F", "-c", configuration])
        try:
            until(lambda: all(_answers(port, process) for port in (imaps, pop3s)), "answer of Dovecot")
            yield Dovecot("localhost", imaps, pop3s, tls, folder / "mail", owners["mail"])
        finally:
            process.terminate()
            process.wait(60)


def _special(folder: str) -> str:
    return f"  mailbox {folder} {{\n    special_use = \\{folder}\n    auto = subscribe\n  }}"


def _owners() -> dict[str, str]:
    if os.geteuid() == 0:
        return {
            "internal": "dovecot",
            "internal_group": "dovecot",
            "login": "dovenull",
            "mail": "mail",
            "mail_group": "mail",
        }
    me = pwd.getpwuid(os.geteuid()).pw_name
    return {"internal": me, "internal_group": me, "login": me, "mail": me, "mail_group": me}


def _free_ports(count: int) -> list[int]:
    """Below those that the system gives to outgoing connections."""
    free = FreePorts(set())
    ports = [free.take() for _ in range(count)]
    free.release()
    return ports


def _answers(port: int, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None, f"dovecot ended with {process.returncode}"
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
