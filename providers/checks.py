"""The checks of a report, by name, and those that ask about the signer's certificate."""

from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from providers.certificates import CertificateFacts
from providers.chains import ChainCache, Trust
from providers.directory import Directory, ProviderRecord
from providers.standing import Standings, Status
from receipts.identifiers import domain_of
from receipts.records import record

__all__ = [
    "Check",
    "CheckName",
    "check_chain",
    "check_email",
    "check_from_domain",
    "check_index",
    "check_key_usage",
    "check_revocation",
    "check_validity",
]


class CheckName(StrEnum):
    """Every check that there is, in the order in which a report shows them. The names are for machines, for good."""

    STRUCTURE = "structure"  # IP-01: content and one detached CMS signature
    DIGEST = "digest"  # IP-03: the content is the one that was signed
    SIGNATURE = "signature"  # IP-03: the certificate's key signed it
    CHAIN = "chain"  # IP-03: the certificate reaches a trusted authority
    VALIDITY = "validity"  # IP-03: the certificate was valid at the time
    KEY_USAGE = "key-usage"  # CRT-03, D5: it is for signatures and mail
    INDEX = "index"  # IP-02: it is a certified provider's
    EMAIL = "email"  # SIG-04: the From address stands in it
    FROM_DOMAIN = "from-domain"  # IP-05: the provider manages the domain of From
    FORM = "form"  # IP-04, D3: it is built like a certified message
    MARKER = "marker"  # IP-06: X-Ricevuta or X-Trasporto is what the signed data say
    ON_BEHALF = "on-behalf"  # IP-06: the name in From is the signed sender's
    COMPETENCE = "sender-domain"  # IP-08: the provider may certify this
    ENCLOSURES = "enclosures"  # D36: its hashes are those of the message kept; only when that is given
    REVOCATION = "revocation"  # IP-03: it was not taken back; only where that is kept watch over


@record()
class Check:
    """One check: true, false, or None when it was not done."""

    name: CheckName
    ok: bool | None
    detail: str


def check_chain(
    certificate: CertificateFacts,
    certificates: tuple[bytes, ...],
    trust: Trust | None,
    at: datetime | None,
    cache: ChainCache,
) -> Check:
    if trust is None:
        return Check(CheckName.CHAIN, None, "there is no authority to reach")
    if at is None:
        return Check(CheckName.CHAIN, None, "the message states no time")
    chain = cache.chain(certificate.der, certificates, trust, at)
    return Check(CheckName.CHAIN, chain.ok, chain.detail)


def check_validity(certificate: CertificateFacts, at: datetime | None) -> Check:
    if at is None:
        return Check(CheckName.VALIDITY, None, "the message states no time")
    span = _span(certificate.not_before, certificate.not_after)
    if at < certificate.not_before:
        return Check(CheckName.VALIDITY, False, f"not valid yet; it is from {span}")
    if at > certificate.not_after:
        return Check(CheckName.VALIDITY, False, f"expired; it was valid from {span}")
    return Check(CheckName.VALIDITY, True, f"valid from {span}")


@lru_cache(maxsize=64)
def _span(start: datetime, end: datetime) -> str:
    return f"{start:%Y-%m-%d %H:%M:%S} to {end:%Y-%m-%d %H:%M:%S} UTC"


def check_revocation(certificate: CertificateFacts, standings: Standings, at: datetime) -> Check:
    """What is not known is no failure: whether to wait for it is for the caller to say."""
    standing = standings.of(certificate.sha256)
    match standing.at(at):
        case Status.REVOKED:
            since = f" on {standing.revoked_at:%Y-%m-%d %H:%M:%S} UTC" if standing.revoked_at else ""
            return Check(CheckName.REVOCATION, False, f"the certificate, or one above it, was revoked{since}")
        case Status.GOOD:
            return Check(CheckName.REVOCATION, True, "not revoked")
        case Status.UNSTATED:
            return Check(CheckName.REVOCATION, True, "the certificate names no place to ask whether it was revoked")
        case Status.UNKNOWN:
            return Check(CheckName.REVOCATION, None, "whether the certificate was revoked is not known now")


def check_key_usage(certificate: CertificateFacts) -> Check:
    if not certificate.digital_signature:
        return Check(CheckName.KEY_USAGE, False, "the certificate is not for digital signatures")
    if certificate.email_protection is False:
        return Check(CheckName.KEY_USAGE, False, "the certificate is not for e-mail")
    return Check(CheckName.KEY_USAGE, True, "for digital signatures and e-mail")


def check_index(
    certificate: CertificateFacts | None, directory: Directory | None, provider: ProviderRecord | None
) -> Check:
    if directory is None:
        return Check(CheckName.INDEX, None, "there is no provider index to look in")
    if certificate is None:
        return Check(CheckName.INDEX, None, "there is no certificate to look up")
    if provider is None:
        return Check(CheckName.INDEX, False, "the certificate is no certified provider's")
    return Check(CheckName.INDEX, True, f"the certificate of {provider.name}")


def check_email(certificate: CertificateFacts | None, sender: str | None) -> Check:
    if certificate is None:
        return Check(CheckName.EMAIL, None, "there is no certificate to check")
    if sender is None:
        return Check(CheckName.EMAIL, False, "there is not exactly one From address")
    if not certificate.names(sender):
        return Check(CheckName.EMAIL, False, f"From is {sender}, the certificate is for {certificate.email or 'none'}")
    return Check(CheckName.EMAIL, True, f"From is {sender}, as in the certificate")


def check_from_domain(sender: str | None, directory: Directory | None, provider: ProviderRecord | None) -> Check:
    if directory is None:
        return Check(CheckName.FROM_DOMAIN, None, "there is no provider index to look in")
    if provider is None:
        return Check(CheckName.FROM_DOMAIN, None, "the provider is not known")
    if sender is None:
        return Check(CheckName.FROM_DOMAIN, False, "there is not exactly one From address")
    domain = domain_of(sender)
    if domain not in provider.managed_domains:
        return Check(CheckName.FROM_DOMAIN, False, f"{domain} is not managed by {provider.name}")
    return Check(CheckName.FROM_DOMAIN, True, f"{domain} is managed by {provider.name}")
