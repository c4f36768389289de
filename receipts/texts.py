"""What people read in certified mail: Italian first, English below a rule (RFC 6109 sections 3 and 4.3.1).

The text is ISO-8859-1. A character outside it is written, in the plain text, as its usual Latin-1 form where there is
one (curly quotes, dashes, the euro sign), else as its base letter without accents, else as a question mark; in the
HTML as a numeric character reference, so nothing is lost there. The certification data carry every character as it is.
Control characters become spaces, and characters that turn the writing direction become U+FFFD.
"""

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Protocol

from receipts.facts import CertificationData, Deadline, Recipient
from receipts.headers import offset, visible
from receipts.records import record
from receipts.wire import MessageKind, ReceiptForm
from receipts.wording import ENGLISH, ITALIAN, Language, Outcome

__all__ = ["ReadableText", "Reason", "anomaly_text", "text_of"]


class Reason(Protocol):
    """Why something was not done, in words a person can act on."""

    @property
    def italian(self) -> str: ...
    @property
    def english(self) -> str: ...


@record()
class ReadableText:
    """The same words twice, as plain text and as HTML; both ISO-8859-1 with CRLF line ends, not yet encoded."""

    plain: bytes
    html: bytes


def text_of(
    kind: MessageKind,
    data: CertificationData,
    *,
    form: ReceiptForm = ReceiptForm.COMPLETE,
    deadline: Deadline = Deadline.FIRST,
    reasons: Sequence[Reason] = (),
) -> ReadableText:
    """The text of every kind but the anomaly envelope, by the models of RFC 6109 section 3.

    Args:
        form: which delivery receipt is issued; it shows in the title.
        deadline: which timeout notice is issued; they say different things.
        reasons: what went wrong, for notices; ``data.error_text`` stands in for them in both languages.
    """
    if not reasons and data.error_text is not None:
        reasons = (_SaidOnce(data.error_text, data.error_text),)
    shown = _recipients_of(kind, data)
    blocks = []
    for language in (ITALIAN, ENGLISH):
        outcome = language.deadlines[deadline] if kind is MessageKind.TIMEOUT else language.outcomes[kind]
        title = language.forms[form] if kind is MessageKind.DELIVERY else outcome.title
        lines = [
            *_opening(language, outcome, data.at, data.subject),
            *_parties(language, outcome, data.sender, _addressed(language, kind, shown)),
            *_result(language, outcome, reasons),
            f"{language.identifier}: {_shown(data.pec_msgid)}",
        ]
        blocks.append(_Block(title, lines))
    return _rendered(*blocks)


def anomaly_text(
    *,
    at: datetime,
    subject: str | None,
    sender: str,
    recipients: Sequence[str],
    reason: Reason,
    notes: Sequence[Reason] = (),
) -> ReadableText:
    """The text of the anomaly envelope (RFC 6109 section 3.2.2): no identifier, for nothing is certified.

    Args:
        notes: what else the reader should know, below everything the RFC asks for.
    """
    blocks = []
    for language in (ITALIAN, ENGLISH):
        outcome = language.outcomes[MessageKind.ANOMALY]
        lines = [
            *_opening(language, outcome, at, subject),
            *_parties(language, outcome, sender, [_shown(address) for address in recipients]),
            *_result(language, outcome, (reason,)),
            *(_shown(note.italian if language is ITALIAN else note.english) for note in notes),
        ]
        blocks.append(_Block(outcome.title, lines))
    return _rendered(*blocks)


@record()
class _SaidOnce:
    italian: str
    english: str


@record()
class _Block:
    title: str
    lines: list[str]


_ABOUT_ONE = frozenset(
    {
        MessageKind.DELIVERY,
        MessageKind.NON_DELIVERY,
        MessageKind.NON_DELIVERY_VIRUS,
        MessageKind.TIMEOUT,
        MessageKind.VIRUS,
    }
)


