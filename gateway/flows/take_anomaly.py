"""What is not certified, or not as it should be: wrapped in an anomaly envelope and delivered (RFC 6109 3.2.2)."""

from collections.abc import Mapping, Sequence

from gateway.flows.effects import Effects
from gateway.flows.inspection import Inspection
from gateway.flows.issue import Issuer
from gateway.points.faults import Fault
from gateway.storage.accounts import MailboxRef
from gateway.storage.register import Event, RegisterEntry
from receipts.fields import decode_words
from receipts.identifiers import parse_address_list
from receipts.octets import Octets
from receipts.wire import MessageKind

__all__ = ["wrap_anomaly"]


def wrap_anomaly(
    inspection: Inspection,
    issuer: Issuer,
    effects: Effects,
    *,
    paths: Sequence[str],
    boxes: Mapping[str, MailboxRef],
    reason: Fault,
    received: bytes,
) -> None:
    """File one anomaly envelope for those of ``paths`` that have a mailbox; register the others.

    No receipt and no bounce ever answers it (DP-04, DP-06).
    """
    known = [path for path in paths if path in boxes]
    unknown = tuple(path for path in paths if path not in boxes)
    header = inspection.root.header
    subject = header.first("Subject")
    shown = None if subject is None else decode_words(subject.value)
    sender = _sender(inspection)
    msgid = header.first("Message-ID")
    related: tuple[str, ...] = ()
    if known:
        issued = issuer.anomaly(
            at=inspection.at,
            sender=sender,
            recipients=known,
            subject=shown,
            reason=reason,
            arrived=Octets.of(received, inspection.message),
            header=header,
            reverse_path=inspection.arrival.reverse_path,
        )
        related = (issued.message_id,)
        for mailbox_id in dict.fromkeys(boxes[path].id for path in known):
            effects.file(
                mailbox_id, issued.message, kind=MessageKind.ANOMALY, reverse_path=inspection.arrival.reverse_path
            )
    effects.register(
        RegisterEntry(
            event=Event.RECEPTION,
            at=inspection.at,
            msgid=None if msgid is None else msgid.text.strip(),
            sender=sender,
            recipients=tuple(known),
            subject=shown,
            provider=None if inspection.verdict.provider is None else inspection.verdict.provider.name,
            related=related,
            detail=f"{inspection.kind.name.lower()}: {reason.english}",
        )
    )
    if unknown:
        effects.register(
            RegisterEntry(
                event=Event.FAILURE,
                at=inspection.at,
                sender=sender,
                recipients=unknown,
                subject=shown,
                detail="no such mailbox; nobody is told, for nothing was certified",
            )
        )


def _sender(inspection: Inspection) -> str:
    """The author's address if there is just one, else the reverse path."""
    fields = inspection.root.header.all("From")
    authors = parse_address_list(fields[0].value).addresses if len(fields) == 1 else ()
    return authors[0] if len(authors) == 1 else inspection.arrival.reverse_path
