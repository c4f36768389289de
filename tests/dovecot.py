"""A Dovecot of the tests' own: the IMAP server that others are measured by."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.lab.ports import FreePorts
from tests import throwaway

__all__ = ["MASTER", "PASSWORD", "Dovecot", "available", "require", "running"]

PASSWORD = "corretto cavallo batteria"
USERS = ("anna", "bruno")
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
mail_location = sdbox:~/sdbox
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
  mailbox Drafts {{
    special_use = \\Drafts
    auto = subscribe
  }}
  mailbox Sent {{
    special_use = \\Sent
    auto = subscribe
  }}
  mailbox Trash {{
    special_use = \\Trash
    auto = subscribe
  }}
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
    """A running one. Its users are ``anna`` and ``bruno``."""

    host: str
    imaps: int
    pop3s: int
    tls: throwaway.Throwaway


@contextmanager
def running(extra: str = "") -> Iterator[Dovecot]:
    """A Dovecot until the end of the block; ``extra`` are further lines of its configuration, with {folder} in them."""
    folder = Path(tempfile.mkdtemp(prefix="dovecot-", dir="/tmp"))  # its users must be able to enter
    folder.chmod(0o755)
    for name in ("run", "state", "mail"):
        (folder / name).mkdir()
    tls = throwaway.make(folder)
    (folder / "users").write_text("".join(f"{user}:{{PLAIN}}{PASSWORD}\n" for user in USERS))
    (folder / "users").chmod(0o644)
    imaps, pop3s = _free_ports(2)
    configuration = folder / "dovecot.conf"
    configuration.write_text(
        CONFIGURATION.format(
            folder=folder,
            name=folder.name,
            certificate=tls.certificate,
            key=tls.key,
            imaps=imaps,
            pop3s=pop3s,
            **_users(),
        )
        + extra.replace("{folder}", str(folder))
    )
    if os.geteuid() == 0:
        shutil.chown(folder / "mail", _users()["mail"])
    process = subprocess.Popen([BINARY, "-F", "-c", configuration])
    try:
        _await_port(process, imaps)
        yield Dovecot("localhost", imaps, pop3s, tls)
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _users() -> dict[str, str]:
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


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    while process.poll() is None:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise RuntimeError(f"dovecot ended with {process.returncode}")