def _recipients_of(kind: MessageKind, data: CertificationData) -> Sequence[Recipient] | str:
    if kind not in _ABOUT_ONE:
        return data.recipients
    if data.delivered_to is None:
        raise ValueError(f"the text of {kind} needs the recipient it is about")
    return data.delivered_to


def _addressed(language: Language, kind: MessageKind, shown: Sequence[Recipient] | str) -> list[str] | str:
    if isinstance(shown, str):
        return _shown(shown)
    if kind is MessageKind.ACCEPTANCE:
        return [f'{_shown(recipient.address)} ("{language.kinds[recipient.kind]}")' for recipient in shown]
    return [_shown(recipient.address) for recipient in shown]


def _opening(language: Language, outcome: Outcome, at: datetime, subject: str | None) -> tuple[str, str]:
    day = f"{at.day:02d}/{at.month:02d}/{at.year:04d}"
    time = f"{at.hour:02d}:{at.minute:02d}:{at.second:02d}"
    when = language.opening.format(day=day, time=time, zone=offset(at))
    what = language.in_message if outcome.in_message else language.message
    return f"{when} {what}", f'"{_shown(subject or "")}"'


def _parties(language: Language, outcome: Outcome, sender: str, addressed: list[str] | str) -> list[str]:
    origin = f'{language.sent if outcome.sent else language.origin} "{_shown(sender)}"'
    if isinstance(addressed, str):
        return [origin, f'{language.addressed} "{addressed}"']
    return [origin, f"{language.addressed}:", *addressed]


def _result(language: Language, outcome: Outcome, reasons: Sequence[Reason]) -> list[str]:
    told = [_shown(reason.italian if language is ITALIAN else reason.english) for reason in reasons]
    if len(told) > 1:
        told = [f"- {reason}" for reason in told]
    return [*outcome.before, *told, *outcome.after]


def _rendered(italian: _Block, english: _Block) -> ReadableText:
    plain = [italian.title, "", *italian.lines, "", "-" * 60, "", english.title, "", *english.lines, ""]
    page = [
        '<!DOCTYPE html>\r\n<html lang="it">\r\n<head><title>',
        escape(italian.title),
        "</title></head>\r\n<body>\r\n",
        *_section(italian, "it"),
        "<hr>\r\n",
        *_section(english, "en"),
        "</body>\r\n</html>\r\n",
    ]
    return ReadableText(_latin("\r\n".join(plain)), "".join(page).encode("latin-1", "xmlcharrefreplace"))


def _section(block: _Block, language: str) -> tuple[str, ...]:
    lines = escape("\n".join(block.lines)).replace("\n", "<br>\r\n")  # no line holds a line end
    return (
        f'<div lang="{language}">\r\n<h3>',
        escape(block.title),
        "</h3>\r\n<p>\r\n",
        lines,
        "\r\n</p>\r\n</div>\r\n",
    )


_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_NEAREST = {
    "\u2018": "'",
    "\u2019": "'",
    "\u201a": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u201e": '"',
    "\u2010": "-",
    "\u2011": "-",
    "\u2012": "-",
    "\u2013": "-",
    "\u2014": "-",
    "\u2015": "-",
    "\u2022": "*",
    "\u2026": "...",
    "\u20ac": "EUR",
    "\u2122": "(TM)",
    "\u0131": "i",
    "\u0110": "D",
    "\u0111": "d",
    "\u0141": "L",
    "\u0142": "l",
    "\u0152": "OE",
    "\u0153": "oe",
}


def _shown(text: str) -> str:
    """A fact as it may stand in the text: in one line, in one direction."""
    return text if text.isascii() and text.isprintable() else _TURNING.sub("\ufffd", visible(text))


def _latin(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return "".join(map(_nearest, unicodedata.normalize("NFC", text))).encode("latin-1")


def _nearest(character: str) -> str:
    """The Latin-1 form of a character, by the rule that stands on top of this module."""
    if character <= "\xff":
        return character
    if (form := _NEAREST.get(character)) is not None:
        return form
    if unicodedata.combining(character):
        return ""
    base = "".join(part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part))
    return base if base and max(base) <= "\xff" else "?"
