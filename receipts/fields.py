"""What the value of a header field says: unfolded text, encoded words (RFC 2047), parameters (RFC 2045, 2231).

Nothing here raises on what others wrote: a value that follows no grammar is read as far as it goes.
"""

import binascii
import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote_to_bytes

__all__ = [
    "MAX_TEXT",
    "Parameters",
    "decode_charset",
    "decode_words",
    "parse_parameters",
    "raw_parameters",
    "unfold",
    "without_comments",
]

Parameters = Mapping[str, str]
"""Parameters of a field: names in lower case, values without quotes."""

MAX_TEXT = 64 * 1024
"""What is read of a value, in characters: no field is longer (D15)."""

MAX_PARAMETERS = 64
"""Parameters read of one field."""

REMEMBERED = 100
"""Bytes of a value up to which its parameters are read only once: those of parts are all alike."""

_ENCODED_WORD = re.compile(r"=\?([\w.:+-]{1,40})(?:\*[A-Za-z0-9-]{0,40})?\?([BbQq])\?([ ->@-~]*+)\?=", re.ASCII)
_PARAMETER = re.compile(r";[ \t]*+([^=;\"\s]++)[ \t]*+=[ \t]*+(\"(?:[^\"\\]|\\.)*+\"|[^;]*+)", re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_SECTION = re.compile(r"([^*]+)(?:\*([0-9]{1,3}))?(\*)?")  # RFC 2231: name*0*
_OUTSIDE_COMMENTS = re.compile(r"(?:\"(?:[^\"\\]|\\.)*+\"|[^(\"]++)*+", re.DOTALL)
_INSIDE_COMMENT = re.compile(r"(?:[^()\\]++|\\.)*+", re.DOTALL)
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), " ")
_CHARSETS = frozenset(
    {
        *("us-ascii", "ascii", "utf-8", "utf8", "utf-16", "utf-16be", "utf-16le", "latin1", "iso8859-1", "macintosh"),
        *(f"iso-8859-{part}" for part in (*range(1, 12), 13, 14, 15, 16)),
        *(f"windows-125{page}" for page in range(9)),
        *("cp437", "cp850", "cp1252", "koi8-r", "koi8-u", "gb2312", "gbk", "gb18030", "big5", "tis-620"),
        *("shift_jis", "euc-jp", "iso-2022-jp", "euc-kr", "iso-2022-kr", "ks_c_5601-1987"),
    }
)
"""Python is asked for these only: for any other name it would try an import, and remember the name for ever."""


def unfold(value: bytes) -> str:
    """The value on one line, without white space around it: one Latin-1 character for each byte, so nothing is lost.

    ``decode_words`` makes text for people of it.
    """
    return value.replace(b"\r\n", b"").strip(b" \t").decode("latin-1")


def decode_words(value: bytes | str) -> str:
    """The text that people read: unfolded, encoded words decoded, a space for each control character.

    Characters outside ASCII that stand there bare are read as UTF-8 if they can be, else as Latin-1. An encoded word
    in an unknown charset, or one that does not decode, stays as it is written.
    """
    line = (unfold(value) if isinstance(value, bytes) else value)[:MAX_TEXT]
    text = _join_words(line) if "=?" in line else _bare_text(line)
    return text if text.isprintable() else text.translate(_CONTROLS)


def parse_parameters(value: bytes) -> tuple[str, Parameters]:
    """Split ``text/plain; charset=utf-8`` into its first word, in lower case, and its parameters.

    Of a repeated parameter the first counts; MAX_PARAMETERS are read. Continued and encoded ones (RFC 2231) come
    joined and decoded.
    """
    return _remembered_parameters(value) if len(value) <= REMEMBERED else _parameters(value)


def _parameters(value: bytes) -> tuple[str, Parameters]:
    text = unfold(value)[:MAX_TEXT]
    first, semicolon, _ = text.partition(";")
    word = first.partition("(")[0].strip().lower()
    if not semicolon:
        return word, {}
    parameters: dict[str, str] = {}
    for name, raw in _PARAMETER.findall(text, len(first))[:MAX_PARAMETERS]:
        parameters.setdefault(name.lower(), _unquoted(raw))
    return word, _joined_sections(parameters) if "*" in text else parameters


_remembered_parameters = lru_cache(maxsize=1024)(_parameters)


