"""The record of one provider in the index (RFC 6109 section 4.5): from LDIF attributes, and back."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from providers.ldif import LdifRecord, write_record
from receipts.identifiers import domain_of

__all__ = [
    "ProviderRecord",
    "RecordRefused",
    "entries",
    "is_provider",
    "read_record",
    "unescaped",
    "write_ldif",
    "write_records",
]

# Attribute names, section 4.5.1 to 4.5.9
CERTIFICATE_HASH, CERTIFICATE, NAME, UNIT = (
    "providerCertificateHash",
    "providerCertificate",
    "providerName",
    "providerUnit",
)
MAIL_RECEIPT, DOMAINS, LOCATION, DESCRIPTION = "mailReceipt", "managedDomains", "LDIFLocationURL", "description"
OBJECT_CLASS, PROVIDER_CLASS = "objectClass", b"provider"
ROOT_DN = "o=postacert"
VERSION = b"version: 1\n\n"

MAX_CERTIFICATES = 64
MAX_NAME_CHARACTERS = 512

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_ADDRESS = re.compile(rf"(?=.{{1,254}}\Z){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
_NAME_IN_DN = re.compile(r"(?:^|,)\s*providerName=((?:[^,\\]|\\.)*)", re.IGNORECASE)
_UNESCAPED = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)")
_ESCAPED = re.compile(r'([,+"\\<>;=]|^[ #]| $)')


class RecordRefused(ValueError):
    """A record of the index that we do not use; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRecord:
    """A certified provider, or a secondary environment of one (4.5.7)."""

    name: str
    unit: str | None = None
    certificates: tuple[bytes, ...]  # DER
    mail_receipt: str  # where its take-charge receipts and virus notices go
    managed_domains: frozenset[str]  # lower-case A-labels
    ldif_url: str | None = None
    description: str | None = None
    main: str | None = None  # the provider's name in the record's dn where it differs from ``name``

    @property
    def owner(self) -> str:
        """Whose record this is, for comparing: the RFC's own example varies case, spaces and name (4.5.10)."""
        return "".join((self.main or self.name).split()).casefold()

    @property
    def dn(self) -> str:
        unit = f"providerUnit={_escaped(self.unit)}," if self.unit else ""
        return f"{unit}providerName={_escaped(self.name)},{ROOT_DN}"


def is_provider(record: LdifRecord) -> bool:
    """Whether the record is of the class ``provider``; the root of the index is not."""
    return any(value.lower() == PROVIDER_CLASS for value in record.all(OBJECT_CLASS))


def read_record(record: LdifRecord) -> ProviderRecord:
    """Read a record of the class ``provider``.

    Raises:
        RecordRefused: an attribute is missing or malformed, or a hash and its certificate differ (DIR-14).
    """
    certificates = record.all(CERTIFICATE)
    if not 1 <= len(certificates) <= MAX_CERTIFICATES:
        raise RecordRefused(f"it has {len(certificates)} certificates")
    _check_hashes(record.all(CERTIFICATE_HASH), certificates)
    domains = record.all(DOMAINS)
    if not domains:
        raise RecordRefused("it manages no domain")
    name, main = _single(record, NAME) or _missing(NAME), _named(record.dn)
    return ProviderRecord(
        name=name,
        unit=_single(record, UNIT),
        certificates=certificates,
        mail_receipt=_address(_single(record, MAIL_RECEIPT) or _missing(MAIL_RECEIPT)),
        managed_domains=frozenset(map(_domain, domains)),
        ldif_url=_single(record, LOCATION),
        description=_single(record, DESCRIPTION, several=True),
        main=main if main != name else None,
    )


def write_ldif(records: tuple[ProviderRecord, ...] | list[ProviderRecord], location: str | None = None) -> bytes:
    """The whole index as LDIF: the root record, then the providers in the order given.

    Args:
        location: where this very file can be fetched, for the root record (4.5.6).
    """
    return VERSION + write_record(ROOT_DN, _root(location)) + _written(records)


