"""What the incoming point does with a message: the branch table of RFC 6109 section 2.2.2, and who may certify whom.

A message is judged once, then each of its recipients: an envelope may be right for one recipient and
mis-addressed for another (IP-07), who then gets it inside an anomaly envelope.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum, auto

from gateway.points.faults import Fault
from providers.directory import ProviderRecord
from receipts.facts import CertificationData
from receipts.identifiers import address_key, domain_of
from receipts.wire import BAD_SIGNATURE_PHRASE, MessageKind

__all__ = [
    "BAD_FORMAT",
    "BAD_SIGNATURE",
    "DECISIONS",
    "RECEIPTS",
    "SERVICE_RECEIPTS",
    "Action",
    "ArrivalKind",
    "Scan",
    "address_fault",
    "arrival_kind",
    "may_report_on",
    "transaction_fault",
]

RECEIPTS = frozenset(MessageKind) - {MessageKind.ENVELOPE, MessageKind.ANOMALY}
SERVICE_RECEIPTS = frozenset({MessageKind.TAKE_CHARGE, MessageKind.VIRUS})


class ArrivalKind(Enum):
    """What has arrived, as far as the branch table cares."""

    TRANSPORT_ENVELOPE = auto()
    RECEIPT = auto()  # a notification for a user
    SERVICE_RECEIPT = auto()  # take-charge receipt or virus notice, for a provider
    DAMAGED = auto()  # signed by a provider, but not what it should be
    ORDINARY_MAIL = auto()  # the origin is not proven


class Scan(Enum):
    CLEAN = auto()
    INFECTED = auto()


class Action(Enum):
    ISSUE_TAKE_CHARGE = auto()  # T5 to the sender's provider
    DELIVER = auto()  # into the mailbox; an envelope earns T9 or T10
    FILE_AND_TRACK = auto()  # into the service mailbox
    WRAP_ANOMALY = auto()  # T6, which then is delivered
    QUARANTINE = auto()  # into the virus store
    REPORT_VIRUS = auto()  # T7 to the sender's provider
    DISCARD = auto()


_ISOLATE = (Action.QUARANTINE, Action.REPORT_VIRUS)
DECISIONS: Mapping[tuple[ArrivalKind, Scan], tuple[Action, ...]] = {
    (ArrivalKind.TRANSPORT_ENVELOPE, Scan.CLEAN): (Action.ISSUE_TAKE_CHARGE, Action.DELIVER),  # B1
    (ArrivalKind.TRANSPORT_ENVELOPE, Scan.INFECTED): (Action.ISSUE_TAKE_CHARGE, *_ISOLATE),  # B2
    (ArrivalKind.RECEIPT, Scan.CLEAN): (Action.DELIVER,),  # B3
    (ArrivalKind.RECEIPT, Scan.INFECTED): _ISOLATE,  # B6
    (ArrivalKind.SERVICE_RECEIPT, Scan.CLEAN): (Action.FILE_AND_TRACK,),  # B4
    (ArrivalKind.SERVICE_RECEIPT, Scan.INFECTED): _ISOLATE,  # B6
    (ArrivalKind.DAMAGED, Scan.CLEAN): (Action.WRAP_ANOMALY, Action.DELIVER),  # B5
    (ArrivalKind.DAMAGED, Scan.INFECTED): _ISOLATE,  # B6
    (ArrivalKind.ORDINARY_MAIL, Scan.CLEAN): (Action.WRAP_ANOMALY, Action.DELIVER),  # B7, if policy takes it
    (ArrivalKind.ORDINARY_MAIL, Scan.INFECTED): (Action.DISCARD,),  # B8
}


def arrival_kind(*, proven: bool, kind: MessageKind | None, conforms: bool) -> ArrivalKind:
    """Name what has arrived.

    Args:
        proven: signature, origin and validity hold (IP-01 to IP-03).
        kind: what the message says it is, from the signed data; None if it does not say.
        conforms: it has no hard fault (IP-04 as D3 reads it).

    An anomaly envelope of another provider is none of the kinds that a provider may send us: it is wrapped.
    """
    if not proven:
        return ArrivalKind.ORDINARY_MAIL
    if not conforms or kind is None or kind is MessageKind.ANOMALY:
        return ArrivalKind.DAMAGED
    if kind is MessageKind.ENVELOPE:
        return ArrivalKind.TRANSPORT_ENVELOPE
    return ArrivalKind.SERVICE_RECEIPT if kind in SERVICE_RECEIPTS else ArrivalKind.RECEIPT


BAD_SIGNATURE = Fault(BAD_SIGNATURE_PHRASE, "Signature missing or not authentic")
BAD_FORMAT = Fault("Formato del messaggio non conforme", "Message format not conformant")
WRONG_SENDER = Fault(
    "Mittente della busta diverso da quello certificato", "Envelope sender differs from the certified one"
)
WRONG_DOMAIN = Fault(
    "Il gestore firmatario non gestisce il dominio del mittente", "The signing provider does not manage the sender"
)
TOO_OLD = Fault("Data di certificazione troppo remota", "Certified too long ago")
IN_THE_FUTURE = Fault("Data di certificazione futura", "Certified in the future")
OTHER_BYTES = Fault("Identificativo già usato per un altro messaggio", "Identifier already used for another message")
NOT_ADDRESSED = Fault("Destinatario non presente fra quelli certificati", "Recipient not among the certified ones")


def transaction_fault(
    data: CertificationData,
    signer: ProviderRecord,
    reverse_path: str,
    *,
    at: datetime,
    max_age: timedelta,
    max_ahead: timedelta,
) -> Fault | None:
    """What makes an envelope wrong for every recipient of its transaction (IP-07, IP-08; D1, D2)."""
    if domain_of(data.sender) not in signer.managed_domains:
        return WRONG_DOMAIN
    if address_key(reverse_path) != address_key(data.sender):
        return WRONG_SENDER
    if data.at < at - max_age:
        return TOO_OLD
    if data.at > at + max_ahead:
        return IN_THE_FUTURE
    return None


def address_fault(data: CertificationData, forward_path: str) -> Fault | None:
    """What makes an envelope wrong for this recipient: the signed recipients do not name it (IP-07, D1)."""
    key = address_key(forward_path)
    return None if any(address_key(recipient.address) == key for recipient in data.recipients) else NOT_ADDRESSED


def may_report_on(address: str, signer: ProviderRecord) -> bool:
    """Whether a receipt of this signer may change what we know of this recipient (IP-08, D2)."""
    return domain_of(address) in signer.managed_domains
