"""Receipts and notices that arrive: tracked, then filed for the user or the provider they are for (B3, B4)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from gateway.flows.effects import Effects, Lease, stored_form
from gateway.flows.entries import entry_about
from gateway.flows.inspection import Inspection
from gateway.flows.work import LARGE
from gateway.points.incoming import may_report_on
from gateway.points.tracking import CHANGES, RecipientState, reported_on
from gateway.storage import certified, received, register
from gateway.storage.accounts import BoxKind, MailboxRef
from gateway.storage.errors import Conflict
from gateway.storage.register import Event, RegisterEntry
from receipts.facts import CertificationData
from receipts.identifiers import address_key
from receipts.octets import Octets
from receipts.records import record
from receipts.wire import MessageKind

__all__ = ["Filed", "Follows", "file_receipt", "nothing_follows"]

LATE_DELIVERY = f"delivered late, stays {RecipientState.TIMED_OUT}"

Follows = Callable[[str], Effects | None]
"""What else is done if the state of a recipient changes; asked beforehand."""


def nothing_follows(address: str) -> None:
    """As with all receipts but virus notices."""


@dataclass(frozen=True, slots=True)
class _Change:
    """That a recipient's state may change, the row that says so if it did, and what follows then."""

    address: str
    entry: RegisterEntry
    follows: Effects | None


@record()
class Filed:
    """A receipt that is about to be filed: what is tried inside the transaction."""

    inspection: Inspection
    kind: MessageKind
    data: CertificationData
    paths: tuple[str, ...]  # the forward paths that have not had it before
    changes: tuple[_Change, ...]

    def remember(self, connection: Connection) -> None:
        """Raises Conflict if one of its forward paths has got these very bytes meanwhile (D4)."""
        digest, at = self.inspection.signed_sha256, self.inspection.at
        for path in sorted(self.paths, key=address_key):
            if not received.record_receipt(connection, digest, path, at):
                raise Conflict("the receipt came twice at once")

    def track(self, connection: Connection, lease: Lease) -> None:
        """Change the state of the recipients it reports on, where it still may change."""
        if self.kind not in CHANGES:
            return
        to, from_states = CHANGES[self.kind]
        for change in self.changes:
            changed = certified.advance(
                connection,
                self.data.pec_msgid,
                change.address,
                to,
                self.inspection.at,
                from_states=from_states,
                detail=self.data.error_text,
            )
            if changed:
                register.append(connection, [change.entry])
                if change.follows is not None:
                    change.follows.perform(connection, lease)
            elif self.kind is MessageKind.TAKE_CHARGE:
                certified.note_taken(connection, self.data.pec_msgid, change.address, self.inspection.at)
            elif self.kind is MessageKind.DELIVERY and self._timed_out(connection, change.address):
                register.append(connection, [replace(change.entry, detail=LATE_DELIVERY)])

    def _timed_out(self, connection: Connection, address: str) -> bool:
        """Whether the recipient's time was over before this receipt came, which its sender gets all the same."""
        sent = certified.find_message(connection, self.data.pec_msgid)
        recipient = None if sent is None else sent.recipient(address)
        return recipient is not None and recipient.state is RecipientState.TIMED_OUT


