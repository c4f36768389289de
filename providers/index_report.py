"""What is wrong with an index, or unusual in it: the whole file, each record, each certificate (DIR-xx, CRT-xx)."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from providers.certificates import CertificateError, CertificateFacts, profile_faults, read_certificate
from providers.directory import Directory, read_directory
from providers.ldif import LdifFault, LdifRecord, read_ldif
from providers.records import LOCATION, ROOT_DN, ProviderRecord, RecordRefused, is_provider, read_record
from receipts.identifiers import domain_of

__all__ = ["Finding", "Weight", "report_on"]

SOON: Final = timedelta(days=30)
"""A certificate that ends within this should have its successor beside it (CRT-09)."""

_NAME = r"(?:[^,\\]|\\.)+"
_DN = re.compile(rf"(?:providerUnits?={_NAME},\s*)?providerName={_NAME},\s*o=postacert", re.IGNORECASE)  # A15


class Weight(StrEnum):
    """How much a finding matters."""

    FAULT = "fault"  # against the rules; a record so marked may be refused by others, or is by us
    NOTE = "note"  # works, and somebody should know


@dataclass(frozen=True, slots=True)
class Finding:
    weight: Weight
    where: str  # distinguished name; empty for the file as a whole
    rule: str  # id of the requirement
    text: str


def report_on(ldif: bytes, at: datetime, *, whole: bool = True) -> tuple[Directory, tuple[Finding, ...]]:
    """Read an LDIF and say what is wrong with it.

    Args:
        at: for the certificates.
        whole: it is the whole directory, not the file of one provider: it has a root record.
    """
    directory = read_directory(ldif)
    raw = [record for record in read_ldif(ldif) if not isinstance(record, LdifFault)]
    findings = [
        *(_root(raw) if whole else ()),
        *_refused(directory),
        *_forms(raw),
        *_families(directory.records, whole=whole),
    ]
    for record in directory.records:
        findings += _certificates(record, at)
    return directory, tuple(findings)


def _fault(where: str, rule: str, text: str) -> Finding:
    return Finding(Weight.FAULT, where, rule, text)


def _note(where: str, rule: str, text: str) -> Finding:
    return Finding(Weight.NOTE, where, rule, text)


def _root(raw: Iterable[LdifRecord]) -> Iterator[Finding]:
    root = next((record for record in raw if record.dn.replace(" ", "").lower() == ROOT_DN), None)
    if root is None:
        yield _fault("", "DIR-01", f"there is no root record, {ROOT_DN}")
        return
    locations = root.all(LOCATION)
    if not locations:
        yield _fault(root.dn, "DIR-03", f"the root has no {LOCATION}")
    elif not locations[0].lower().startswith(b"https://"):
        yield _fault(root.dn, "DIR-03", f"its {LOCATION} is no https URL")


def _refused(directory: Directory) -> Iterator[Finding]:
    if not directory.records:
        yield _fault("", "DIR-01", "it holds no provider that can be used")
    for refusal in directory.refused:
        yield _fault(refusal.record, "DIR-14", f"refused: {refusal.reason}")


def _forms(raw: Iterable[LdifRecord]) -> Iterator[Finding]:
    """What only the record as it was written shows."""
    for record in raw:
        if not is_provider(record):
            continue
        try:
            read = read_record(record)
        except RecordRefused:
            continue  # told by its refusal
        if _DN.fullmatch(record.dn.strip()) is None:
            yield _fault(record.dn, "DIR-01", "its name is not of the form providerName=...,o=postacert")
        if read.main is not None:
            yield _note(record.dn, "DIR-01", f"its providerName is another: {read.name}")
        if read.unit is not None and read.ldif_url is not None:
            yield _fault(record.dn, "DIR-02", f"a secondary record has no {LOCATION} of its own")
        if read.ldif_url is not None and not read.ldif_url.lower().startswith("https://"):
            yield _fault(record.dn, "DIR-03", f"its {LOCATION} is no https URL")


def _families(records: Iterable[ProviderRecord], *, whole: bool) -> Iterator[Finding]:
    families = defaultdict[str, list[ProviderRecord]](list)
    for record in records:
        families[record.owner].append(record)
    for family in families.values():
        mains = [record for record in family if record.unit is None]
        if not mains and whole:
            yield _fault(family[0].dn, "DIR-02", "there is no main record of this provider, only a secondary one")
        elif len(mains) > 1:
            yield _fault(mains[1].dn, "DIR-02", "there are several main records of this provider")


def _certificates(record: ProviderRecord, at: datetime) -> Iterator[Finding]:
    usable: list[CertificateFacts] = []
    for number, der in enumerate(record.certificates, 1):
        which = f"certificate {number}: " if len(record.certificates) > 1 else "certificate: "
        try:
            facts, faults = read_certificate(der), profile_faults(der, record.name)
        except CertificateError as error:
            yield _fault(record.dn, "CRT", f"{which}{error}")
            continue
        for text in faults:
            yield _fault(record.dn, "CRT", which + text)
        yield from _addresses(record, facts, which)
        if facts.not_before <= at <= facts.not_after:
            usable.append(facts)
        else:
            yield _note(record.dn, "CRT-09", f"{which}{_span(facts)} is not now")
    yield from _renewal(record, usable, at)


def _addresses(record: ProviderRecord, facts: CertificateFacts, which: str) -> Iterator[Finding]:
    """What it signs comes from these addresses, and is believed in the provider's own domains alone (SEC-05)."""
    for address in facts.emails:
        if domain_of(address) not in record.managed_domains:
            yield _note(record.dn, "SEC-05", f"{which}{address} is in no domain that this record manages")


def _renewal(record: ProviderRecord, usable: list[CertificateFacts], at: datetime) -> Iterator[Finding]:
    if not usable:
        yield _fault(record.dn, "DIR-15", "no certificate of it is valid now")
    elif max(facts.not_after for facts in usable) - at <= SOON:
        yield _note(record.dn, "DIR-15", f"its last certificate ends on {max(f.not_after for f in usable):%Y-%m-%d}")


def _span(facts: CertificateFacts) -> str:
    return f"{facts.not_before:%Y-%m-%d} to {facts.not_after:%Y-%m-%d}"
