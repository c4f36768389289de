"""Dovecot's Pigeonhole, asked about the same scripts and messages: a second opinion."""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["Opinion", "Pigeonhole", "available"]

CONFIGURATION = """\
base_dir = {folder}/run
ssl = no
mail_home = {folder}/home
mail_location = maildir:{folder}/home/Maildir
mail_uid = {owner}
mail_gid = {group}
first_valid_uid = 1
protocols =
plugin {{
  sieve_extensions = +imap4flags +relational +date +mailbox +enotify +subaddress
  sieve_max_actions = 0
  sieve_max_redirects = 10
}}
"""
_ACTION = re.compile(r"^ \* (store message in folder|redirect message to|send notification|discard)[^:\n]*:? ?(.*)$")
_FLAGS = re.compile(r"^\s+\+ add IMAP flags: (.*)$")
_TO = re.compile(r"^\s+\+ To: (.*)$")


@dataclass(frozen=True)
class Opinion:
    """What it would do with a message."""

    folders: dict[str, frozenset[str]]  # with the flags in each, in lower case
    redirects: tuple[str, ...]
    notices: tuple[str, ...]


class Pigeonhole:
    """``sieve-test`` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = available()

    def ask(self, script: str, message: bytes, *, sender: str, recipient: str) -> Opinion | None:
        """Its opinion; None if the script is none to it, or more than it can stand."""
        folder = self._folder
        (folder / "script.sieve").write_text(script)
        (folder / "message.eml").write_bytes(message)
        command = [self._program, "-c", str(folder / "dovecot.conf"), "-f", sender, "-a", recipient, "-r", recipient]
        done = subprocess.run(
            [*command, str(folder / "script.sieve"), str(folder / "message.eml")],
            capture_output=True,
            timeout=120,
            check=False,
            env={**os.environ, "HOME": str(folder / "home")},
        )
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        if done.returncode != 0 or "Implicit keep" not in said:
            return None
        return _read(done.stdout.decode("utf-8", "replace"))


def available() -> str:
    """Where the program is. Without it the test is left out, but never in CI."""
    found = shutil.which("sieve-test")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("sieve-test is not installed")
        pytest.skip("sieve-test is not installed")
    return found


@contextmanager
def running() -> Iterator[Pigeonhole]:
    available()
    # Outside the folders of pytest, which are for their owner alone: the program becomes somebody else.
    with tempfile.TemporaryDirectory(prefix="ceralacca-sieve-") as name:
        folder = Path(name)
        owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        (folder / "home").mkdir()
        for each in (folder, folder / "home"):
            each.chmod(0o755)
            os.chown(each, owner.pw_uid, owner.pw_gid)
        words = {"folder": folder, "owner": owner.pw_name, "group": owner.pw_gid}
        (folder / "dovecot.conf").write_text(CONFIGURATION.format(**words))
        yield Pigeonhole(folder)


def _read(text: str) -> Opinion:
    folders: dict[str, frozenset[str]] = {}
    redirects: list[str] = []
    notices: list[str] = []
    last = ""
    for line in text.splitlines():
        action, flags, to = _ACTION.match(line), _FLAGS.match(line), _TO.match(line)
        if action and action[1].startswith("store"):
            last = "INBOX" if action[2].strip().upper() == "INBOX" else action[2].strip()
            folders.setdefault(last, frozenset())
        elif action and action[1].startswith("redirect"):
            redirects.append(action[2].strip().strip("<>"))
        elif flags:
            folders[last] = folders[last] | frozenset(flags[1].lower().split())
        elif to:
            notices.append(to[1].strip())
    return Opinion(folders, tuple(redirects), tuple(notices))
