"""Header fields as bytes: ASCII, folded where that is legal, and never two fields where one was meant.

Lines are kept to 78 characters where white space allows a fold and never pass 998 (RFC 5322 section 2.1.1). Text
outside ASCII becomes encoded words in UTF-8 (RFC 2047), split between characters, never within one.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote

__all__ = ["CRLF", "RawField", "copied", "date", "line", "mailbox", "offset", "parameter", "unstructured", "visible"]

CRLF = b"\r\n"

_SOFT_LIMIT = 78  # RFC 5322 2.1.1: should
_HARD_LIMIT = 998  # RFC 5322 2.1.1: must
_WORD_LIMIT = 75  # RFC 2047 2: an encoded word
_WORDS_LINE = 76  # RFC 2047 2: a line that holds one
_WORD_FRAME = len("=?utf-8?q??=")
_LEAST_ROOM = _WORD_FRAME + 12  # with less room left, the first encoded word goes to a line of its own
_PIECE_LIMIT = 60  # of a parameter value, before it is continued (RFC 2231 3)

_CONTROL = re.compile("[\x00-\x1f\x7f]")
_UNSIGHTLY = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_LONE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_SURROGATE = re.compile("[\ud800-\udfff]")
_TOKEN = re.compile(" *[^ ]+| +")
_WORD_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")  # RFC 2047 5 (3)
_PARAMETER_PLAIN = re.compile(r"[A-Za-z0-9 !#$&+,./:;<=>?@^_`{|}~()\[\]-]*")

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class RawField(Protocol):
    """A header field as it was read: its name as spelled and its value with every fold, without the last CRLF."""

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> bytes: ...


def line(name: str, value: str) -> bytes:
    """One field on one line, never folded: programs look for these words in raw headers.

    Raises:
        ValueError: the value is not printable ASCII, or the line would pass 998 characters.
    """
    text = f"{name}: {value}"
    _refuse_controls(text)
    if len(text) > _HARD_LIMIT:
        raise ValueError(f"{name} does not fit on one line")
    return text.encode("ascii") + CRLF


def unstructured(name: str, text: str, *, prefix: str = "") -> bytes:
    """A field of free text that decodes to ``prefix + text``; the prefix stays plain, before any encoded word.

    Raises:
        ValueError: prefix or text hold a control character, or the prefix is not ASCII.
    """
    head = f"{name}: {prefix}"
    _refuse_controls(head + text)
    if not head.isascii():
        raise ValueError(f"the prefix of {name} is not ASCII")
    if text.isascii() and "=?" not in text and text == text.strip(" "):
        folded = _fold(head + text)
        if folded is not None:
            return folded
    return CRLF.join(_with_words(head, text)) + CRLF


def mailbox(name: str, address: str, display: str | None = None) -> bytes:
    """A field of one address, bare or with a display name.

    Raises:
        ValueError: the address is not printable ASCII, a control character stands anywhere, or a line is too long.
    """
    if display is None:
        return line(name, address)
    _refuse_controls(name + address + display)
    if display.isascii():
        escaped = display.replace("\\", "\\\\").replace('"', '\\"')
        whole = f'{name}: "{escaped}" <{address}>'
        if len(whole) <= _SOFT_LIMIT:
            return whole.encode("ascii") + CRLF
        lines = [f'{name}: "{escaped}"'.encode("ascii")]
    else:
        lines = list(_with_words(f"{name}: ", display))
    lines.append(f" <{address}>".encode("ascii"))
    if max(map(len, lines)) > _HARD_LIMIT:
        raise ValueError(f"{name} does not fit on its lines")
    return CRLF.join(lines) + CRLF


def date(at: datetime) -> bytes:
    """The Date field (RFC 5322 section 3.3), in the zone of ``at``."""
    return (
        f"Date: {_DAYS[at.weekday()]}, {at.day} {_MONTHS[at.month - 1]} {at.year:04d} "
        f"{at.hour:02d}:{at.minute:02d}:{at.second:02d} {offset(at)}\r\n"
    ).encode("ascii")


def offset(at: datetime) -> str:
    """The distance of ``at`` from UTC as ``+hhmm`` or ``-hhmm``."""
    away = at.utcoffset()
    if away is None:
        raise ValueError("an offset needs an aware datetime")
    return _written_offset(away)


@lru_cache(maxsize=64)
def _written_offset(away: timedelta) -> str:
    minutes = round(away.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"


def copied(field: RawField) -> bytes:
    """A field exactly as it was read, folds and all; only a lone CR or LF, its end to some readers, becomes a space."""
    return field.name.encode("latin-1") + b":" + _LONE_END.sub(b" ", field.value) + CRLF


def parameter(name: str, value: str) -> bytes:
    """A parameter to be set behind a field's value: ``;``, CRLF, space, ``name="value"``, or the forms of RFC 2231.

    Raises:
        ValueError: the value holds a control character.
    """
    _refuse_controls(value)
    if len(value) <= _PIECE_LIMIT and _PARAMETER_PLAIN.fullmatch(value):
        return f';\r\n {name}="{value}"'.encode("ascii")
    pieces = list(_percent_pieces(value))
    if len(pieces) == 1:
        return f";\r\n {name}*=utf-8''{pieces[0]}".encode("ascii")
    marks = ["utf-8''", *[""] * (len(pieces) - 1)]
    numbered = [f";\r\n {name}*{index}*={marks[index]}{piece}" for index, piece in enumerate(pieces)]
    return "".join(numbered).encode("ascii")


def visible(text: str) -> str:
    """The text in one line: each run of control characters and line ends is one space, a broken surrogate U+FFFD."""
    return _SURROGATE.sub("\ufffd", _UNSIGHTLY.sub(" ", text))


def _refuse_controls(text: str) -> None:
    if _CONTROL.search(text):
        raise ValueError("a header field cannot hold a control character")


def _fold(text: str) -> bytes | None:
    """The field on lines of at most 78 characters where spaces allow; None if a word alone passes the hard limit."""
    if len(text) <= _SOFT_LIMIT:
        return text.encode("ascii") + CRLF
    lines: list[str] = []
    current = ""
    for token in _TOKEN.findall(text):
        if (lines or " " in current) and len(current) + len(token) > _SOFT_LIMIT:
            lines.append(current)
            current = token
        else:
            current += token
    lines.append(current)
    if max(map(len, lines)) > _HARD_LIMIT:
        return None
    return "\r\n".join(lines).encode("ascii") + CRLF


def _with_words(head: str, text: str) -> Iterator[bytes]:
    """The lines, without CRLF, of a field whose text is written in encoded words."""
    room = _WORDS_LINE - len(head)
    if room < _LEAST_ROOM:
        yield head.removesuffix(" ").encode("ascii")
        head, room = " ", _WORD_LIMIT
    for word in _encoded_words(_SURROGATE.sub("\ufffd", text), room):
        yield (head + word).encode("ascii")
        head = " "


def _encoded_words(text: str, first_room: int) -> Iterator[str]:
    quoted = [_quoted(character) for character in text]
    in_base64 = sum(map(len, quoted)) > len(text.encode()) * 4 / 3
    room = min(first_room, _WORD_LIMIT) - _WORD_FRAME
    start = used = 0
    for index, character in enumerate(text):
        cost = len(character.encode()) if in_base64 else len(quoted[index])
        if used + cost > (room // 4 * 3 if in_base64 else room):
            yield _encoded_word(text[start:index], quoted[start:index], in_base64)
            start, used, room = index, 0, _WORD_LIMIT - _WORD_FRAME
        used += cost
    yield _encoded_word(text[start:], quoted[start:], in_base64)


def _encoded_word(text: str, quoted: list[str], in_base64: bool) -> str:
    if in_base64:
        return f"=?utf-8?b?{b64encode(text.encode()).decode('ascii')}?="
    return f"=?utf-8?q?{''.join(quoted)}?="


def _quoted(character: str) -> str:
    if character in _WORD_PLAIN:
        return character
    return "_" if character == " " else "".join(f"={octet:02X}" for octet in character.encode())


def _percent_pieces(value: str) -> Iterator[str]:
    piece = ""
    for character in _SURROGATE.sub("\ufffd", value):
        escaped = quote(character, safe="")
        if len(piece) + len(escaped) > _PIECE_LIMIT:
            yield piece
            piece = ""
        piece += escaped
    yield piece