def file_receipt(
    inspection: Inspection,
    effects: Effects,
    *,
    paths: Sequence[str],
    boxes: Mapping[str, MailboxRef],
    service_box: MailboxRef | None,
    sent: Octets | None,
    received_field: bytes,
    follows: Follows = nothing_follows,
    infected: bool = False,
) -> Filed:
    """File a receipt where it belongs.

    Args:
        paths: the forward paths that have not had it before; at least one.
        boxes: the mailboxes of the forward paths.
        service_box: where take-charge receipts and virus notices go, whoever they are addressed to (RC-09); None
            for all others.
        sent: the original as we sealed it, if the receipt carries a copy of one of ours: its bytes are then shared.
        follows: what else is done if the state of that recipient changes.
        infected: it enters no mailbox; what it reports counts all the same.
    """
    kind, data = inspection.recognition.kind, inspection.recognition.data
    assert kind is not None
    assert data is not None
    filing = _Filing(inspection, effects, kind, data)
    if infected:
        filing.register_reception()
        return Filed(inspection, kind, data, tuple(paths), filing.changes(follows))
    stored = stored_form(Octets.of(received_field, _sharing(inspection, sent)), inspection.arrival.reverse_path)
    for_users = [boxes[path] for path in paths if path in boxes]
    targets = for_users if service_box is None else [service_box]
    for mailbox_id in dict.fromkeys(box.id for box in targets):
        effects.file(
            mailbox_id,
            stored,
            kind=kind,
            reverse_path=inspection.arrival.reverse_path,
            pec_msgid=data.pec_msgid,
        )
    filing.register_reception()
    filing.register_filing(paths, boxes, service_box)
    return Filed(inspection, kind, data, tuple(paths), filing.changes(follows))


class _Filing:
    """What the register says of one receipt."""

    def __init__(self, inspection: Inspection, effects: Effects, kind: MessageKind, data: CertificationData) -> None:
        self._inspection = inspection
        self._effects = effects
        self._kind = kind
        self._data = data
        self._about = reported_on(kind, data)

    def changes(self, follows: Follows) -> tuple[_Change, ...]:
        """For the recipients whom its signer manages, in the order of their keys (IP-08)."""
        if self._kind not in CHANGES:
            return ()
        to = CHANGES[self._kind][0]
        competent = [address for address in self._about if may_report_on(address, self._inspection.provider)]
        return tuple(
            _Change(address, self._entry(Event.TRACKING, (address,), to), follows(address))
            for address in sorted(competent, key=address_key)
        )

    def register_reception(self) -> None:
        kind = self._kind
        self._add(Event.RECEPTION, self._about, kind)
        foreign = [address for address in self._about if not may_report_on(address, self._inspection.provider)]
        if foreign:
            self._add(Event.ALARM, foreign, f"{kind} from a provider that does not manage the recipient")

    def register_filing(
        self, paths: Sequence[str], boxes: Mapping[str, MailboxRef], service_box: MailboxRef | None
    ) -> None:
        kind = self._kind
        lost = [path for path in paths if path not in boxes]
        if service_box is not None:
            targets = [service_box.address]
            if any(path not in boxes or boxes[path].kind is not BoxKind.SERVICE for path in paths):
                self._add(Event.DEVIATION, self._about, f"{kind} for {', '.join(paths)}, not for a service mailbox")
        else:
            targets = [path for path in paths if path in boxes]
            strays = [path for path in targets if boxes[path].kind is BoxKind.SERVICE]
            if strays:
                self._add(Event.DEVIATION, self._about, f"{kind} for the service mailbox: kept")
            if lost:
                self._add(Event.ALARM, self._about, f"{kind} for {', '.join(lost)}, who have no mailbox")
        if targets:
            self._add(Event.DELIVERY, self._about, f"{kind} to {', '.join(targets)}")

    def _add(self, event: Event, recipients: Sequence[str], detail: str) -> None:
        self._effects.register(self._entry(event, recipients, detail))

    def _entry(self, event: Event, recipients: Sequence[str], detail: str) -> RegisterEntry:
        return entry_about(
            self._data,
            event,
            at=self._inspection.at,
            provider=self._inspection.provider.name,
            recipients=recipients or None,
            detail=detail,
        )


def _sharing(inspection: Inspection, sent: Octets | None) -> Octets:
    """The arrived message; an original inside it that equals the one we keep becomes a part of that one (D26).

    What stands around it is kept by itself: a range of what arrived would keep all of that alive.
    """
    message, part = inspection.message, inspection.recognition.original
    if sent is None or part is None or message.size - sent.size > LARGE:
        return message
    if not message.slice(part.body_start, part.stop).equals(sent):
        return message
    return Octets.of(message.read(0, part.body_start), sent, message.read(part.stop))
