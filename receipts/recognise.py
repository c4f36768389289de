"""Which certified message these bytes are, and whether they conform to RFC 6109 (D3).

A defect means "does not conform": a provider's message that has one is wrapped as an anomaly. A deviation is what
real providers do differently: it is worth a line in the register and changes nothing. Whether the signature is good
is not judged here (``providers.verification``).
"""

from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from typing import NamedTuple, TypeVar

from receipts.daticert import MAX_BYTES, DaticertError, read_daticert
from receipts.facts import KIND_OF, CertificationData
from receipts.fields import decode_words
from receipts.identifiers import AddressList, parse_address_list
from receipts.octets import Octets
from receipts.parts import BodyError, Field, Header, Part, decode_body
from receipts.records import record
from receipts.wire import (
    CERTIFICATION_DATA_NAME,
    CERTIFICATION_DATA_NAMES,
    ORIGINAL_NAME,
    PKCS7_SIGNATURE_TYPES,
    SIGNATURE_NAME,
    SUBJECT_PREFIX,
    X_RICEVUTA,
    X_RIFERIMENTO_MESSAGE_ID,
    X_TIPO_RICEVUTA,
    X_TRASPORTO,
    X_VERIFICA_SICUREZZA,
    CertificationType,
    ErrorKind,
    MessageKind,
    ReceiptForm,
    SecurityCheck,
    Transport,
)

__all__ = ["Defect", "Deviation", "Recognition", "receipt_form", "recognise"]


class Defect(StrEnum):
    """Why a message does not conform. That its From address is in the certificate is checked with the signature."""

    NO_MARKER = "neither X-Ricevuta nor X-Trasporto says what it is"
    SEVERAL_MARKERS = "X-Ricevuta and X-Trasporto stand together or more than once"
    UNKNOWN_MARKER = "X-Ricevuta or X-Trasporto holds a word that RFC 6109 does not know"
    REPEATED_FIELD = "From or Content-Type stands more than once"
    FROM = "From does not hold exactly one address"
    STRUCTURE = "it is no multipart/signed of a multipart/mixed and a signature"
    NO_DATA = "the certification data are missing"
    SEVERAL_DATA = "certification data stand more than once"
    UNREADABLE_DATA = "the certification data cannot be read"
    OTHER_TYPE = "X-Ricevuta or X-Trasporto says something else than the certification data"
    ORIGINAL = "a transport envelope does not hold exactly one message"


class Deviation(StrEnum):
    """What is not as RFC 6109 has it, and harmless. Faults of form (``receipts.parts.Fault``) count as such too."""

    SPELLING = "a certified-mail field is spelt otherwise"
    SUBJECT = "the subject has not the prefix of its kind"
    MESSAGE_ID = "the Message-ID is not the one certified"
    REFERENCE = "X-Riferimento-Message-ID is not the msgid certified"
    RECEIPT_FORM = "X-TipoRicevuta is not the form certified"
    SECURITY_CHECK = "X-VerificaSicurezza does not go with the error certified"
    NAME = "a part has another name"
    ORDER = "the text is not the first part"
    ENCODING = "a message or multipart is labelled as encoded"
    CHARSET = "a text is not in ISO-8859-1"
    FROM = "From is not well formed"


@record(kw_only=True)
class Recognition:
    """What a message is, by what it says of itself. Without a marker it is no certified message, and nothing is set."""

    kind: MessageKind | None
    marker: str | None  # X_RICEVUTA or X_TRASPORTO
    data: CertificationData | None  # none in an anomaly envelope
    hard: tuple[str, ...]  # Defects: it does not conform
    soft: tuple[str, ...]  # Deviations and Faults
    content: Part | None = None  # the signed multipart/mixed
    signature: Part | None = None
    original: Part | None = None  # the only message/rfc822 part of the content
    from_address: str | None = None
    header_form: ReceiptForm | None = None  # what X-TipoRicevuta asks for

    @property
    def conforms(self) -> bool:
        return not self.hard


def receipt_form(recognition: Recognition) -> ReceiptForm:
    """The form of delivery receipt that is asked for: the signed data win over the header (D3)."""
    if recognition.data is not None and recognition.data.receipt_form is not None:
        return recognition.data.receipt_form
    return recognition.header_form or ReceiptForm.COMPLETE


