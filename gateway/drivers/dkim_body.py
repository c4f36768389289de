"""The digest of a message body in DKIM's two canonical forms, in one pass and little memory (RFC 6376 section 3.4).

dkimpy wants the whole message in memory and copies it several times; a message of 100 MB may not stand there once.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Final

__all__ = ["CanonicalBody", "body_digest"]

WHITE: Final = b" \t\r\n"
SPACES: Final = re.compile(rb"[ \t]+")
MOST_AT_ONCE: Final = 16_384
"""Empty lines that are hashed at once: a message may consist of nothing else."""


def body_digest(pieces: Iterable[bytes], *, relaxed: bool, algorithm: str = "sha256") -> bytes:
    """The digest of a body that comes in pieces, with CRLF line ends."""
    body = CanonicalBody(relaxed=relaxed, algorithm=algorithm)
    for piece in pieces:
        body.feed(piece)
    return body.digest()


class CanonicalBody:
    """Takes a body piece by piece. ``length`` is that of the canonical form so far."""

    def __init__(self, *, relaxed: bool, algorithm: str = "sha256") -> None:
        self.length = 0
        self._hash = hashlib.new(algorithm, usedforsecurity=False)
        self._relaxed = relaxed
        self._lines = 0  # line ends that count only if something follows them
        self._space = False  # white space that counts only if something follows it on its line (relaxed)
        self._broken = b""  # a CR whose LF is in the next piece

    def feed(self, piece: bytes) -> None:
        data = self._broken + piece
        self._broken = b"\r" if data.endswith(b"\r") else b""
        if self._broken:
            data = data[:-1]
        if self._relaxed:
            self._feed_relaxed(data)
        else:
            self._feed_simple(data)

    def digest(self) -> bytes:
        """The digest of all of it: trailing empty lines count for one line end, or for none (3.4.3, 3.4.4)."""
        if self._broken:  # a lone CR is an ordinary byte
            broken, self._broken = self._broken, b""
            self._flush()
            self._emit(broken)
        if self.length or not self._relaxed:
            self._emit(b"\r\n")
        return self._hash.digest()

    def _feed_simple(self, data: bytes) -> None:
        rest = data.lstrip(b"\r\n")
        self._lines += (len(data) - len(rest)) // 2
        if rest:
            self._flush()
            core = rest.rstrip(b"\r\n")
            self._emit(core)
            self._lines = (len(rest) - len(core)) // 2

    def _feed_relaxed(self, data: bytes) -> None:
        rest = data.lstrip(WHITE)
        self._blank(data[: len(data) - len(rest)])
        if rest:
            self._flush()
            core = rest.rstrip(WHITE)
            self._emit(_reduced(core))
            self._blank(rest[len(core) :])

    def _blank(self, run: bytes) -> None:
        """Take note of white space and line ends."""
        ends = run.count(b"\n")
        self._lines += ends
        if run:
            last = run[run.rfind(b"\n") + 1 :]
            self._space = bool(last) or (self._space and not ends)

    def _flush(self) -> None:
        """Something follows: what was held back counts."""
        while self._lines:
            some = min(self._lines, MOST_AT_ONCE)
            self._emit(b"\r\n" * some)
            self._lines -= some
        if self._space:
            self._emit(b" ")
            self._space = False

    def _emit(self, data: bytes) -> None:
        self.length += len(data)
        self._hash.update(data)


def _reduced(core: bytes) -> bytes:
    """Each run of white space as one space, and none before a line end. Linear, whatever the bytes are."""
    if b"\t" in core or b"  " in core:
        core = SPACES.sub(b" ", core)
    return core.replace(b" \r\n", b"\r\n")
