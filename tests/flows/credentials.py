"""Keys and certificates of the providers in these tests, made once in a run, and the index that lists them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from gateway.drivers.keyfiles import KeyKind, PrivateKey, new_key
from gateway.drivers.signers import SoftwareSigner
from gateway.lab.authority import Authority, Issued
from providers.chains import Trust
from providers.directory import Directory, ProviderRecord, read_directory, write_ldif

__all__ = ["ROME", "START", "Credential", "authority", "credential", "directory", "other_signer", "trust"]

ROME = ZoneInfo("Europe/Rome")
START = datetime(2026, 3, 2, 9, 30, 15, 123456, tzinfo=ROME)
NAMES = {"alfa.example": "Alfa PEC", "beta.example": "Beta PEC", "gamma.example": "Gamma PEC"}
"""Mail domain and name of each certified provider. Gamma's service address is in a domain of its own."""
SERVICE_DOMAINS = {"gamma.example": "servizio.gamma.example"}


@dataclass(frozen=True)
class Credential:
    """A provider's seal, and its record in the index."""

    name: str
    domain: str
    service_address: str
    issued: Issued
    signer: SoftwareSigner
    record: ProviderRecord


@cache
def rsa_key(which: str) -> PrivateKey:
    return new_key(KeyKind.RSA_2048)


@cache
def authority() -> Authority:
    domains = [(name, SERVICE_DOMAINS.get(domain, domain)) for domain, name in NAMES.items()]
    return Authority.create(domains, START - timedelta(days=30))


@cache
def credential(domain: str) -> Credential:
    name, service = NAMES[domain], f"posta-certificata@{SERVICE_DOMAINS.get(domain, domain)}"
    issued = authority().provider_certificate(name, service, key=rsa_key(domain))
    record = ProviderRecord(
        name=name,
        certificates=(issued.der,),
        mail_receipt=service,
        managed_domains=frozenset({domain, f"studio.{domain}"}),
    )
    return Credential(name, domain, service, issued, issued.signer(), record)


@cache
def other_signer(domain: str, flaw: str) -> SoftwareSigner:
    """A seal of this provider's name that must not be believed: "expired", "unlisted" or of a "stranger"."""
    own = credential(domain)
    if flaw == "stranger":
        strangers = Authority.create([(own.name, own.service_address.partition("@")[2])], START - timedelta(days=30))
        return strangers.provider_certificate(own.name, own.service_address, key=rsa_key("other")).signer()
    lifetime = (START - timedelta(days=20), START - timedelta(days=10)) if flaw == "expired" else None
    return (
        authority()
        .provider_certificate(own.name, own.service_address, key=rsa_key("other"), lifetime=lifetime)
        .signer()
    )


@cache
def directory() -> Directory:
    """All providers; that of alfa lists its expired certificate too."""
    records = [credential(domain).record for domain in NAMES]
    expired = other_signer("alfa.example", "expired").certificate
    alfa = records[0]
    records[0] = ProviderRecord(
        name=alfa.name,
        certificates=(*alfa.certificates, expired),
        mail_receipt=alfa.mail_receipt,
        managed_domains=alfa.managed_domains,
    )
    return read_directory(write_ldif(records))


@cache
def trust() -> Trust:
    return Trust((authority().root.der,))