def recognise(message: Octets, root: Part) -> Recognition:
    """Recognise a message by its outer header, its structure and its certification data.

    Args:
        message: the message as it arrived.
        root: what ``receipts.scanner.scan`` found in it.
    """
    header = root.header
    senders = _senders(header)
    from_address = senders.addresses[0] if len(senders.addresses) == 1 else None
    claims = _claims(header)
    if not claims:
        return Recognition(
            kind=None, marker=None, data=None, hard=(Defect.NO_MARKER,), soft=(), from_address=from_address
        )
    content, signature = _signed(root)
    data, data_defect = _certification_data(content, message) if content else (None, None)
    originals = [part for part in content.children if part.type == "message/rfc822"] if content else []
    form = header.first(X_TIPO_RICEVUTA)
    found = Recognition(
        kind=data.kind if data else _claimed_kind(claims[0], header),
        marker=claims[0].marker,
        data=data,
        hard=(),
        soft=(),
        content=content,
        signature=signature,
        original=originals[0] if len(originals) == 1 else None,
        from_address=from_address,
        header_form=_member(ReceiptForm, _word(form)) if form else None,
    )
    hard = tuple(_defects(found, root, claims, data_defect))
    soft = tuple(_deviations(found, root, senders))
    return replace(found, hard=hard, soft=soft)


class _Claim(NamedTuple):
    """One X-Ricevuta or X-Trasporto field."""

    marker: str
    word: str


_WORDS = {
    X_RICEVUTA: frozenset(CertificationType) - {CertificationType.ENVELOPE},
    X_TRASPORTO: frozenset(Transport),
}
_MARKERS = (X_RICEVUTA, X_TRASPORTO)
_SPELT = (*_MARKERS, X_TIPO_RICEVUTA, X_RIFERIMENTO_MESSAGE_ID, X_VERIFICA_SICUREZZA)
_Member = TypeVar("_Member", bound=StrEnum)


def _claims(header: Header) -> list[_Claim]:
    return [_Claim(marker, _word(field)) for marker in _MARKERS for field in header.all(marker)]


def _word(field: Field) -> str:
    return field.text.lower()


def _member(values: type[_Member], word: str) -> _Member | None:
    return next((member for member in values if member == word), None)


def _senders(header: Header) -> AddressList:
    field = header.first("From")
    return parse_address_list(field.value) if field else AddressList(())


def _claimed_kind(claim: _Claim, header: Header) -> MessageKind | None:
    """The kind that the unsigned header names, where no certification data do."""
    if claim == _ANOMALY:
        return MessageKind.ANOMALY
    if claim.word not in _WORDS[claim.marker]:
        return None
    claimed = CertificationType(claim.word)
    virus = header.first(X_VERIFICA_SICUREZZA) is not None or claimed is CertificationType.VIRUS
    return KIND_OF.get((claimed, virus)) or KIND_OF.get((claimed, False))


def _signed(root: Part) -> tuple[Part | None, Part | None]:
    """The signed content and its signature, if the message is built as D3 asks."""
    if root.type == "multipart/signed" and len(root.children) == 2:
        content, signature = root.children
        if content.type == "multipart/mixed" and signature.type in PKCS7_SIGNATURE_TYPES:
            return content, signature
    return None, None


def _certification_data(content: Part, message: Octets) -> tuple[CertificationData | None, str | None]:
    """The only certification data in the content, or why there are none."""
    named = [part for part in content.children if (part.name or "").lower() in CERTIFICATION_DATA_NAMES]
    try:
        found = [decode_body(part, message, 2 * MAX_BYTES) for part in named]
        if not named:
            found = list(_unnamed_data(content, message))
        if len(found) == 1:
            return read_daticert(found[0]), None
    except (BodyError, DaticertError) as error:
        return None, f"{Defect.UNREADABLE_DATA}: {error}"
    return None, Defect.SEVERAL_DATA if found else Defect.NO_DATA


def _unnamed_data(content: Part, message: Octets) -> Iterator[bytes]:
    """XML with the root of certification data, under whatever name."""
    for part in content.children:
        if part.type in _XML_TYPES and b"<postacert" in (body := decode_body(part, message, 2 * MAX_BYTES)):
            yield body


