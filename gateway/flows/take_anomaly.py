"""What is not certified, or not as it should be: wrapped in an anomaly envelope and delivered (RFC 6109 3.2.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.flows.effects import Effects
from gateway.flows.inspection import Inspection
from gateway.flows.issue import Issuer
from gateway.points.faults import Fault
from gateway.points.incoming import ArrivalKind
from gateway.points.ordinary import INBOX
from gateway.storage.accounts import MailboxRef
from gateway.storage.register import Event, RegisterEntry
from receipts.fields import decode_words
from receipts.identifiers import parse_address_list
from receipts.octets import Octets
from receipts.wire import MessageKind

__all__ = ["Said", "Wrapped", "wrap_anomaly"]


@dataclass(frozen=True, slots=True)
class Wrapped:
    """An anomaly envelope, and the forward paths that it was filed for."""

    message: Octets
    paths: tuple[str, ...]


def wrap_anomaly(
    inspection: Inspection,
    issuer: Issuer,
    effects: Effects,
    *,
    paths: Sequence[str],
    boxes: Mapping[str, MailboxRef],
    reason: Fault,
    received: bytes,
    folders: Mapping[int, str] | None = None,
    message: Octets | None = None,
    notes: Sequence[Fault] = (),
) -> Wrapped | None:
    """File one anomaly envelope for those of ``paths`` that have a mailbox; register the others.

    No receipt and no bounce ever answers it (DP-04, DP-06).

    Args:
        received: our trace fields, which stand on top of the message inside.
        folders: where it goes, by mailbox id; into the inbox if left out.
        message: what stands inside, if not what arrived as it is.
        notes: what the text says beside the reason.
    """
    wrapped: Wrapped | None = None
    known = tuple(path for path in paths if path in boxes)
    unknown = tuple(path for path in paths if path not in boxes)
    said = Said.by(inspection)
    effects.register(
        said.entry(Event.RECEPTION, paths, detail="; ".join((_what(inspection, reason), *inspection.faults)))
    )
    if known:
        issued = issuer.anomaly(
            at=inspection.at,
            sender=said.sender,
            recipients=known,
            subject=said.subject,
            reason=reason,
            arrived=Octets.of(received, message or inspection.message),
            notes=notes,
            header=inspection.root.header,
            reverse_path=inspection.arrival.reverse_path,
        )
        for mailbox_id in dict.fromkeys(boxes[path].id for path in known):
            effects.file(
                mailbox_id,
                issued.message,
                kind=MessageKind.ANOMALY,
                folder=INBOX if folders is None else folders[mailbox_id],
                reverse_path=inspection.arrival.reverse_path,
            )
        wrapped = Wrapped(issued.message, known)
        effects.register(said.entry(Event.EMISSION, known, related=issued.message_id, detail=issued.kind))
        effects.register(said.entry(Event.DELIVERY, known, related=issued.message_id, detail=issued.kind))
    if unknown:
        detail = "no such mailbox; nobody is told, for nothing was certified"
        effects.register(said.entry(Event.FAILURE, unknown, detail=detail))
    return wrapped


@dataclass(frozen=True, slots=True)
class Said:
    """What an arrival says of itself, for people and for the register. Only ``provider`` is proven."""

    at: datetime
    pec_msgid: str | None  # by the signed data, if a provider signed them
    msgid: str | None
    sender: str  # the author's address if there is just one, else the reverse path
    subject: str | None
    provider: str | None

    @classmethod
    def by(cls, inspection: Inspection) -> "Said":
        header, data = inspection.root.header, inspection.recognition.data
        proven = inspection.kind is not ArrivalKind.ORDINARY_MAIL
        msgid, subject, authors = header.first("Message-ID"), header.first("Subject"), header.all("From")
        found = parse_address_list(authors[0].value).addresses if len(authors) == 1 else ()
        return cls(
            at=inspection.at,
            pec_msgid=data.pec_msgid if proven and data is not None else None,
            msgid=None if msgid is None else msgid.text.strip(),
            sender=found[0] if len(found) == 1 else inspection.arrival.reverse_path,
            subject=None if subject is None else decode_words(subject.value),
            provider=inspection.provider.name if proven else None,
        )

    def entry(
        self, event: Event, recipients: Sequence[str], *, detail: str, related: str | None = None
    ) -> RegisterEntry:
        return RegisterEntry(
            event=event,
            at=self.at,
            pec_msgid=self.pec_msgid,
            msgid=self.msgid,
            sender=self.sender,
            recipients=tuple(recipients),
            subject=self.subject,
            provider=self.provider,
            related=() if related is None else (related,),
            detail=detail,
        )


def _what(inspection: Inspection, reason: Fault) -> str:
    return f"{inspection.kind.name.lower().replace('_', ' ')}: {reason.english}"
