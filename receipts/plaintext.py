"""The words of a message: what people search it for, the messages inside it included."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from receipts.fields import decode_charset, decode_words
from receipts.octets import Octets
from receipts.outline import Entity
from receipts.parts import BodyError, Header, decode_body

__all__ = ["MAX_WORDS", "Words", "searched", "words_of"]

MAX_WORDS = 256 * 1024
"""Characters kept of one message."""
MAX_FIELDS = 2_000
MAX_BODY = 2_000_000
"""Bytes of a text part as it is encoded; a larger one is no text that people search."""

_SHOWN = ("Subject", "From", "To", "Cc")
_HIDDEN = re.compile(r"<(?:(script|style|head)\b|!--)", re.IGNORECASE)
_HIDDEN_ENDS = {
    word: re.compile(end, re.IGNORECASE)
    for word, end in (("", "-->"), *((word, rf"</{word}\s*>") for word in ("script", "style", "head")))
}
_TAG = re.compile(r"<[^<>]{0,5000}>")


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a message as ``searched`` makes them."""

    header: str  # every field
    subject: str
    senders: str  # From
    recipients: str  # To
    copies: str  # Cc
    hidden: str  # Bcc
    body: str
    whole: bool  # False: the message has more words than are kept


def searched(text: str) -> str:
    """Text as it is compared: without regard to case, one space for any run of white space and control characters."""
    if not text.isprintable():
        text = text.translate(_CONTROLS)
    return " ".join(text.split()).casefold()


def words_of(root: Entity, message: Octets, most: int = MAX_WORDS) -> Words:
    """The words of a message, at most so many characters of its bodies."""
    header = root.part.header
    kept: dict[str, None] = {}
    left, whole = most, True
    for text in _texts(root, message):
        if text is None or left <= 0:
            whole = False
            continue
        words = searched(text)
        if words in kept:  # the same in HTML
            continue
        if len(words) > left:
            words, whole = words[:left], False
        left -= len(words) + 1
        kept[words] = None
    return Words(
        header=_header(header),
        subject=_field(header, "Subject"),
        senders=_field(header, "From"),
        recipients=_field(header, "To"),
        copies=_field(header, "Cc"),
        hidden=_field(header, "Bcc"),
        body="\n".join(word for word in kept if word),
        whole=whole,
    )


def _header(header: Header) -> str:
    fields = (f"{field.name}: {decode_words(field.value)}" for field in header.fields[:MAX_FIELDS])
    return "\n".join(searched(field) for field in fields)[:MAX_WORDS]


def _field(header: Header, name: str) -> str:
    return searched(" ".join(decode_words(field.value) for field in header.all(name)[:10]))


def _texts(root: Entity, message: Octets) -> Iterator[str | None]:
    """Each text of the bodies; None for one that is too large or cannot be decoded."""
    for entity in root.walk():
        part = entity.part
        if entity.inner is not None:
            inner = entity.inner.part.header
            yield from (decode_words(field.value) for name in _SHOWN for field in inner.all(name)[:10])
        elif part.type.startswith("text/") and not part.children:
            yield _text(entity, message)
        elif entity is not root and part.name:
            yield part.name


def _text(entity: Entity, message: Octets) -> str | None:
    part = entity.part
    inside = message.slice(entity.base) if entity.base else message
    try:
        content = decode_body(part, inside, MAX_BODY)
    except BodyError:
        return None
    text = decode_charset(content, part.params.get("charset", "us-ascii"))
    if part.type == "text/html":
        text = html.unescape(_TAG.sub(" ", " ".join(_shown(text))))
    return f"{part.name}\n{text}" if part.name else text


def _shown(text: str) -> Iterator[str]:
    """HTML without what no reader sees; each character is looked at once, whatever stands there."""
    at = 0
    while (hidden := _HIDDEN.search(text, at)) is not None:
        yield text[at : hidden.start()]
        end = _HIDDEN_ENDS[(hidden[1] or "").lower()].search(text, hidden.end())
        if end is None:
            return
        at = end.end()
    yield text[at:]


_CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), " ")
