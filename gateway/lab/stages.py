"""Where the processor time of a certified flow goes, stage by stage, measured on the real code without a network.

One flow from one provider to another: a submission, an envelope, a take-charge receipt and a delivery receipt.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.serialization import Encoding

from gateway.drivers.sources import RandomIds
from gateway.flows.issue import Identity, Issuer
from gateway.lab.authority import Authority
from gateway.lab.floor import directory_of
from gateway.points.access import AccessRequest, formal_faults
from gateway.points.incoming import address_fault, arrival_kind
from providers.chains import ChainCache, Trust
from providers.directory import Directory
from providers.sealing import Signer
from providers.verification import verify_signature
from receipts.facts import CertificationData, Recipient
from receipts.octets import InMemory, Octets
from receipts.original import read_original, reidentified
from receipts.recognise import recognise
from receipts.scanner import scan
from receipts.wire import CertificationType, ReceiptForm, RecipientKind

__all__ = ["stage_milliseconds"]

ROUNDS = 200
NAME, DOMAIN = "Stage PEC", "stage.example"
ADDRESS, SENDER, RECIPIENT = f"posta-certificata@{DOMAIN}", f"anna@{DOMAIN}", f"bruno@{DOMAIN}"
RECEIVED = b"Received: from stage.example by stage.example; Mon, 02 Mar 2026 09:00:00 +0100\r\n"


def stage_milliseconds(size: int) -> dict[str, float]:
    """Milliseconds of processor time a flow of ``size`` bytes, by stage; of this thread alone."""
    stage = _Stage.made(size)
    build_and_sign = _milliseconds(stage.issue)
    sign = _milliseconds(lambda: [stage.signer.sign(b"x" * 300) for _ in range(4)])
    return {
        "take apart": _milliseconds(stage.take_apart),
        "decide": _milliseconds(stage.decide),
        "build": round(build_and_sign - sign, 3),
        "sign": sign,
        "verify": _milliseconds(stage.verify),
    }


@dataclass(slots=True)
class _Stage:
    """One message and everything that is made of it."""

    signer: Signer
    issuer: Issuer
    trust: Trust
    directory: Directory
    cache: ChainCache
    at: datetime
    original: Octets
    facts: CertificationData
    arrivals: list[Octets]  # envelope, take-charge receipt, delivery receipt, as they arrive

    @classmethod
    def made(cls, size: int) -> "_Stage":
        at = datetime.now(UTC)
        authority = Authority.create([(NAME, DOMAIN)], at)
        signer = authority.provider_certificate(NAME, ADDRESS).signer()
        head = f"From: {SENDER}\r\nTo: {RECIPIENT}\r\nSubject: Prova\r\nMessage-ID: <1@client.example>\r\n\r\n"
        line = b"0123456789" * 7 + b"\r\n"
        original = Octets.whole(InMemory.of(head.encode() + line * max(1, (size - len(head)) // len(line))))
        stage = cls(
            signer=signer,
            issuer=Issuer(Identity(name=NAME, domain=DOMAIN, service_address=ADDRESS), signer, RandomIds()),
            trust=Trust((authority.root.certificate.public_bytes(Encoding.DER),)),
            directory=directory_of(NAME, DOMAIN, signer),
            cache=ChainCache(),
            at=at,
            original=original,
            facts=_facts(at),
            arrivals=[],
        )
        stage.arrivals = [Octets.whole(InMemory.of(message.read())) for message in stage.issue()[1:]]
        return stage

    def take_apart(self) -> None:
        read_original(self.original, scan(self.original))
        for arrival in self.arrivals:
            recognise(arrival, scan(arrival))

    def decide(self) -> None:
        formal_faults(
            AccessRequest(
                header=scan(self.original).header,
                reverse_path=SENDER,
                forward_paths=(RECIPIENT,),
                size=self.original.size,
                max_total_bytes=30_000_000,
            )
        )
        address_fault(self.facts, RECIPIENT)
        arrival_kind(proven=True, kind=self.facts.kind, conforms=True)

    def issue(self) -> list[Octets]:
        """Acceptance receipt, envelope, take-charge receipt, delivery receipt."""
        read = read_original(self.original, scan(self.original))
        travels = Octets.whole(InMemory.of(reidentified(read, self.facts.pec_msgid, RECEIVED).read()))
        return [
            self.issuer.acceptance(self.facts).message,
            self.issuer.envelope(self.facts, travels, read.header, RECEIVED).message,
            self.issuer.take_charge(self.facts, ADDRESS).message,
            self.issuer.delivery(self.facts, ReceiptForm.COMPLETE, travels).message,
        ]

    def verify(self) -> None:
        for arrival in self.arrivals:
            verify_signature(
                arrival, scan(arrival), trust=self.trust, directory=self.directory, at=self.at, cache=self.cache
            )


def _facts(at: datetime) -> CertificationData:
    return CertificationData(
        type=CertificationType.ACCEPTANCE,
        sender=SENDER,
        recipients=(Recipient(address=RECIPIENT, kind=RecipientKind.CERTIFIED),),
        reply_to=SENDER,
        subject="Prova",
        provider=NAME,
        at=at,
        pec_msgid=f"{'0' * 32}@{DOMAIN}",
        msgid="<1@client.example>",
        receipt_form=ReceiptForm.COMPLETE,
        delivered_to=RECIPIENT,
        taken_for=(RECIPIENT,),
    )


def _milliseconds(act: Callable[[], object]) -> float:
    act()
    began = time.thread_time()
    for _ in range(ROUNDS):
        act()
    return round((time.thread_time() - began) * 1000 / ROUNDS, 3)
