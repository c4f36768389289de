"""The original message at the access point: what it says, and the few bytes of it that may change."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from receipts.fields import decode_words
from receipts.headers import CRLF, line, visible
from receipts.identifiers import is_msgid, parse_address_list
from receipts.octets import Octets
from receipts.records import record
from receipts.scanner import Field, Header, Part, scan
from receipts.wire import X_RIFERIMENTO_MESSAGE_ID, X_TIPO_RICEVUTA, ReceiptForm
from receipts.writer import base64_lines, is_seven_bit, quoted_printable

__all__ = ["Original", "as_seven_bit", "read_original", "reidentified", "seven_bit_pieces"]


@record(kw_only=True)
class Original:
    """What certified mail takes from a message that a holder hands in.

    Nothing here says that the message is correct: the formal checks look at the fields themselves.
    """

    message: Octets
    root: Part
    subject: str | None  # decoded, in one line; None if there is no Subject
    subject_raw: bytes | None
    msgid: str | None  # with angle brackets; None if there is none, or none that can be repeated
    authors: tuple[str, ...]  # the addresses in From
    reply_to: str  # "risposte": the addresses in Reply-To, else those in From; may be empty
    to: tuple[str, ...]
    cc: tuple[str, ...]
    requested_form: ReceiptForm  # what is not a known form counts as complete

    @property
    def header(self) -> Header:
        return self.root.header

    @property
    def from_address(self) -> str:
        """The one author, or nothing if there is none or more than one."""
        return self.authors[0] if len(self.authors) == 1 else ""


def read_original(message: Octets, root: Part) -> Original:
    """Take the facts from a scanned message. Never raises: what cannot be read is missing."""
    header = root.header
    subject = header.first("Subject")
    authors = _addresses(header, "From")
    return Original(
        message=message,
        root=root,
        subject=None if subject is None else visible(decode_words(subject.value)).strip(),
        subject_raw=None if subject is None else subject.value,
        msgid=_msgid(header),
        authors=authors,
        reply_to=", ".join(_addresses(header, "Reply-To") or authors),
        to=_addresses(header, "To"),
        cc=_addresses(header, "Cc"),
        requested_form=_requested_form(header),
    )


def reidentified(original: Original, pec_msgid: str, received: bytes) -> Octets:
    """The original as it travels: our Received line on top, our Message-ID, the client's own in the last field.

    Every other byte stays (RFC 6109 section 2.2.1).
    """
    message, header = original.message, original.root.header
    identifier = line("Message-ID", f"<{pec_msgid}>")
    end = header.fields[-1].stop if header.fields else 0
    ending = b"" if not end or message.read(end - 2, end) == CRLF else CRLF
    reference = b"" if original.msgid is None else line(X_RIFERIMENTO_MESSAGE_ID, original.msgid)
    old = header.first("Message-ID")
    if old is None:
        return Octets.of(received, message.slice(0, end), ending, identifier, reference, message.slice(end))
    return Octets.of(
        received,
        message.slice(0, old.start),
        identifier,
        message.slice(old.stop, end),
        ending if old.stop < end else b"",
        reference,
        message.slice(end),
    )


def as_seven_bit(message: Octets, root: Part) -> Octets:
    """The message with its 8-bit leaves encoded: text as quoted-printable, anything else as base64.

    Headers, boundaries and structure stay, and so does everything inside a ``multipart/signed``. A message attached
    is treated the same way, for ``message/rfc822`` may not be encoded itself. A leaf that claims to be encoded and
    is not is left alone.
    """
    if is_seven_bit(message):
        return message
    parts: list[Octets | bytes] = []
    at = 0
    for change in _changes(message, root, 0, 0):
        parts += (message.slice(at, change.start), b"".join(change.replacement))
        at = change.stop
    return Octets.of(*parts, message.slice(at))


def seven_bit_pieces(message: Octets, root: Part) -> Iterator[bytes]:
    """The bytes of ``as_seven_bit`` one after the other, for messages that shall not stand in memory whole (D20)."""
    at = 0
    for change in _changes(message, root, 0, 0):
        yield from message.slice(at, change.start).pieces()
        yield from change.replacement
        at = change.stop
    yield from message.slice(at).pieces()


@dataclass(frozen=True, slots=True)
class _Change:
    start: int
    stop: int
    replacement: Iterable[bytes]  # can be gone through once


_DEEPEST_ATTACHMENT = 10  # messages within messages; what lies deeper keeps its 8-bit bytes
_BASE64_CHUNK = 57 * 1024  # whole lines of 57 bytes
_ENCODED_ALREADY = frozenset({"base64", "quoted-printable"})
_PLAIN_ENCODINGS = frozenset({"", "7bit", "8bit", "binary"})


def _changes(message: Octets, part: Part, base: int, depth: int) -> Iterator[_Change]:
    """The changes to the leaves below ``part``, in order; ``base`` is where the scanned message begins."""
    if part.type == "multipart/signed":
        return
    if part.children:
        for child in part.children:
            yield from _changes(message, child, base, depth)
        return
    start, stop = base + part.body_start, base + part.stop
    body = message.slice(start, stop)
    if part.encoding not in _PLAIN_ENCODINGS or is_seven_bit(body):
        return
    if part.type == "message/rfc822":
        if depth < _DEEPEST_ATTACHMENT:
            yield from _changes(message, scan(body), start, depth + 1)
        return
    if part.type.startswith(("multipart/", "message/")):  # may not be encoded (RFC 2046 5.2); broken if we are here
        return
    text = part.type.startswith("text/")
    yield from _labelled(part, base, b"quoted-printable" if text else b"base64")
    yield _Change(start, stop, _quoted_printable(body) if text else _base64(body))


def _labelled(part: Part, base: int, encoding: bytes) -> Iterator[_Change]:
    """The changes that name the new encoding; in a message that is not MIME yet, they make it so."""
    header = part.header
    field = b"Content-Transfer-Encoding: " + encoding + CRLF
    if part.start == 0 and header.first("MIME-Version") is None:
        field = b"MIME-Version: 1.0" + CRLF + field
    old = header.all("Content-Transfer-Encoding")
    if not old:
        end = base + header.start + (header.fields[-1].stop if header.fields else 0)
        yield _Change(end, end, (field,))
    for index, named in enumerate(old):
        start = base + header.start
        yield _Change(start + named.start, start + named.stop, () if index else (field,))


def _quoted_printable(body: Octets) -> Iterator[bytes]:
    rest = b""
    for piece in body.pieces():
        rest += piece
        if end := rest.rfind(CRLF) + 1:  # lines are encoded each by itself
            yield quoted_printable(rest[: end + 1])
            rest = rest[end + 1 :]
    yield quoted_printable(rest)


def _base64(body: Octets) -> Iterator[bytes]:
    rest, before = b"", b""
    for piece in body.pieces():
        rest += piece
        if whole := len(rest) // _BASE64_CHUNK * _BASE64_CHUNK:
            yield before + base64_lines(rest[:whole])
            rest, before = rest[whole:], CRLF
    if rest:
        yield before + base64_lines(rest)


def _addresses(header: Header, name: str) -> tuple[str, ...]:
    return tuple(address for field in header.all(name) for address in parse_address_list(field.value).addresses)


def _msgid(header: Header) -> str | None:
    field: Field | None = header.first("Message-ID")
    if field is None:
        return None
    value = field.text.strip()
    return value if is_msgid(value) else None


def _requested_form(header: Header) -> ReceiptForm:
    field = header.first(X_TIPO_RICEVUTA)
    try:
        return ReceiptForm.COMPLETE if field is None else ReceiptForm(field.text.strip().lower())
    except ValueError:
        return ReceiptForm.COMPLETE
