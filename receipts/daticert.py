"""The certification data as ``daticert.xml`` (RFC 6109 section 4.4): facts to XML and back."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import NamedTuple, TypeVar
from xml.parsers import expat

from receipts.facts import CertificationData, Recipient
from receipts.fields import MAX_TEXT
from receipts.headers import offset
from receipts.identifiers import is_smtp_address
from receipts.wire import CertificationType, ErrorKind, ReceiptForm, RecipientKind

__all__ = ["MAX_BYTES", "MAX_RECIPIENTS", "DaticertError", "read_daticert", "write_daticert"]

MAX_BYTES = 5_000_000  # D14
MAX_RECIPIENTS = 10_000  # D14; of destinatari, and of ricezione
MAX_ELEMENTS = 50_000
MAX_DEPTH = 32
MAX_MSGID = 900  # D15
MIN_YEAR, MAX_YEAR = 1900, 2999  # far from where the arithmetic of dates ends


class DaticertError(ValueError):
    """The bytes are no certification data that we can rely on; the text says why."""


def read_daticert(data: bytes) -> CertificationData:
    """Read what another provider certifies.

    What is required stands in XML-01, 03, 04 and 08 to 11; elements and attributes that RFC 6109 does not know are
    passed over, and so is the order of elements. Document types and entities are refused (XML-19).

    Raises:
        DaticertError: no well-formed XML, not safe to read, too large, or without something required.
    """
    if len(data) > MAX_BYTES:
        raise DaticertError("it is too large")
    document = _Document()
    try:
        document.parse(data)
    except expat.ExpatError as error:
        raise DaticertError(f"it is not well-formed XML: {expat.ErrorString(error.code)}") from error
    return _facts(document)


def write_daticert(data: CertificationData) -> bytes:
    """Write certification data as UTF-8, valid against the DTD of RFC 6109, without a document type (XML-17, XML-18).

    A character that XML cannot hold becomes U+FFFD.
    """
    at = data.at
    recipients = "".join(
        f'    <destinatari tipo="{recipient.kind}">{_escaped(recipient.address)}</destinatari>\n'
        for recipient in data.recipients
    )
    receipt = f'    <ricevuta tipo="{data.receipt_form}"/>\n' if data.receipt_form else ""
    taken = "".join(_element("ricezione", address) for address in data.taken_for)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<postacert tipo="{data.type}" errore="{data.error}">\n'
        "  <intestazione>\n"
        f"{_element('mittente', data.sender)}"
        f"{recipients}"
        f"{_element('risposte', data.reply_to)}"
        f"{_element('oggetto', data.subject)}"
        "  </intestazione>\n"
        "  <dati>\n"
        f"{_element('gestore-emittente', data.provider)}"
        f'    <data zona="{offset(at)}">\n'
        f"      <giorno>{at.day:02}/{at.month:02}/{at.year:04}</giorno>\n"
        f"      <ora>{at.hour:02}:{at.minute:02}:{at.second:02}</ora>\n"
        "    </data>\n"
        f"{_element('identificativo', data.pec_msgid)}"
        f"{_element('msgid', data.msgid)}"
        f"{receipt}"
        f"{_element('consegna', data.delivered_to)}"
        f"{taken}"
        f"{_element('errore-esteso', data.error_text)}"
        "  </dati>\n"
        "</postacert>\n"
    ).encode()


_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 section 2.2
_UNUSUAL = re.compile("[&<>]|[^ -~]")
_ESCAPES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord("\r"): "&#13;"}


def _element(name: str, text: str | None) -> str:
    return "" if text is None else f"    <{name}>{_escaped(text)}</{name}>\n"


def _escaped(text: str) -> str:
    if _UNUSUAL.search(text) is None:
        return text
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text).translate(_ESCAPES)


_ROOT = "postacert"
_HEADER = f"{_ROOT}/intestazione"
_BODY = f"{_ROOT}/dati"
_SENDER = f"{_HEADER}/mittente"
_RECIPIENT = f"{_HEADER}/destinatari"
_REPLY_TO = f"{_HEADER}/risposte"
_SUBJECT = f"{_HEADER}/oggetto"
_PROVIDER = f"{_BODY}/gestore-emittente"
_DATE = f"{_BODY}/data"
_DAY = f"{_DATE}/giorno"
_HOUR = f"{_DATE}/ora"
_PEC_MSGID = f"{_BODY}/identificativo"
_MSGID = f"{_BODY}/msgid"
_RECEIPT = f"{_BODY}/ricevuta"
_DELIVERED_TO = f"{_BODY}/consegna"
_TAKEN_FOR = f"{_BODY}/ricezione"
_ERROR_TEXT = f"{_BODY}/errore-esteso"

_REPEATED = frozenset({_RECIPIENT, _TAKEN_FOR})
_SINGLE = frozenset(
    {
        *(_ROOT, _HEADER, _SENDER, _REPLY_TO, _SUBJECT),
        *(_BODY, _PROVIDER, _DATE, _DAY, _HOUR, _PEC_MSGID, _MSGID, _RECEIPT, _DELIVERED_TO, _ERROR_TEXT),
    }
)
_INSTANT = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{4}) ([0-9]{2}):([0-5][0-9]):([0-5][0-9]|60)")
_ZONE = re.compile(r"([+-])([01][0-9]|2[0-3])([0-5][0-9])")
_PRINTABLE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_LINE_ENDS = str.maketrans("\r\n\t", "   ")
_Value = TypeVar("_Value", bound=StrEnum)


class _Element(NamedTuple):
    attributes: Mapping[str, str]
    chunks: list[str]

    @property
    def text(self) -> str:
        """The text with spaces for tabs and line ends, so that it can go into a header field.

        Raises:
            DaticertError: it is longer than a field may be.
        """
        text = "".join(self.chunks)
        if len(text) > MAX_TEXT:
            raise DaticertError("a text is too long")
        return text if text.isprintable() else text.translate(_LINE_ENDS)

    @property
    def line(self) -> str:
        """The text without the white space that a pretty-printer puts around it."""
        return self.text.strip(" ")


class _Document:
    """The elements that RFC 6109 knows, each by its path, in the order of the file."""

    def __init__(self) -> None:
        self.found: dict[str, list[_Element]] = {}
        self._open: list[tuple[str, _Element]] = []  # with its path
        self._elements = 0

    def parse(self, data: bytes) -> None:
        parser = expat.ParserCreate("UTF-8")  # XML-17; and no charset that the document names is looked up
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.Parse(data, True)

    def first(self, path: str) -> _Element | None:
        found = self.found.get(path)
        return found[0] if found else None

    def line(self, path: str) -> str | None:
        """The text of an element on one line; None if it is missing or empty."""
        found = self.first(path)
        return (found.line or None) if found else None

    def required(self, path: str) -> str:
        line = self.line(path)
        if line is None:
            raise DaticertError(f"{path} is missing")
        return line

    def _start(self, name: str, attributes: Mapping[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS or len(self._open) >= MAX_DEPTH:
            raise DaticertError("it has too many elements")
        path = f"{self._open[-1][0]}/{name}" if self._open else name
        element = _Element(attributes, [])
        self._open.append((path, element))
        if path in _SINGLE or path in _REPEATED:
            others = self.found.setdefault(path, [])
            if others and (path in _SINGLE or len(others) >= MAX_RECIPIENTS):
                raise DaticertError(f"{path} stands too often")
            others.append(element)

    def _characters(self, text: str) -> None:
        self._open[-1][1].chunks.append(text)

    def _end(self, _name: str) -> None:
        self._open.pop()


def _refuse_doctype(*_: object) -> None:
    raise DaticertError("it holds a document type")


def _facts(document: _Document) -> CertificationData:
    root = document.first(_ROOT)
    if root is None:
        raise DaticertError("its root is not postacert")
    sender = document.required(_SENDER)
    if not is_smtp_address(sender):
        raise DaticertError(f"{_SENDER} is no address")
    subject = document.first(_SUBJECT)
    return CertificationData(
        type=_type(root.attributes.get("tipo")),
        error=_known(ErrorKind, root.attributes.get("errore", ErrorKind.NONE), ErrorKind.OTHER),
        sender=sender,
        recipients=_recipients(document),
        reply_to=document.line(_REPLY_TO) or "",
        subject=subject.text if subject else None,
        provider=document.required(_PROVIDER),
        at=_instant(document),
        pec_msgid=_pec_msgid(document.required(_PEC_MSGID)),
        msgid=_msgid(document.line(_MSGID)),
        receipt_form=_receipt_form(document.first(_RECEIPT)),
        delivered_to=document.line(_DELIVERED_TO),
        taken_for=tuple(element.line for element in document.found.get(_TAKEN_FOR, ())),
        error_text=document.line(_ERROR_TEXT),
    )


def _known(values: type[_Value], word: str, otherwise: _Value) -> _Value:
    try:
        return values(word)
    except ValueError:
        return otherwise


def _type(word: str | None) -> CertificationType:
    try:
        return CertificationType(word or "")
    except ValueError as error:
        raise DaticertError("its type is missing or unknown") from error


def _recipients(document: _Document) -> tuple[Recipient, ...]:
    """A recipient whose kind is a word that we do not know is no certified one."""
    recipients = tuple(
        Recipient(
            address=element.line,
            kind=_known(RecipientKind, element.attributes.get("tipo", RecipientKind.CERTIFIED), RecipientKind.EXTERNAL),
        )
        for element in document.found.get(_RECIPIENT, ())
        if element.line
    )
    if not recipients:
        raise DaticertError(f"{_RECIPIENT} is missing")
    return recipients


def _instant(document: _Document) -> datetime:
    date = document.first(_DATE)
    zone = _ZONE.fullmatch(date.attributes.get("zona", "")) if date else None
    match = _INSTANT.fullmatch(f"{document.required(_DAY)} {document.required(_HOUR)}")
    if match is None or zone is None or not MIN_YEAR <= int(match[3]) <= MAX_YEAR:
        raise DaticertError(f"{_DATE} is no instant")
    day, month, year, hour, minute, second = map(int, match.groups())
    offset = timedelta(hours=int(zone[2]), minutes=int(zone[3])) * (-1 if zone[1] == "-" else 1)
    try:
        instant = datetime(year, month, day, hour, minute, tzinfo=timezone(offset))
        return instant + timedelta(seconds=second)  # 60 in a leap second (4.2)
    except ValueError as error:
        raise DaticertError(f"{_DATE} is no instant") from error


def _pec_msgid(line: str) -> str:
    bare = line.removeprefix("<").removesuffix(">")
    if len(bare) > MAX_MSGID or not _PRINTABLE.fullmatch(bare) or not set(" <>").isdisjoint(bare):
        raise DaticertError(f"{_PEC_MSGID} is no message id")
    return bare


def _msgid(line: str | None) -> str | None:
    """The client's id as it is, unless no header field could hold it."""
    return line if line and len(line) <= MAX_MSGID and _PRINTABLE.fullmatch(line) else None


def _receipt_form(element: _Element | None) -> ReceiptForm | None:
    """An unknown form that was asked for counts as the complete one."""
    if element is None:
        return None
    return _known(ReceiptForm, element.attributes.get("tipo", ""), ReceiptForm.COMPLETE)