def entries(
    records: Iterable[ProviderRecord], location: str | None = None
) -> Iterator[tuple[str, dict[str, list[bytes]]]]:
    """The same as entries of an LDAP server: distinguished name, and values by attribute; the root first."""
    yield ROOT_DN, _gathered(_root(location))
    for record in records:
        yield record.dn, _gathered(_attributes(record))


def _gathered(attributes: Iterable[tuple[str, bytes]]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for name, value in attributes:
        found.setdefault(name, []).append(value)
    return found


def _root(location: str | None) -> Iterator[tuple[str, bytes]]:
    for name in (b"top", b"organization", b"LDIFLocationURLObject"):
        yield OBJECT_CLASS, name
    yield "o", b"postacert"
    if location:
        yield LOCATION, location.encode()
    yield DESCRIPTION, b"Base root for the PEC providers directory"


def write_records(records: Iterable[ProviderRecord]) -> bytes:
    """The file of one provider: its main record and its secondary environments, without a root (4.5.6, 4.5.7)."""
    return VERSION + _written(records)


def _written(records: Iterable[ProviderRecord]) -> bytes:
    return b"".join(write_record(record.dn, _attributes(record)) for record in records)


def _attributes(record: ProviderRecord) -> Iterator[tuple[str, bytes]]:
    yield OBJECT_CLASS, b"top"
    yield OBJECT_CLASS, PROVIDER_CLASS
    yield NAME, record.name.encode()
    if record.unit:
        yield UNIT, record.unit.encode()
    for certificate in record.certificates:
        yield CERTIFICATE_HASH, _sha1(certificate).upper().encode()
        yield f"{CERTIFICATE};binary", certificate
    yield MAIL_RECEIPT, record.mail_receipt.encode()
    if record.ldif_url and not record.unit:
        yield LOCATION, record.ldif_url.encode()
    for domain in sorted(record.managed_domains):
        yield DOMAINS, domain.encode()
    if record.description:
        yield DESCRIPTION, record.description.encode()


def _check_hashes(stated: tuple[bytes, ...], certificates: tuple[bytes, ...]) -> None:
    found = {_sha1(certificate).encode() for certificate in certificates}
    if {value.lower() for value in stated} != found:
        raise RecordRefused("a stated hash and its certificate differ")


def _sha1(certificate: bytes) -> str:
    return hashlib.sha1(certificate, usedforsecurity=False).hexdigest()


def _single(record: LdifRecord, name: str, *, several: bool = False) -> str | None:
    values = record.all(name)
    if not values:
        return None
    if len(values) > 1 and not several:
        raise RecordRefused(f"it has {len(values)} values of {name}")
    try:
        text = values[0].decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecordRefused(f"{name} is not UTF-8") from error
    if len(text) > MAX_NAME_CHARACTERS or not text.isprintable():
        raise RecordRefused(f"{name} is too long or holds control characters")
    return text


def _named(dn: str) -> str | None:
    found = _NAME_IN_DN.search(dn)
    return unescaped(found[1]).strip() if found else None


def unescaped(value: str) -> str:
    """A value as it was before it went into a distinguished name (RFC 4514 section 2.4): ``\\,`` and ``\\2C`` alike."""
    return _UNESCAPED.sub(_plain, value)


def _plain(escaped: re.Match[str]) -> str:
    if escaped[2] is not None:
        return escaped[2]
    return bytes.fromhex(escaped[1].replace("\\", "")).decode("utf-8", "replace")


def _missing(name: str) -> str:
    raise RecordRefused(f"it has no {name}")


def _address(text: str) -> str:
    if _ADDRESS.fullmatch(text) is None:
        raise RecordRefused(f"{MAIL_RECEIPT} is no address")
    return text


def _domain(value: bytes) -> str:
    text = value.decode("ascii", "replace")
    if _DOMAIN.fullmatch(text) is None:
        raise RecordRefused(f"one of {DOMAINS} is no domain")
    return domain_of(f"@{text}")


def _escaped(value: str) -> str:
    """A value inside a distinguished name (RFC 4514 section 2.4)."""
    return _ESCAPED.sub(r"\\\1", value)
