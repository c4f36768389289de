"""Mail in files that other programs read: Maildir folders and mbox files, byte for byte.

Maildir as Dovecot and Courier lay it out (Maildir++: ``.Sent`` beside ``cur``, names in modified UTF-7, size and flags
in the file name); mbox in the form "mboxrd", whose quoting of lines that begin with "From " can be undone exactly.
"""

import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from gateway.points.folder_names import to_utf7
from receipts.octets import Octets

__all__ = ["MailFile", "MailFiles", "Maildir", "Mbox"]

_LETTERS: Final = {"\\draft": "D", "\\flagged": "F", "\\answered": "R", "\\seen": "S", "\\deleted": "T"}
_KEYWORDS: Final = "dovecot-keywords"
_MOST_KEYWORDS: Final = 26  # small letters
_FROM: Final = re.compile(rb"^(>*From )", re.MULTILINE)
_UNSAFE: Final = re.compile(r"[^\w .&+@=,()\[\]-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailFile:
    """A message on its way into a file."""

    token: str  # its opaque id: the same message gets the same name again
    message: Octets
    at: datetime  # internal date
    flags: Collection[str]


class MailFiles(Protocol):
    """Where an export goes."""

    def folder(self, name: str, keywords: Iterable[str], /) -> None:
        """Begin a folder; what follows goes there."""
        ...

    def add(self, file: MailFile, /) -> bool:
        """Write a message; False if it was there already."""
        ...

    def close(self) -> None: ...


class Maildir:
    """A folder of Maildir folders. A run that was stopped is continued: what is there is not written again."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._here = top
        self._there: frozenset[str] = frozenset()
        self._letters: dict[str, str] = {}

    def folder(self, name: str, keywords: Iterable[str], /) -> None:
        self._here = self._top if name == "INBOX" else self._top / f".{_maildir_name(name)}"
        for part in ("cur", "new", "tmp"):
            (self._here / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._here != self._top:
            (self._here / "maildirfolder").touch(0o600)
        self._there = frozenset(file.name.partition(",")[0] for file in (self._here / "cur").iterdir())
        named = list(keywords)[:_MOST_KEYWORDS]
        self._letters = {name.lower(): chr(ord("a") + number) for number, name in enumerate(named)}
        if named:
            lines = "".join(f"{number} {name}\n" for number, name in enumerate(named))
            (self._here / _KEYWORDS).write_text(lines)

    def add(self, file: MailFile, /) -> bool:
        base = f"{int(file.at.timestamp())}.{file.token}.ceralacca"
        if base in self._there:
            return False
        letters = _LETTERS | self._letters
        flags = "".join(sorted(letters[flag.lower()] for flag in file.flags if flag.lower() in letters))
        waiting = self._here / "tmp" / base
        with _private(waiting) as opened:
            for piece in file.message.pieces():
                opened.write(piece)
            opened.flush()
            os.fsync(opened.fileno())
        seconds = file.at.timestamp()
        os.utime(waiting, (seconds, seconds))
        waiting.rename(self._here / "cur" / f"{base},S={file.message.size}:2,{flags}")
        return True

    def close(self) -> None:
        """Nothing is left open."""


class Mbox:
    """A folder of mbox files, one for each folder of the box. Flags have no place in them."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._open: BinaryIO | None = None

    def folder(self, name: str, keywords: Iterable[str], /) -> None:  # noqa: ARG002
        self.close()
        self._top.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._open = _private(self._top / f"{_UNSAFE.sub('_', name)}.mbox")

    def add(self, file: MailFile, /) -> bool:
        assert self._open is not None, "a folder comes first"
        date = file.at.astimezone(UTC).strftime("%a %b %d %H:%M:%S %Y")
        self._open.write(f"From MAILER-DAEMON {date}\n".encode("ascii"))
        for piece in _quoted(file.message.pieces()):
            self._open.write(piece)
        self._open.write(b"\n")  # the empty line before the next; readers take it away again
        return True

    def close(self) -> None:
        """Bring the file to the disk."""
        if self._open is not None:
            self._open.flush()
            os.fsync(self._open.fileno())
            self._open.close()
            self._open = None


def _private(file: Path) -> BinaryIO:
    """A new file that its owner alone can read."""
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _maildir_name(name: str) -> str:
    """Levels by dots; a dot of the name itself becomes an encoded one, as Maildir++ has no other way."""
    levels = (to_utf7(level).replace(".", "&AC4-").replace("/", "_") for level in name.split("/"))
    return ".".join(levels)


def _quoted(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """mboxrd: every line that begins with any number of ">" and "From " gets one more ">"."""
    waiting = b""
    for piece in pieces:
        whole, newline, rest = (waiting + piece).rpartition(b"\n")
        waiting = rest
        if newline:
            yield _FROM.sub(rb">\1", whole + newline)
    if waiting:
        yield _FROM.sub(rb">\1", waiting)
