"""What storage says about an arrival, before anything is decided: plain reads, in one snapshot (D23)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from sqlalchemy import Connection

from gateway.flows.inspection import Inspection
from gateway.flows.scripted import WEIGHT, BoxScript
from gateway.flows.work import LARGE
from gateway.points.authentication import Authentication
from gateway.points.incoming import ArrivalKind
from gateway.points.ordinary import Ordinary, OrdinaryPolicy, effective
from gateway.points.rules import Rule
from gateway.storage import accounts, certified, content, folders, policies, received, rules, scripts, usage
from gateway.storage.accounts import BoxKind, MailboxRef
from gateway.storage.certified import CertifiedMessage
from gateway.storage.received import ProcessedEnvelope
from receipts.octets import Octets
from receipts.records import record
from receipts.wire import MessageKind

__all__ = ["Known", "look_up", "reported"]


@record(kw_only=True)
class Known:
    """What is known of an arrival; ``authentication`` is what the DNS adds."""

    boxes: Mapping[str, MailboxRef]  # by forward path
    service_box: MailboxRef | None
    processed: Mapping[str, ProcessedEnvelope]  # by forward path: where this envelope has come to an end before
    had_before: Collection[str]  # forward paths that have had this very receipt
    sent: Octets | None  # the original as we sealed it
    policies: Mapping[int, OrdinaryPolicy]  # by mailbox id, for ordinary mail
    message: CertifiedMessage | None  # of ours, in which another provider found a virus
    sender_box: MailboxRef | None  # of its sender
    authentication: Authentication | None = None  # of ordinary mail
    rules: Mapping[int, Sequence[Rule]] = field(default_factory=dict, hash=False)  # by mailbox id, where there are any
    notice_addresses: Mapping[int, str] = field(default_factory=dict, hash=False)  # of those mailboxes
    scripts: Mapping[int, BoxScript] = field(default_factory=dict, hash=False)  # of those with an active one

    @property
    def scripts_weight(self) -> int:
        """Bytes of a message that takes as long as asking the scripts may take."""
        return sum(WEIGHT * len(one.stored.script) for one in self.scripts.values())

    def is_repeated(self, inspection: Inspection, path: str) -> bool:
        """Whether this very envelope has reached its end for that forward path (D4)."""
        seen = self.processed.get(path)
        return seen is not None and seen.signed_sha256 == inspection.signed_sha256


def look_up(connection: Connection, inspection: Inspection, *, service_address: str, ordinary_mail: Ordinary) -> Known:
    """Look up what decides on this kind of arrival, and nothing else.

    Args:
        service_address: ours.
        ordinary_mail: what boxes do with ordinary mail that say nothing of their own.
    """
    data, kind, paths = inspection.recognition.data, inspection.kind, inspection.arrival.forward_paths
    processed: Mapping[str, ProcessedEnvelope] = {}
    had_before: Collection[str] = ()
    sent = service_box = message = sender_box = None
    if data is not None and kind is ArrivalKind.TRANSPORT_ENVELOPE:
        processed = received.processed(connection, inspection.provider.name, data.pec_msgid, paths)
    elif data is not None and kind in (ArrivalKind.RECEIPT, ArrivalKind.SERVICE_RECEIPT):
        had_before = received.known_receipts(connection, inspection.signed_sha256, paths)
        if inspection.original is not None and inspection.message.size > LARGE:  # smaller ones share by their hash
            ours = certified.original_of(connection, data.pec_msgid)
            sent = None if ours is None else content.load(connection, ours)
    if kind is ArrivalKind.SERVICE_RECEIPT:
        service_box = accounts.mailbox_of(connection, service_address)
        if data is not None and inspection.recognition.kind is MessageKind.VIRUS:
            message = certified.find_message(connection, data.pec_msgid)
            sender_box = None if message is None else accounts.mailbox_of(connection, message.sender)
    boxes = accounts.mailboxes_of(connection, paths)
    return Known(
        boxes=boxes,
        policies=_policies(connection, boxes, ordinary_mail) if kind is ArrivalKind.ORDINARY_MAIL else {},
        service_box=service_box,
        processed=processed,
        had_before=had_before,
        sent=sent,
        message=message,
        sender_box=sender_box,
        **_ruled(connection, boxes),
    )


def reported(connection: Connection, inspection: Inspection, known: Known) -> Known:
    """The same, with those for whom the virus in these very bytes was reported before, though they are no receipt."""
    if inspection.kind not in (ArrivalKind.TRANSPORT_ENVELOPE, ArrivalKind.DAMAGED):
        return known
    paths = inspection.arrival.forward_paths
    return replace(known, had_before=received.known_receipts(connection, inspection.signed_sha256, paths))


def _ruled(connection: Connection, boxes: Mapping[str, MailboxRef]) -> dict[str, Any]:
    """Rules, scripts and notice addresses of the boxes that have rules or a script; for others nothing is asked."""
    ruled = {box.id for box in boxes.values() if box.has_rules}
    if not ruled:
        return {}
    found = {id_: one for id_ in ruled if (one := usage.usage_of(connection, id_)) is not None}
    return {
        "rules": rules.rules_of(connection, ruled),
        "notice_addresses": {id_: one.notice_address for id_, one in found.items() if one.notice_address},
        "scripts": {
            id_: BoxScript(
                stored=stored,
                folders=frozenset(folder.name for folder in folders.list_folders(connection, id_)),
                language=found[id_].language if id_ in found else "it",
            )
            for id_, stored in scripts.active_scripts(connection, ruled).items()
        },
    }


def _policies(
    connection: Connection, boxes: Mapping[str, MailboxRef], ordinary_mail: Ordinary
) -> Mapping[int, OrdinaryPolicy]:
    own = policies.policies_of(connection, [box.id for box in boxes.values()])
    return {
        box.id: effective(own.get(box.id), ordinary_mail, of_a_holder=box.kind is BoxKind.USER)
        for box in boxes.values()
    }
