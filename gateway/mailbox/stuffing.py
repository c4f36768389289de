"""Message bytes to the multi-line form of POP3: stuffed dots, a last CRLF, the closing dot (RFC 1939 section 3).

Lines end with CRLF and nothing else, as in every message that the gateway takes in. Pieces may cut a message
anywhere.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

__all__ = ["stuffed", "top"]

_END: Final = b"\r\n"


def stuffed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The message as POP3 sends it, with the closing dot."""
    tail = _END  # the last two bytes so far: the message begins at the start of a line
    for piece in pieces:
        joined = tail + piece
        yield joined.replace(b"\r\n.", b"\r\n..")[len(tail) :]
        tail = joined[-2:]
    yield b".\r\n" if tail == _END else b"\r\n.\r\n"


def top(pieces: Iterable[bytes], lines: int) -> Iterator[bytes]:
    """The header of a message, the empty line and the first ``lines`` lines of its body; reads no further."""
    source = iter(pieces)
    tail = _END
    for piece in source:
        window = tail + piece
        end = window.find(b"\r\n\r\n")
        if end < 0:
            yield piece
            tail = window[-3:]
            continue
        body = end + 4 - len(tail)
        yield piece[:body]
        yield from _first_lines(chain((piece[body:],), source), lines)
        return


def _first_lines(pieces: Iterable[bytes], lines: int) -> Iterator[bytes]:
    tail = b""
    for piece in pieces if lines else ():
        window, at = tail + piece, 0
        while lines and (end := window.find(_END, at)) >= 0:
            at = end + 2
            lines -= 1
        if not lines:
            yield piece[: at - len(tail)]
            return
        yield piece
        tail = b"\r" if window.endswith(b"\r") else b""
