"""What is due when an envelope that was handed over has come to its end: T9 or T10 for each forward path."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from gateway.drivers.sources import Ids
from gateway.flows.effects import Effects, Kept
from gateway.flows.entries import emission, entry_about
from gateway.flows.inspection import original_in
from gateway.flows.issue import Issued, Issuer
from gateway.flows.take_envelope import Forms
from gateway.points import relay
from gateway.storage import received
from gateway.storage.errors import Conflict
from gateway.storage.handovers import Due, Handover
from gateway.storage.received import EnvelopeEnd, NewProcessedEnvelope
from gateway.storage.register import Event
from receipts.facts import CertificationData
from receipts.octets import Octets
from receipts.recognise import recognise
from receipts.scanner import scan
from receipts.wire import ErrorKind, MessageKind

__all__ = ["Conclusion", "delivered", "not_delivered"]


@dataclass(slots=True)
class Conclusion:
    """The effects, and the ends that are remembered in the same commit."""

    effects: Effects
    ends: list[tuple[str, EnvelopeEnd, Issued]] = field(default_factory=list)
    pec_msgid: str = ""
    signer: str = ""
    sender: str = ""

    def remember(self, connection: Connection, kept: Kept) -> None:
        """Raises Conflict if one of the ends was reached before."""
        for path, end, issued in self.ends:
            ended = NewProcessedEnvelope(
                provider=self.signer,
                pec_msgid=self.pec_msgid,
                address=path,
                signed_sha256=b"",  # stands there since it came
                sender=self.sender,
                at=self.effects.at,
                end=end,
                receipt_kind=issued.kind,
                receipt_msgid=issued.message_id,
                receipt_body_id=kept.body_id(issued.message),
            )
            if not received.conclude(connection, ended):
                raise Conflict(f"the envelope for {path} has come to its end meanwhile")


def delivered(
    row: Handover, message: Octets, *, at: datetime, issuer: Issuer, ids: Ids, expiry: timedelta, where: str
) -> Conclusion:
    """T9 for each forward path that is owed one. ``where`` is what the server said of the place."""
    recognition = recognise(message, scan(message))
    data = recognition.data
    assert data is not None
    original = original_in(message, recognition)
    forms = Forms(recognition, original)

    def receipt(facts: CertificationData, path: str) -> Issued:
        form = forms.of(path)
        return issuer.delivery(facts, form, forms.copy(form))

    concluding = _Concluding(row, data, issuer, Effects(at=at, ids=ids), expiry)
    return concluding.all(EnvelopeEnd.DELIVERED, Event.DELIVERY, receipt, (where,))


def not_delivered(
    row: Handover, message: Octets, *, at: datetime, issuer: Issuer, ids: Ids, expiry: timedelta, status: str
) -> Conclusion:
    """T10 for each forward path, with the reason that belongs to an RFC 3463 status."""
    data = recognise(message, scan(message)).data
    assert data is not None
    why = relay.reason(status, issuer.identity.name)

    def notice(facts: CertificationData, _path: str) -> Issued:
        return issuer.non_delivery(replace(facts, error=ErrorKind.OTHER, error_text=why.italian), (why,))

    concluding = _Concluding(row, data, issuer, Effects(at=at, ids=ids), expiry)
    return concluding.all(EnvelopeEnd.NOT_DELIVERED, Event.FAILURE, notice, ())


class _Concluding:
    """Makes one conclusion."""

    def __init__(
        self, row: Handover, data: CertificationData, issuer: Issuer, effects: Effects, expiry: timedelta
    ) -> None:
        assert row.due is not None
        self._due: Due = row.due
        self._data = data
        self._issuer = issuer
        self._effects = effects
        self._expiry = expiry

    def all(
        self,
        end: EnvelopeEnd,
        event: Event,
        issue: Callable[[CertificationData, str], Issued],
        related: tuple[str, ...],
    ) -> Conclusion:
        at, provider, effects = self._effects.at, self._due.signer, self._effects
        made = Conclusion(effects, [], self._data.pec_msgid, provider, self._data.sender)
        for path in self._due.paths:
            issued = issue(replace(self._data, provider=self._issuer.identity.name, at=at, delivered_to=path), path)
            made.ends.append((path, end, issued))
            about = {"at": at, "provider": provider, "recipients": (path,)}
            detail, ids = MessageKind.ENVELOPE, (issued.message_id, *related)
            effects.register(entry_about(self._data, event, related=ids, detail=detail, **about))  # type: ignore[arg-type]
            effects.send(
                issued.message,
                kind=issued.kind,
                reverse_path=self._issuer.identity.service_address,
                forward_path=self._data.sender,
                certified=True,
                about=self._data,
                expires_at=at + self._expiry,
            )
            effects.register(emission(self._data, issued, **about))  # type: ignore[arg-type]
        return made
