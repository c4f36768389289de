"""The work that no one can avoid, measured alone: four signatures and three verifications a flow, on every core."""

import multiprocessing
import os
import time
from datetime import UTC, datetime

from cryptography.hazmat.primitives.serialization import Encoding

from gateway.lab.authority import Authority
from providers.chains import ChainCache, Trust
from providers.directory import Directory, read_directory
from providers.records import ProviderRecord, write_ldif
from providers.sealing import Signer, seal
from providers.verification import verify_signature
from receipts.octets import Octets
from receipts.scanner import scan
from receipts.writer import Unsealed

__all__ = ["directory_of", "floor_flows_per_second"]

SIGNATURES, VERIFICATIONS = 4, 3
SECONDS = 3.0
NAME, DOMAIN = "Floor PEC", "floor.example"
ADDRESS = f"posta-certificata@{DOMAIN}"


def floor_flows_per_second(size: int) -> float:
    """Flows a second of ``size`` bytes, if a flow were nothing but its signatures, over all cores."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(os.cpu_count() or 1) as pool:
        return sum(pool.map(_measure, [size] * (os.cpu_count() or 1)))


def _measure(size: int) -> float:
    at = datetime.now(UTC)
    authority = Authority.create([(NAME, DOMAIN)], at)
    signer = authority.provider_certificate(NAME, ADDRESS).signer()
    trust = Trust((authority.root.certificate.public_bytes(Encoding.DER),))
    directory = directory_of(NAME, DOMAIN, signer)
    unsealed = Unsealed(
        f"From: {ADDRESS}\r\n".encode(), Octets.of(b'Content-Type: multipart/mixed; boundary="m"\r\n\r\n', b"x" * size)
    )
    cache = ChainCache()
    flows, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        for _ in range(SIGNATURES):
            sealed = seal(unsealed, signer, at=at, boundary="sg" + "0" * 32)
        for _ in range(VERIFICATIONS):
            verdict = verify_signature(sealed, scan(sealed), trust=trust, directory=directory, at=at, cache=cache)
        flows += 1
    if not verdict.proven:
        raise RuntimeError(f"the floor does not verify: {verdict.checks}")
    return flows / (time.perf_counter() - began)


def directory_of(name: str, domain: str, signer: Signer) -> Directory:
    """An index of one provider, who manages one domain."""
    record = ProviderRecord(
        name=name,
        unit=None,
        certificates=(signer.certificate,),
        mail_receipt=signer.address,
        managed_domains=frozenset({domain}),
        ldif_url=None,
        description=None,
    )
    return read_directory(write_ldif([record]))
