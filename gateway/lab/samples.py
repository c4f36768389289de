"""One real, sealed sample of each kind of certified message, made by the pen that providers use, with a lab's keys.

All samples are about one message: Anna, of the lab's first provider, writes to Bruno and Carla of the second, to a
mailbox that does not exist there, and to an ordinary address; she did so 23 and a half hours ago.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.drivers.sources import Ids
from gateway.flows.effects import stored_form
from gateway.flows.issue import Issued, Issuer
from gateway.flows.outcomes import Peer
from gateway.flows.trace_fields import received_at_arrival, received_at_submission
from gateway.lab.ordinary import ORDINARY_DOMAIN
from gateway.points.access import AccessRequest, formal_faults
from gateway.points.faults import Fault, in_italian
from gateway.points.incoming import BAD_FORMAT, BAD_SIGNATURE
from gateway.points.relay import reason as relay_reason
from gateway.points.timeouts import reason as timeout_reason
from receipts.brief import brief_copy
from receipts.facts import CertificationData, Deadline, Recipient
from receipts.octets import InMemory, Octets
from receipts.original import Original, read_original, reidentified
from receipts.scanner import scan
from receipts.wire import CertificationType, ErrorKind, ReceiptForm, RecipientKind

__all__ = ["SAMPLES", "Correspondence", "Sample"]

BEGAN: timedelta = timedelta(hours=23, minutes=30)  # ago
TRANSIT = timedelta(seconds=2)
FIRST, SECOND = timedelta(hours=12), timedelta(hours=23)
NOBODY = "nessuno"
SIGNATURE = "Eicar-Test-Signature"  # what a scanner calls the file that all take for a virus
PEER = Peer(address="127.0.0.1", port=25, tls=True, helo="localhost")


class Correspondence:
    """What is said about one message, by its sender's provider and by its recipients'.

    Args:
        sender: the issuer of the provider of ``mailboxes[0]``.
        receiver: that of the others.
        mailboxes: addresses of Anna, Bruno and Carla.
        now: the message was accepted some hours before.
    """

    def __init__(
        self, sender: Issuer, receiver: Issuer, mailboxes: tuple[str, str, str], ids: Ids, now: datetime
    ) -> None:
        self._sender = sender
        self._receiver = receiver
        self._anna, self._bruno, self._carla = mailboxes
        self._nobody = f"{NOBODY}@{self._bruno.rpartition('@')[2]}"
        self._ordinary = f"dora@{ORDINARY_DOMAIN}"
        self._at = now - BEGAN
        self._pec_msgid = sender.new_message_id()
        self._original = self._read(self._written())
        self._token = ids.token()
        self._received = received_at_submission(
            PEER, by=sender.identity.domain, token=self._token, at=self._at, show_address=False
        )
        self._travels = Octets.whole(InMemory.of(reidentified(self._original, self._pec_msgid, self._received).read()))

    def acceptance(self) -> Octets:
        return self._filed(self._sender.acceptance(self._facts()))

    def non_acceptance(self) -> Octets:
        """Carla is hidden: she stands neither in To nor in Cc."""
        hidden = self._read(self._written(cc=(self._ordinary,)))
        faults = formal_faults(
            AccessRequest(
                header=hidden.header,
                reverse_path=self._anna,
                forward_paths=self._everybody,
                size=hidden.message.size,
                max_total_bytes=30_000_000,
            )
        )
        facts = replace(self._facts(), error=ErrorKind.OTHER, error_text=in_italian(faults))
        return self._filed(self._sender.non_acceptance(facts, faults))

    def non_acceptance_virus(self) -> Octets:
        facts = replace(self._facts(), error=ErrorKind.VIRUS, error_text=SIGNATURE)
        return self._filed(self._sender.non_acceptance(facts, (Fault(SIGNATURE, SIGNATURE),)))

    def envelope(self) -> Octets:
        issued = self._sender.envelope(self._facts(), self._travels, self._original.header, self._received)
        arrival = received_at_arrival(PEER, by=self._receiver.identity.domain, token=self._token, at=self._at + TRANSIT)
        return stored_form(Octets.of(arrival, issued.message), self._anna)

    def take_charge(self) -> Octets:
        taken = (self._bruno, self._nobody, self._carla)
        data = replace(self._there(), taken_for=taken)
        return self._filed(self._receiver.take_charge(data, self._sender.identity.service_address), self._receiver)

    def anomaly(self) -> Octets:
        """Ordinary mail that reached Bruno."""
        return self._wrapped(BAD_SIGNATURE, self._ordinary)

    def anomaly_format(self) -> Octets:
        """Signed by a provider, but neither an envelope nor a receipt."""
        return self._wrapped(BAD_FORMAT, self._anna)

    def virus(self) -> Octets:
        facts = replace(self._there(), delivered_to=self._bruno, error=ErrorKind.VIRUS, error_text=SIGNATURE)
        found = (Fault(SIGNATURE, SIGNATURE),)
        return self._filed(self._receiver.virus(facts, self._sender.identity.service_address, found), self._receiver)

    def non_delivery_virus(self) -> Octets:
        facts = replace(self._facts(TRANSIT), delivered_to=self._bruno, error=ErrorKind.VIRUS, error_text=SIGNATURE)
        return self._filed(self._sender.non_delivery(facts, (Fault(SIGNATURE, SIGNATURE),)))

    def delivery_complete(self) -> Octets:
        return self._delivered(self._bruno, ReceiptForm.COMPLETE, self._travels)

    def delivery_brief(self) -> Octets:
        return self._delivered(self._bruno, ReceiptForm.BRIEF, brief_copy(self._travels, scan(self._travels)))

    def delivery_concise(self) -> Octets:
        """Carla stands in Cc; hers is concise whatever was asked for."""
        return self._delivered(self._carla, ReceiptForm.CONCISE, None)

    def non_delivery(self) -> Octets:
        explained = relay_reason("5.1.1", self._receiver.identity.name)
        facts = replace(
            self._there(), delivered_to=self._nobody, error=ErrorKind.NO_RECIPIENT, error_text=explained.italian
        )
        return self._filed(self._receiver.non_delivery(facts, (explained,)), self._receiver)

    def timeout_first(self) -> Octets:
        return self._overdue(Deadline.FIRST, FIRST)

    def timeout_second(self) -> Octets:
        return self._overdue(Deadline.SECOND, SECOND)

    @property
    def _everybody(self) -> tuple[str, ...]:
        return self._bruno, self._nobody, self._carla, self._ordinary

    def _facts(self, later: timedelta = timedelta(0)) -> CertificationData:
        return CertificationData(
            type=CertificationType.ENVELOPE,
            sender=self._anna,
            recipients=tuple(
                Recipient(
                    address=address,
                    kind=RecipientKind.EXTERNAL if address == self._ordinary else RecipientKind.CERTIFIED,
                )
                for address in self._everybody
            ),
            reply_to=self._original.reply_to or self._anna,
            subject=self._original.subject,
            provider=self._sender.identity.name,
            at=self._at + later,
            pec_msgid=self._pec_msgid,
            msgid=self._original.msgid,
            receipt_form=self._original.requested_form,
        )

    def _there(self) -> CertificationData:
        """The same facts as the recipients' provider states them."""
        return replace(self._facts(TRANSIT), provider=self._receiver.identity.name)

    def _delivered(self, to: str, form: ReceiptForm, inside: Octets | None) -> Octets:
        asked = ReceiptForm.COMPLETE if form is ReceiptForm.CONCISE else form
        data = replace(self._there(), delivered_to=to, receipt_form=asked)
        return self._filed(self._receiver.delivery(data, form, inside), self._receiver)

    def _overdue(self, deadline: Deadline, later: timedelta) -> Octets:
        explained = timeout_reason(deadline, self._sender.identity.name)
        facts = replace(
            self._facts(later), delivered_to=self._bruno, error=ErrorKind.OTHER, error_text=explained.italian
        )
        return self._filed(self._sender.timeout(facts, deadline, (explained,)))

    def _wrapped(self, why: Fault, author: str) -> Octets:
        message = self._written(author=author, to=(self._bruno,), cc=())
        received = received_at_arrival(PEER, by=self._receiver.identity.domain, token=self._token, at=self._at)
        issued = self._receiver.anomaly(
            at=self._at,
            sender=author,
            recipients=(self._bruno,),
            subject=self._original.subject,
            reason=why,
            arrived=Octets.of(received, message),
            header=scan(message).header,
            reverse_path=author,
        )
        return issued.message

    def _filed(self, issued: Issued, by: Issuer | None = None) -> Octets:
        """As it stands in the mailbox of whom it is for."""
        return stored_form(issued.message, (by or self._sender).identity.service_address)

    def _read(self, message: Octets) -> Original:
        return read_original(message, scan(message))

    def _written(
        self, *, author: str | None = None, to: tuple[str, ...] | None = None, cc: tuple[str, ...] | None = None
    ) -> Octets:
        """A message with a file, as a mail program writes it."""
        to = (self._bruno, self._nobody) if to is None else to
        cc = (self._carla, self._ordinary) if cc is None else cc
        lines = [
            f"From: Anna Bianchi <{author or self._anna}>",
            f"To: {', '.join(to)}",
            *([f"Cc: {', '.join(cc)}"] if cc else []),
            "Subject: Perizia n. 12 =?utf-8?Q?=E2=80=94_citt=C3=A0?=",
            "Message-ID: <17.sample@client.example>",
            f"Date: {self._at:%d} {_MONTHS[self._at.month - 1]} {self._at:%Y %H:%M:%S %z}",
            "X-Pratica: 2026/0017",
            "MIME-Version: 1.0",
            'Content-Type: multipart/mixed; boundary="sample"',
            "",
            "--sample",
            "Content-Type: text/plain; charset=us-ascii",
            "",
            "In allegato la perizia.",
            "--sample",
            'Content-Type: application/pdf; name="perizia.pdf"',
            'Content-Disposition: attachment; filename="perizia.pdf"',
            "Content-Transfer-Encoding: base64",
            "",
            "JVBERi0xLjQKJSBhIHNhbXBsZQo=",
            "--sample--",
            "",
        ]
        return Octets.whole(InMemory.of("\r\n".join(lines).encode("ascii")))


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Sample:
    """A kind, or a form of one."""

    number: str  # of the kind: T1 to T11
    title: str
    make: Callable[[Correspondence], Octets]