def _defects(found: Recognition, root: Part, claims: list[_Claim], data_defect: str | None) -> Iterator[str]:
    header, claim = root.header, claims[0]
    if len(claims) > 1:
        yield Defect.SEVERAL_MARKERS
    if claim.word not in _WORDS[claim.marker]:
        yield Defect.UNKNOWN_MARKER
    if len(header.all("From")) > 1 or len(header.all("Content-Type")) > 1:
        yield Defect.REPEATED_FIELD
    if found.from_address is None:
        yield Defect.FROM
    if found.content is None:
        yield Defect.STRUCTURE
    if data_defect and not (data_defect == Defect.NO_DATA and claim == _ANOMALY):
        yield data_defect
    if found.data and claim != _claim_of(found.data):
        yield Defect.OTHER_TYPE
    if found.kind is MessageKind.ENVELOPE and found.content and found.original is None:
        yield Defect.ORIGINAL


def _claim_of(data: CertificationData) -> _Claim:
    return _Claim(X_TRASPORTO if data.type is CertificationType.ENVELOPE else X_RICEVUTA, data.type)


def _deviations(found: Recognition, root: Part, senders: AddressList) -> Iterator[str]:
    header = root.header
    yield from dict.fromkeys((*header.faults, *root.faults, *(found.content.faults if found.content else ())))
    if any(field.name != name for name in _SPELT for field in header.all(name)):
        yield Deviation.SPELLING
    if senders.faults:
        yield Deviation.FROM
    if found.kind and not _text(header, "Subject").startswith(SUBJECT_PREFIX[found.kind].rstrip()):
        yield Deviation.SUBJECT
    if found.data:
        yield from _disagreements(found, header, found.data)
    if found.content and found.signature:
        yield from _oddities(found.content, found.signature)


def _disagreements(found: Recognition, header: Header, data: CertificationData) -> Iterator[Deviation]:
    """Where the outer header and the certification data say different things."""
    if found.kind is MessageKind.ENVELOPE and _text(header, "Message-ID") != f"<{data.pec_msgid}>":
        yield Deviation.MESSAGE_ID
    if _text(header, X_RIFERIMENTO_MESSAGE_ID) != (data.msgid or ""):
        yield Deviation.REFERENCE
    if found.kind is MessageKind.ENVELOPE and found.header_form is not data.receipt_form:
        yield Deviation.RECEIPT_FORM
    told = data.error is ErrorKind.VIRUS and data.type is not CertificationType.VIRUS  # HDR-06: notices to senders
    if told != (_text(header, X_VERIFICA_SICUREZZA) == SecurityCheck.ERROR):
        yield Deviation.SECURITY_CHECK


def _text(header: Header, name: str) -> str:
    field = header.first(name)
    return decode_words(field.value) if field else ""


def _oddities(content: Part, signature: Part) -> Iterator[Deviation]:
    """How the parts are named, ordered and labelled."""
    if any(_usual_name(part) not in {None, part.name} for part in (*content.children, signature)):
        yield Deviation.NAME
    if content.children and content.children[0].type not in {"text/plain", "multipart/alternative"}:
        yield Deviation.ORDER
    if any(
        part.encoding in {"base64", "quoted-printable"} for part in (content, *content.children) if _holds_parts(part)
    ):
        yield Deviation.ENCODING
    texts = (part for part in content.walk() if part.type in {"text/plain", "text/html"})
    if any(part.params.get("charset", "us-ascii").lower() not in {"iso-8859-1", "us-ascii"} for part in texts):
        yield Deviation.CHARSET


def _usual_name(part: Part) -> str | None:
    if part.type in PKCS7_SIGNATURE_TYPES:
        return SIGNATURE_NAME
    return _USUAL_NAMES.get(part.type)


def _holds_parts(part: Part) -> bool:
    return part.type.startswith("multipart/") or part.type == "message/rfc822"


_ANOMALY = _Claim(X_TRASPORTO, Transport.ANOMALY)
_XML_TYPES = frozenset({"application/xml", "text/xml"})
_USUAL_NAMES = {"application/xml": CERTIFICATION_DATA_NAME, "message/rfc822": ORIGINAL_NAME}