def raw_parameters(value: bytes) -> list[tuple[str, str]]:
    """The parameters of a field as they are written, without quotes: continued and encoded ones (RFC 2231) one by one.

    One Latin-1 character stands for each byte. At most MAX_PARAMETERS; of a repeated one the first.
    """
    text = unfold(value)[:MAX_TEXT]
    first, semicolon, _ = text.partition(";")
    found: dict[str, tuple[str, str]] = {}
    for name, raw in _PARAMETER.findall(text, len(first))[:MAX_PARAMETERS] if semicolon else ():
        found.setdefault(name.lower(), (name, _unquoted(raw)))
    return list(found.values())


def decode_charset(content: bytes, charset: str) -> str:
    """Text in a charset; in an unknown one, what it may be: UTF-8, else Latin-1. What does not decode is replaced."""
    if charset.lower() in _CHARSETS:
        return content.decode(charset, "replace")
    return _bare_text(content.decode("latin-1"))


def without_comments(text: str) -> str | None:
    """A structured field with a space for each comment; None if a comment never ends."""
    if "(" not in text:
        return text
    kept: list[str] = []
    at = 0
    while at < len(text):
        outside = _OUTSIDE_COMMENTS.match(text, at)
        assert outside is not None
        kept.append(outside.group())
        at = outside.end()
        if text.startswith("(", at):
            end = _comment_end(text, at)
            if end is None:
                return None
            kept.append(" ")
            at = end
        else:  # the end, or a quoted string that never ends: the reader of the field will see it
            kept.append(text[at:])
            at = len(text)
    return "".join(kept)


def _comment_end(text: str, start: int) -> int | None:
    depth, at = 1, start + 1
    while depth:
        inside = _INSIDE_COMMENT.match(text, at)
        assert inside is not None
        at = inside.end()
        if at >= len(text) or text[at] == "\\":
            return None
        depth += 1 if text[at] == "(" else -1
        at += 1
    return at


def _join_words(line: str) -> str:
    """Decode each run of encoded words in one charset at once: some mailers cut characters in two."""
    text: list[str] = []
    run, charset, end = bytearray(), "", 0
    for word in _ENCODED_WORD.finditer(line):
        label, content = word[1].lower(), _word_content(word)
        if label not in _CHARSETS or content is None:
            continue
        gap = line[end : word.start()]
        follows = bool(end) and not gap.strip(" \t")  # white space between encoded words is not shown
        if not follows or label != charset:
            text.append(run.decode(charset or "ascii", "replace"))
            run.clear()
        if not follows:
            text.append(_bare_text(gap))
        run += content
        charset, end = label, word.end()
    text += (run.decode(charset or "ascii", "replace"), _bare_text(line[end:]))
    return "".join(text)


def _word_content(word: re.Match[str]) -> bytes | None:
    encoded = word[3].encode("ascii")
    if word[2] in "Qq":
        return binascii.a2b_qp(encoded, header=True)
    try:
        return binascii.a2b_base64(encoded + b"===")  # padding is often forgotten, and too much does no harm
    except binascii.Error:
        return None


def _bare_text(text: str) -> str:
    """Latin-1 characters that may stand for the bytes of UTF-8."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


def _unquoted(raw: str) -> str:
    if len(raw) >= 2 and raw[0] == raw[-1] == '"':
        return _QUOTED_PAIR.sub(r"\1", raw[1:-1]) if "\\" in raw else raw[1:-1]
    return raw.strip()


def _joined_sections(parameters: Parameters) -> Parameters:
    """Join ``name*0*=utf-8''...; name*1=...`` to ``name`` (RFC 2231); an encoded name wins over a plain one."""
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[bool, str]]] = {}
    for name, value in parameters.items():
        match = _SECTION.fullmatch(name)
        if match is None or (match[2] is None and match[3] is None):
            plain[name] = value
        else:
            sections.setdefault(match[1], {})[int(match[2] or 0)] = (match[3] is not None, value)
    return plain | {name: _joined(parts) for name, parts in sections.items() if 0 in parts}


def _joined(parts: Mapping[int, tuple[bool, str]]) -> str:
    encoded, first = parts[0]
    charset = ""
    if encoded and first.count("'") >= 2:
        charset, _, first = first.split("'", 2)
    content = bytearray(_section_bytes(encoded, first))
    number = 1
    while number in parts:
        content += _section_bytes(*parts[number])
        number += 1
    if charset.lower() in _CHARSETS:
        return content.decode(charset, "replace")
    return _bare_text(content.decode("latin-1"))


def _section_bytes(encoded: bool, value: str) -> bytes:
    raw = value.encode("latin-1")
    return unquote_to_bytes(raw) if encoded else raw