SAMPLES: Mapping[str, Sample] = {
    "acceptance": Sample("T1", "acceptance receipt", Correspondence.acceptance),
    "non-acceptance": Sample("T2", "non-acceptance notice, formal faults", Correspondence.non_acceptance),
    "non-acceptance-virus": Sample("T3", "non-acceptance notice, virus", Correspondence.non_acceptance_virus),
    "envelope": Sample("T4", "transport envelope", Correspondence.envelope),
    "take-charge": Sample("T5", "take-charge receipt, between providers", Correspondence.take_charge),
    "anomaly": Sample("T6", "anomaly envelope, ordinary mail", Correspondence.anomaly),
    "anomaly-format": Sample("T6", "anomaly envelope, signed mail of wrong form", Correspondence.anomaly_format),
    "virus": Sample("T7", "virus notice, between providers", Correspondence.virus),
    "non-delivery-virus": Sample("T8", "non-delivery notice, virus", Correspondence.non_delivery_virus),
    "delivery-complete": Sample("T9", "delivery receipt, complete", Correspondence.delivery_complete),
    "delivery-brief": Sample("T9", "delivery receipt, brief", Correspondence.delivery_brief),
    "delivery-concise": Sample("T9", "delivery receipt, concise", Correspondence.delivery_concise),
    "non-delivery": Sample("T10", "non-delivery notice", Correspondence.non_delivery),
    "timeout-first": Sample("T11", "timeout notice, 12 hours", Correspondence.timeout_first),
    "timeout-second": Sample("T11", "timeout notice, 24 hours", Correspondence.timeout_second),
}
"""Every kind, by the name that ``ceralacca lab emit`` knows."""
