"""CMS SignedData (RFC 5652), read from DER or BER into a record of plain bytes.

Nothing here is verified: ``providers.verification`` does that. Bounded in size, depth and number, because these
bytes come from whoever connects.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from providers.der import (
    INTEGER,
    OBJECT_IDENTIFIER,
    OCTET_STRING,
    SEQUENCE,
    SET,
    DerError,
    NotDer,
    as_der,
    children,
    element,
    expect,
    object_identifier,
    tlv,
)
from receipts.records import record

__all__ = ["Algorithm", "CmsError", "SignedData", "SignerInfo", "read_signed_data"]

MAX_DETACHED_BYTES = 256 * 1024
"""A detached signature with a few certificates has 3 to 6 kB."""
MAX_CERTIFICATES = 16
MAX_SIGNERS = 8
MAX_ATTRIBUTES = 64

ID_DATA = object_identifier("1.2.840.113549.1.7.1")
ID_SIGNED_DATA = object_identifier("1.2.840.113549.1.7.2")
ID_CONTENT_TYPE = object_identifier("1.2.840.113549.1.9.3")  # RFC 5652 11.1
ID_MESSAGE_DIGEST = object_identifier("1.2.840.113549.1.9.4")  # RFC 5652 11.2
ID_SIGNING_TIME = object_identifier("1.2.840.113549.1.9.5")  # RFC 5652 11.3
ID_SIGNING_CERTIFICATE = object_identifier("1.2.840.113549.1.9.16.2.12")  # RFC 2634 5.4
ID_SIGNING_CERTIFICATE_V2 = object_identifier("1.2.840.113549.1.9.16.2.47")  # RFC 5035 3
ID_ALGORITHM_PROTECTION = object_identifier("1.2.840.113549.1.9.52")  # RFC 6211

CONTEXT_0, CONTEXT_1, KEY_IDENTIFIER = 0xA0, 0xA1, 0x80
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18


class CmsError(ValueError):
    """These bytes are no CMS SignedData that we read; the text says why."""


@record()
class Algorithm:
    """An AlgorithmIdentifier; both are whole elements."""

    oid: bytes
    parameters: bytes | None

    @property
    def is_bare(self) -> bool:
        """No parameters, or NULL in their place, which mean the same (RFC 5754 section 2)."""
        return self.parameters is None or self.parameters == b"\x05\x00"


@record(kw_only=True)
class SignerInfo:
    """One signature and what it says about itself."""

    issuer: bytes | None  # DER of the Name; None when the signer is named by key identifier
    serial: bytes | None  # the whole element
    key_identifier: bytes | None
    digest_algorithm: Algorithm
    signature_algorithm: Algorithm
    signature: bytes
    signed: bytes | None  # what the signature covers: the attributes as a SET; None: the content itself
    attributes: Mapping[bytes, bytes]  # type (whole element) -> its one value (whole element)

    @property
    def message_digest(self) -> bytes | None:
        value = self.attributes.get(ID_MESSAGE_DIGEST)
        return _content(value, OCTET_STRING) if value is not None else None

    @property
    def signing_time(self) -> datetime | None:
        """What the signer says the time was; None when absent or unreadable."""
        return _time(self.attributes.get(ID_SIGNING_TIME, b""))


@record(kw_only=True)
class SignedData:
    content_type: bytes  # whole element
    content: bytes | None  # None when the signature is detached
    certificates: tuple[bytes, ...]  # DER, in the order found
    signers: tuple[SignerInfo, ...]


def read_signed_data(data: bytes, max_bytes: int = MAX_DETACHED_BYTES) -> SignedData:
    """Read a ContentInfo that holds SignedData.

    Raises:
        CmsError: broken, of another type, over ``max_bytes``, or with more parts than anybody needs.
    """
    if len(data) > max_bytes:
        raise CmsError("larger than any signature we read")
    try:
        try:
            return _content_info(data)
        except NotDer:
            return _content_info(as_der(data))
    except DerError as error:
        raise CmsError(str(error)) from error


def _content_info(data: bytes) -> SignedData:
    start, end = expect(data, 0, len(data), SEQUENCE)
    if end != len(data):
        raise CmsError("bytes follow the signature")
    at = start + len(ID_SIGNED_DATA)
    if data[start:at] != ID_SIGNED_DATA:
        raise CmsError("not SignedData")
    start, end = expect(data, at, end, CONTEXT_0)
    start, end = expect(data, start, end, SEQUENCE)
    return _signed_data(data, start, end)


def _signed_data(data: bytes, at: int, end: int) -> SignedData:
    _, at = expect(data, at, end, INTEGER)
    _, at = expect(data, at, end, SET)
    start, at = expect(data, at, end, SEQUENCE)
    content_type, content = _encapsulated(data, start, at)
    certificates: tuple[bytes, ...] = ()
    for tag, _, body, stop in children(data, at, end):
        if tag == CONTEXT_0 and not certificates:
            certificates = _certificates(data, body, stop)
        elif tag == SET and stop == end:
            signers = tuple(_signer_info(data, *bounds) for bounds in _sequences(data, body, stop, MAX_SIGNERS))
            return SignedData(content_type=content_type, content=content, certificates=certificates, signers=signers)
        elif tag != CONTEXT_1:  # revocation lists, which nobody sends
            break
    raise CmsError("no list of signers")


def _encapsulated(data: bytes, start: int, end: int) -> tuple[bytes, bytes | None]:
    _, stop = expect(data, start, end, OBJECT_IDENTIFIER)
    if stop == end:
        return data[start:stop], None
    body, last = expect(data, stop, end, CONTEXT_0)
    if data[body : body + 1] == b"\x24":
        raise NotDer("an octet string in pieces")
    first, last = expect(data, body, last, OCTET_STRING)
    return data[start:stop], data[first:last]


def _certificates(data: bytes, start: int, end: int) -> tuple[bytes, ...]:
    found = tuple(data[at:stop] for tag, at, _, stop in children(data, start, end) if tag == SEQUENCE)
    if len(found) > MAX_CERTIFICATES:
        raise CmsError("too many certificates")
    return found


def _sequences(data: bytes, start: int, end: int, most: int) -> list[tuple[int, int]]:
    """Where the content of each SEQUENCE between ``start`` and ``end`` starts and ends."""
    found: list[tuple[int, int]] = []
    for tag, _, body, stop in children(data, start, end):
        if tag != SEQUENCE or len(found) == most:
            raise CmsError("too many elements, or one of a kind that does not belong")
        found.append((body, stop))
    return found


def _signer_info(data: bytes, at: int, end: int) -> SignerInfo:
    _, at = expect(data, at, end, INTEGER)
    tag, body, stop = element(data, at, end)
    issuer = serial = key_identifier = None
    if tag == SEQUENCE:
        _, after_issuer = expect(data, body, stop, SEQUENCE)
        issuer = data[body:after_issuer]
        _, last = expect(data, after_issuer, stop, INTEGER)
        serial = data[after_issuer:last]
    elif tag == KEY_IDENTIFIER:
        key_identifier = data[body:stop]
    else:
        raise CmsError("a signer without a name")
    digest_algorithm, at = _algorithm(data, stop, end)
    tag, body, stop = element(data, at, end)
    signed, attributes = None, {}
    if tag == CONTEXT_0:
        signed = tlv(SET, data[body:stop])
        attributes = _attributes(data, body, stop)
        at = stop
    signature_algorithm, at = _algorithm(data, at, end)
    body, stop = expect(data, at, end, OCTET_STRING)
    return SignerInfo(
        issuer=issuer,
        serial=serial,
        key_identifier=key_identifier,
        digest_algorithm=digest_algorithm,
        signature_algorithm=signature_algorithm,
        signature=data[body:stop],
        signed=signed,
        attributes=attributes,
    )


def _algorithm(data: bytes, at: int, end: int) -> tuple[Algorithm, int]:
    start, stop = expect(data, at, end, SEQUENCE)
    return algorithm(data, start, stop), stop


def algorithm(data: bytes, start: int, stop: int) -> Algorithm:
    """The AlgorithmIdentifier whose content stands between ``start`` and ``stop``."""
    _, after = expect(data, start, stop, OBJECT_IDENTIFIER)
    return Algorithm(data[start:after], data[after:stop] or None)


def _attributes(data: bytes, start: int, end: int) -> dict[bytes, bytes]:
    """Each attribute once and with one value, as RFC 5652 section 11 asks of those that we use."""
    attributes: dict[bytes, bytes] = {}
    for body, stop in _sequences(data, start, end, MAX_ATTRIBUTES):
        _, after = expect(data, body, stop, OBJECT_IDENTIFIER)
        first, last = expect(data, after, stop, SET)
        name = data[body:after]
        if name in attributes:
            raise CmsError("a signed attribute stands twice")
        values = list(children(data, first, last))
        if len(values) == 1:
            attributes[name] = data[first:last]
        elif name in SINGLE_VALUED:
            raise CmsError("a signed attribute has several values")
    return attributes


SINGLE_VALUED = frozenset(
    {
        ID_CONTENT_TYPE,
        ID_MESSAGE_DIGEST,
        ID_SIGNING_TIME,
        ID_SIGNING_CERTIFICATE,
        ID_SIGNING_CERTIFICATE_V2,
        ID_ALGORITHM_PROTECTION,
    }
)


def _content(value: bytes, tag: int) -> bytes | None:
    try:
        start, end = expect(value, 0, len(value), tag)
    except DerError:
        return None
    return value[start:end]


def _time(value: bytes) -> datetime | None:
    """UTCTime or GeneralizedTime in the one form that RFC 5652 section 11.3 allows."""
    text = value[2:].decode("ascii", "replace")
    if value[:1] == bytes((UTC_TIME,)) and len(text) == 13:
        text = ("20" if text[:2] < "50" else "19") + text
    if not text.endswith("Z") or not text[:-1].isdecimal() or len(text) != 15:
        return None
    year, month, day, hour, minute, second = (int(text[at : at + 2]) for at in range(2, 14, 2))
    try:
        return datetime(100 * int(text[:2]) + year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
