"""What was signed about the register, and who attests when: signatures and time stamps of closed days."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from cryptography import x509

from gateway.drivers.timestamps import StampRefused, check_stamp
from gateway.storage.segment_form import SegmentStatement
from gateway.storage.segments import Segment
from providers.certificates import CertificateError, read_certificate
from providers.chains import Trust, verify_chain
from providers.cms import CmsError, read_signed_data
from providers.signatures import check_digest, check_signature, signer_certificate

__all__ = ["SealJudge"]

EARLY: Final = timedelta(minutes=10)
"""How much earlier than the signature a stamp over it may seem: clocks differ."""


class SealJudge:
    """Says what is wrong with the seals of a segment; nothing if they hold.

    Args:
        trust: the authorities of the provider's signing certificates.
        stamps: those of the time stamps; None: stamps are there but cannot be judged.
    """

    def __init__(self, trust: Trust, stamps: Sequence[x509.Certificate] | None) -> None:
        self._trust = trust
        self._stamps = stamps

    def __call__(self, segment: Segment, said: SegmentStatement) -> list[str]:
        faults = [self._signature_fault(segment, said), self._stamp_fault(segment, said)]
        return [fault for fault in faults if fault is not None]

    def _signature_fault(self, segment: Segment, said: SegmentStatement) -> str | None:
        try:
            data = read_signed_data(segment.signature)
            (info,) = data.signers
            der = signer_certificate(info, data.certificates)
            if der is None:
                return "its signature is by nobody who is named in it"
            certificate = read_certificate(der)
        except (CmsError, CertificateError, ValueError):
            return "its signature cannot be read"
        digests = {"sha256": hashlib.sha256(segment.statement).digest()}
        try:
            findings = (
                check_digest(info, data.content_type, digests),
                check_signature(info, certificate, digests),
                verify_chain(der, data.certificates, self._trust, said.closed_at),
            )
        except KeyError:
            return "its signature does not hold: not over SHA-256"
        for found in findings:
            if not found.ok:
                return f"its signature does not hold: {found.detail}"
        if info.signed is None:
            return "its signature does not hold: signed without attributes"
        return None if certificate.names(said.signer) else "its signature is not by who it names"

    def _stamp_fault(self, segment: Segment, said: SegmentStatement) -> str | None:
        if segment.stamp is None or self._stamps is None:
            return None
        try:
            at = check_stamp(segment.stamp, segment.signature, self._stamps)
        except StampRefused as error:
            return f"its time stamp does not hold: {error}"
        if at < said.closed_at - EARLY:
            return "its time stamp is older than its signature"
        return None if at == segment.stamped_at else "its time stamp is of another time"
