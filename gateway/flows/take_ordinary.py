"""Ordinary mail: what each box decided about it (RFC 6109 section 2.2.2, B7; D34)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from gateway.drivers.sources import Ids
from gateway.flows.effects import Effects
from gateway.flows.forwarding import forwarded
from gateway.flows.inspection import Inspection
from gateway.flows.issue import Issuer
from gateway.flows.take_anomaly import Said, Wrapped, wrap_anomaly
from gateway.points import incoming
from gateway.points.authentication import Authentication, authentication_results, forged_results, told
from gateway.points.ordinary import OrdinaryPolicy, may_forward
from gateway.storage.accounts import BoxKind, MailboxRef
from gateway.storage.mailboxes import ORDINARY
from gateway.storage.register import Event
from receipts.identifiers import domain_of
from receipts.octets import Octets

__all__ = ["OrdinaryTerms", "take_ordinary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdinaryTerms:
    """What the flow needs beside the message."""

    ids: Ids
    notice_address: str  # whom forwards come from
    expiry: timedelta  # how long a forward waits for a server
    is_certified: Callable[[str], bool]  # whether a domain is a certified provider's
    authserv_id: str  # by which name our verdicts on the origin are known
    authentication: Authentication | None  # None: nobody asked


def take_ordinary(
    inspection: Inspection,
    issuer: Issuer,
    effects: Effects,
    *,
    paths: Sequence[str],
    boxes: Mapping[str, MailboxRef],
    policies: Mapping[int, OrdinaryPolicy],
    received: bytes,
    terms: OrdinaryTerms,
) -> None:
    """Wrap it for the boxes that take it, in the folder that each chose, and forward it where one wants that.

    Args:
        policies: by mailbox id, for each of ``boxes``. A box that refuses counts only if not all do: nobody can be
            told then, for one answer is due for all recipients.
    """
    said, found = Said.by(inspection), terms.authentication
    refused = [path for path in paths if path in boxes and policies[boxes[path].id].refuses]
    strays = [path for path in paths if path in boxes and boxes[path].kind is BoxKind.SERVICE]
    wrapped = wrap_anomaly(
        inspection,
        issuer,
        effects,
        paths=[path for path in paths if path not in refused],
        boxes=boxes,
        reason=incoming.BAD_SIGNATURE,
        received=received if found is None else authentication_results(terms.authserv_id, found) + received,
        message=_without(inspection, terms.authserv_id),
        notes=() if found is None else (told(found),),
        folders={mailbox_id: policy.folder for mailbox_id, policy in policies.items()},
    )
    if refused:
        effects.register(said.entry(Event.FAILURE, refused, detail="the box refuses ordinary mail, others take it"))
    if strays:
        effects.register(said.entry(Event.DEVIATION, strays, detail="ordinary mail for the service mailbox: kept"))
    if wrapped is not None:
        _forward(inspection, effects, wrapped, said, boxes, policies, terms)


def _without(inspection: Inspection, authserv_id: str) -> Octets:
    """What arrived, without verdicts that somebody else wrote in our name."""
    message = inspection.message
    pieces: list[Octets] = []
    at = 0
    for field in forged_results(inspection.root.header, authserv_id):
        pieces.append(message.slice(at, field.start))
        at = field.stop
    return Octets.of(*pieces, message.slice(at)) if pieces else message


def _forward(
    inspection: Inspection,
    effects: Effects,
    wrapped: Wrapped,
    said: Said,
    boxes: Mapping[str, MailboxRef],
    policies: Mapping[int, OrdinaryPolicy],
    terms: OrdinaryTerms,
) -> None:
    """One forward per box, after delivery and never instead."""
    for box in {boxes[path].id: boxes[path] for path in wrapped.paths}.values():
        to = policies[box.id].forward_to
        if to is None:
            continue
        own = [box.address, *(path for path in wrapped.paths if boxes[path].id == box.id)]
        reverse_path = inspection.arrival.reverse_path
        if terms.is_certified(to) or not may_forward(
            inspection.root.header, reverse_path=reverse_path, forward_to=to, boxes=own
        ):
            effects.register(said.entry(Event.DEVIATION, (box.address,), detail=f"not forwarded to {to}"))
            continue
        message = None
        while message is None:
            token = terms.ids.token()
            message = forwarded(
                wrapped.message,
                at=inspection.at,
                notice_address=terms.notice_address,
                box=box.address,
                to=to,
                subject=said.subject,
                token=token,
            )
        effects.send(
            message,
            kind=ORDINARY,
            reverse_path="",
            forward_path=to,
            certified=False,
            about=None,
            expires_at=inspection.at + terms.expiry,
        )
        made = f"{token}@{domain_of(terms.notice_address)}"
        effects.register(said.entry(Event.EMISSION, (box.address,), related=made, detail=f"forwarded to {to}"))
