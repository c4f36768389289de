"""DKIM signatures on mail that arrived: each looked at, a few at most (RFC 6376 section 6).

dkimpy reads the field, chooses and canonicalises header fields and checks the signature; the keys are asked for
beforehand, all of them without a thread that waits, and the digest of the body is streamed (``dkim_body``). What a
stranger may make slow is refused before dkimpy sees it.
"""

import base64
import binascii
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import dkim

from gateway.drivers.dkim_body import CanonicalBody
from gateway.drivers.dns import Dns, DnsUnavailable
from gateway.points.authentication import Dkim, Result
from receipts.octets import Octets
from receipts.scanner import Header

__all__ = ["SignatureField", "check_signatures", "find_keys", "signature_fields"]

MAX_SIGNATURES: Final = 5
MAX_FIELD: Final = 6_000  # bytes of one DKIM-Signature
MAX_HEADER: Final = 64 * 1024  # bytes, of all fields
MAX_FIELDS: Final = 500
MIN_KEY_BITS: Final = 1024
LONG_WHITE: Final = re.compile(rb"[ \t\r\n]{80}")
"""What dkimpy's expressions take too long over."""
SILENT: Final = logging.getLogger(f"{__name__}.library")
SILENT.disabled = True  # it would write lines of the message (D32)
HASHES: Final = {b"rsa-sha256": "sha256", b"ed25519-sha256": "sha256"}
"""SHA-1 proves nothing any more (RFC 8301)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureField:
    """A DKIM-Signature as it was read; ``fault`` if it is not to be checked."""

    index: int  # among the DKIM-Signature fields
    domain: str = ""
    selector: str = ""
    tags: Mapping[bytes, bytes] | None = None
    fault: Dkim | None = None

    @property
    def key_name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def body_form(self) -> tuple[bool, str]:
        """Whether the body is relaxed, and the name of the hash."""
        assert self.tags is not None
        canonical = self.tags.get(b"c", b"simple/simple")
        return canonical.rpartition(b"/")[2] == b"relaxed" and b"/" in canonical, HASHES[self.tags[b"a"]]


def signature_fields(message: Octets, header: Header) -> list[SignatureField]:
    """The signatures of a message, the first few of them, read and found fit to be checked or not."""
    fields = header.all("DKIM-Signature")
    if not fields:
        return []
    if header.stop > MAX_HEADER or len(header.fields) > MAX_FIELDS:
        return [SignatureField(index=0, fault=_error("header too long"))]
    raw = message.read(0, header.stop)
    return [_read(raw, index, field.value) for index, field in enumerate(fields[:MAX_SIGNATURES])]


async def find_keys(dns: Dns, fields: Iterable[SignatureField]) -> dict[str, bytes | DnsUnavailable]:
    """What the DNS says under the names of their keys: a record, nothing, or that nobody can tell."""
    found: dict[str, bytes | DnsUnavailable] = {}
    for field in fields:
        if field.tags is None or field.key_name in found:
            continue
        try:
            texts = await dns.texts(field.key_name)
            found[field.key_name] = texts[0] if texts else b""
        except DnsUnavailable as error:
            found[field.key_name] = error
    return found


def check_signatures(
    message: Octets,
    header: Header,
    fields: Sequence[SignatureField],
    keys: Mapping[str, bytes | DnsUnavailable],
) -> list[Dkim]:
    """The verdict on each. Reads the body once."""
    raw = message.read(0, header.stop) if header.stop <= MAX_HEADER else b""
    sought = {field.body_form for field in fields if field.tags is not None and keys.get(field.key_name)}
    digests = _digests(message.slice(header.stop), sought)
    return [_verdict(raw, field, keys.get(field.key_name, b""), digests) for field in fields]


def _read(raw: bytes, index: int, value: bytes) -> SignatureField:
    if len(value) > MAX_FIELD or LONG_WHITE.search(value):
        return SignatureField(index=index, fault=_error("signature field too long"))
    try:
        found = dkim.DKIM(raw, logger=SILENT).verify_headerprep(index)
        tags: dict[bytes, bytes] = found[0]
        domain, selector = tags[b"d"].decode("ascii").lower(), tags[b"s"].decode("ascii")
    except (dkim.DKIMException, AssertionError, KeyError, ValueError, TypeError, IndexError):
        return SignatureField(index=index, fault=_error("signature field cannot be read"))
    named = {"index": index, "domain": domain, "selector": selector}
    if tags.get(b"a") not in HASHES or b"bh" not in tags:
        fault = Dkim(result=Result.PERMERROR, domain=domain, selector=selector, reason="algorithm not accepted")
        return SignatureField(**named, fault=fault)  # type: ignore[arg-type]
    return SignatureField(**named, tags=tags)  # type: ignore[arg-type]


def _digests(body: Octets, forms: Iterable[tuple[bool, str]]) -> dict[tuple[bool, str], tuple[bytes, int]]:
    """The digest and the length of the body in each form, in one pass."""
    bodies = {form: CanonicalBody(relaxed=form[0], algorithm=form[1]) for form in forms}
    if bodies:
        for piece in body.pieces():
            for canonical in bodies.values():
                canonical.feed(piece)
    return {form: (canonical.digest(), canonical.length) for form, canonical in bodies.items()}


def _verdict(
    raw: bytes,
    field: SignatureField,
    key: bytes | DnsUnavailable,
    digests: Mapping[tuple[bool, str], tuple[bytes, int]],
) -> Dkim:
    if field.fault is not None:
        return field.fault
    assert field.tags is not None
    if isinstance(key, DnsUnavailable):
        return _about(field, Result.TEMPERROR, "no answer from the DNS")
    if not key:
        return _about(field, Result.PERMERROR, "no key published")
    digest, length = digests[field.body_form]
    if not _is_whole(field.tags.get(b"l"), length):
        return _about(field, Result.NEUTRAL, "only a part of the body is signed")
    if digest != _decoded(field.tags[b"bh"]):
        return _about(field, Result.FAIL, "body hash did not verify")
    try:
        holds = _HeaderCheck(raw, key).verify(field.index)
    except (dkim.UnknownKeyTypeError, dkim.NaClNotFoundError):
        return _about(field, Result.NEUTRAL, "key type not known")
    except (dkim.DKIMException, AssertionError, ArithmeticError, LookupError, ValueError, TypeError):
        return _about(field, Result.PERMERROR, "key or signature cannot be read")
    return _about(field, Result.PASS) if holds else _about(field, Result.FAIL, "signature did not verify")


class _HeaderCheck(dkim.DKIM):  # type: ignore[misc]
    """dkimpy's check of a signature over a header alone: the body's digest was compared before."""

    def __init__(self, header: bytes, key: bytes) -> None:
        super().__init__(header, logger=SILENT, minkey=MIN_KEY_BITS)
        self._key = key

    def verify_sig(self, sig: Any, include_headers: Any, sig_header: Any, dnsfunc: Any) -> Any:
        self.pk, self.keysize, self.ktag, self.seqtlsrpt = dkim.evaluate_pk(b"", self._key)
        without_body = {name: value for name, value in sig.items() if name != b"bh"}
        return self.verify_sig_process(without_body, include_headers, sig_header, dnsfunc)


def _is_whole(limit: bytes | None, length: int) -> bool:
    """Whether a signature covers the whole body: with l= anything may be added behind it (8.2)."""
    return limit is None or (limit.isdigit() and len(limit) < 20 and int(limit) == length)


def _decoded(encoded: bytes) -> bytes:
    try:
        return base64.b64decode(re.sub(rb"[ \t\r\n]", b"", encoded))
    except binascii.Error:
        return b""


def _about(field: SignatureField, result: Result, reason: str = "") -> Dkim:
    return Dkim(result=result, domain=field.domain, selector=field.selector, reason=reason)


def _error(reason: str) -> Dkim:
    return Dkim(result=Result.PERMERROR, reason=reason)
