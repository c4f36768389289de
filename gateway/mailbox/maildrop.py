"""A maildrop: what one POP3 session sees of a mailbox, numbered from 1 and fixed at sign-in (RFC 1939 section 4)."""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

__all__ = ["Entry", "Maildrop"]

_BATCH: Final = 1_000  # lines of a listing that are written at once


class Entry(Protocol):
    """A message as a listing shows it."""

    @property
    def id(self) -> int: ...
    @property
    def token(self) -> str:
        """Its unique id for life: 1 to 70 characters between "!" and "~" (RFC 1939 section 7)."""
        ...

    @property
    def size(self) -> int:
        """In bytes, as they are kept."""
        ...


class Maildrop:
    """The messages of one session and the marks it has set; the marks count when it says QUIT.

    Args:
        may_delete: whether whoever signed in has the right to.
    """

    def __init__(self, entries: Sequence[Entry], *, may_delete: bool = True) -> None:
        self.may_delete = may_delete
        self._entries = entries
        self._size = sum(entry.size for entry in entries)
        self._marked: dict[int, int] = {}  # number -> size

    def entry(self, number: int) -> Entry | None:
        """The message of that number, None when there is none or it is marked as deleted."""
        if not 1 <= number <= len(self._entries) or number in self._marked:
            return None
        return self._entries[number - 1]

    def totals(self) -> tuple[int, int]:
        """Number and size of the messages that are not marked."""
        return len(self._entries) - len(self._marked), self._size - sum(self._marked.values())

    def mark(self, number: int) -> bool:
        """Mark a message as deleted; False when there is none or it is marked already."""
        entry = self.entry(number)
        if entry is None:
            return False
        self._marked[number] = entry.size
        return True

    def unmark_all(self) -> None:
        self._marked.clear()

    def marked(self) -> tuple[int, ...]:
        """The ids of the marked messages, in order."""
        return tuple(self._entries[number - 1].id for number in sorted(self._marked))

    def sizes(self) -> Iterator[bytes]:
        """The lines of LIST, many at once."""
        return self._lines(lambda number, entry: b"%d %d\r\n" % (number, entry.size))

    def tokens(self) -> Iterator[bytes]:
        """The lines of UIDL, many at once."""
        return self._lines(lambda number, entry: b"%d %s\r\n" % (number, entry.token.encode("ascii")))

    def after(self, number: int, room: int, most: int) -> tuple[int, ...]:
        """Numbers of the unmarked messages that follow ``number``, at most ``most``, that fit into ``room`` bytes."""
        following: list[int] = []
        for later in range(number + 1, number + 1 + most):
            entry = self.entry(later)
            if entry is None:
                continue
            room -= entry.size
            if room < 0:
                break
            following.append(later)
        return tuple(following)

    def _lines(self, line: "_Line") -> Iterator[bytes]:
        entries, marked = self._entries, self._marked
        for start in range(0, len(entries), _BATCH):
            batch = entries[start : start + _BATCH]
            yield b"".join(line(number, entry) for number, entry in enumerate(batch, start + 1) if number not in marked)


class _Line(Protocol):
    def __call__(self, number: int, entry: Entry, /) -> bytes: ...
