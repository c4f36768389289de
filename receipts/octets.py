"""A message as a rope: literal bytes and spans of bytes that are kept elsewhere.

An envelope, its original and every complete receipt share nearly all their bytes. A rope lets them share the
bytes in storage and lets a 100 MB message be hashed, searched and sent without ever standing in memory whole.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from receipts.records import record

__all__ = ["EMPTY", "WINDOW", "InMemory", "Octets", "Source", "Span"]

WINDOW = 256 * 1024
"""Largest piece, in bytes, that a rope hands out at once."""


class Source(Protocol):
    """Immutable bytes kept somewhere, named by their SHA-256."""

    @property
    def sha256(self) -> bytes: ...
    @property
    def size(self) -> int: ...
    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from ``start`` to ``stop`` (0 <= start <= stop <= size), in pieces of at most WINDOW bytes."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class InMemory:
    """Bytes in memory that storage shall keep as a content of their own, so that messages can share them."""

    data: bytes
    sha256: bytes

    @classmethod
    def of(cls, data: bytes) -> "InMemory":
        return cls(data, hashlib.sha256(data).digest())

    @property
    def size(self) -> int:
        return len(self.data)

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        if start == 0 and stop == len(self.data) <= WINDOW:
            yield self.data
            return
        for at in range(start, stop, WINDOW):
            yield self.data[at : min(at + WINDOW, stop)]


@record()
class Span:
    """The bytes of ``source`` from ``start`` to ``stop``."""

    source: Source
    start: int
    stop: int


@record()
class Octets:
    """An immutable run of bytes made of literal parts and spans. ``Octets.of`` leaves out empty parts."""

    parts: tuple[bytes | Span, ...]
    size: int

    @classmethod
    def of(cls, *parts: "bytes | Span | Octets") -> "Octets":
        if len(parts) == 1 and isinstance(only := parts[0], Octets):
            return only
        merged: list[bytes | Span] = []
        run: list[bytes] = []  # literals that follow each other
        size = 0
        for part in parts:
            for each in part.parts if isinstance(part, Octets) else (part,):
                if isinstance(each, bytes):
                    if each:
                        run.append(each)
                        size += len(each)
                elif each.stop > each.start:
                    if run:
                        merged.append(_joined(run))
                        run = []
                    merged.append(each)
                    size += each.stop - each.start
        if run:
            merged.append(_joined(run))
        return cls(tuple(merged), size)

    @classmethod
    def whole(cls, source: Source) -> "Octets":
        return cls.of(Span(source, 0, source.size))

    def __len__(self) -> int:
        return self.size

    def pieces(self) -> Iterator[bytes]:
        """The bytes in order; literal parts come as they are, spans in pieces of at most WINDOW bytes."""
        for part in self.parts:
            if isinstance(part, bytes):
                yield part
            else:
                yield from part.source.pieces(part.start, part.stop)

    def slice(self, start: int, stop: int | None = None) -> "Octets":
        """The rope of the bytes from ``start`` to ``stop``; both are clamped, negative values are refused."""
        stop = self.size if stop is None else min(stop, self.size)
        if start < 0 or stop < 0:
            raise ValueError("a rope is cut at positive offsets")
        if start == 0 and stop == self.size:
            return self
        kept: list[bytes | Span] = []
        at = 0
        for part in self.parts:
            length = _length(part)
            low, high = max(start - at, 0), min(stop - at, length)
            if low < high:
                kept.append(part[low:high] if isinstance(part, bytes) else _cut(part, low, high))
            at += length
        return Octets.of(*kept)

    def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """The bytes from ``start`` to ``stop`` in memory: for small ranges only."""
        if len(self.parts) == 1 and start >= 0 and (stop is None or stop >= 0):
            part = self.parts[0]
            stop = self.size if stop is None else min(stop, self.size)
            if isinstance(part, bytes):
                return part[start:stop]
            if isinstance(part.source, InMemory):
                return part.source.data[part.start + start : part.start + max(start, stop)]
        return b"".join(self.slice(start, stop).pieces())

    def find(self, needle: bytes, start: int = 0, stop: int | None = None) -> int:
        """Offset of the first ``needle`` that lies wholly between ``start`` and ``stop``, or -1."""
        if not needle:
            raise ValueError("an empty needle is everywhere")
        tail = b""
        at = start
        for piece in self.slice(start, stop).pieces():
            window = tail + piece
            found = window.find(needle)
            if found >= 0:
                return at - len(tail) + found
            at += len(piece)
            tail = window[-(len(needle) - 1) :] if len(needle) > 1 else b""
        return -1

    def sha256(self) -> bytes:
        if len(self.parts) == 1 and isinstance(span := self.parts[0], Span) and self.size == span.source.size:
            return span.source.sha256
        digest = hashlib.sha256()
        for piece in self.pieces():
            digest.update(piece)
        return digest.digest()

    def equals(self, other: "Octets") -> bool:
        """Whether both ropes hold the same bytes, wherever these are kept."""
        return self.size == other.size and (self.parts == other.parts or self.sha256() == other.sha256())


EMPTY = Octets((), 0)


def _joined(run: list[bytes]) -> bytes:
    return run[0] if len(run) == 1 else b"".join(run)


def _length(part: bytes | Span) -> int:
    return len(part) if isinstance(part, bytes) else part.stop - part.start


def _cut(span: Span, low: int, high: int) -> Span:
    return Span(span.source, span.start + low, span.start + high)
