"""A decided arrival: what will be kept of it, and the facts that must still hold when it is (D23)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Connection

from gateway.flows.effects import Effects, Lease, Leased
from gateway.flows.entries import entry_about
from gateway.flows.inspection import Inspection
from gateway.flows.repeat_envelope import repeat_answers
from gateway.flows.take_envelope import Answers
from gateway.flows.take_receipt import Filed
from gateway.storage import received
from gateway.storage.errors import Conflict
from gateway.storage.received import ProcessedEnvelope
from gateway.storage.register import Event
from receipts.facts import CertificationData
from receipts.identifiers import address_key

__all__ = ["Taking"]


@dataclass(slots=True, kw_only=True)
class Taking:
    """What one transaction makes of an arrival: effects, and what is remembered beside them."""

    inspection: Inspection
    effects: Effects
    lease: Lease
    receipt_expiry: timedelta  # how long receipts that leave once more wait for a server
    service_address: str  # ours
    answers: Answers | None = None
    filed: Filed | None = None
    repeated: list[ProcessedEnvelope] = field(default_factory=list)
    reported: list[str] = field(default_factory=list)
    """Forward paths for which the virus in these very bytes was reported, though they are no right envelope (B6)."""

    @property
    def data(self) -> CertificationData:
        """Of a certified message that conforms."""
        assert self.inspection.recognition.data is not None
        return self.inspection.recognition.data

    @property
    def paths(self) -> tuple[str, ...]:
        """The forward paths without those that differ only in spelling from an earlier one."""
        found: dict[str, str] = {}
        for path in self.inspection.arrival.forward_paths:
            found.setdefault(address_key(path), path)
        return tuple(found.values())

    def keep(self, connection: Connection) -> tuple[Leased, ...]:
        """The transaction. Raises Conflict if a fact that was decided on holds no longer."""
        if self.answers is not None:
            self.answers.check(connection)
        if self.filed is not None:
            self.filed.remember(connection)
        for path in sorted(self.reported, key=address_key):
            if not received.record_receipt(connection, self.inspection.signed_sha256, path, self.inspection.at):
                raise Conflict("it was reported meanwhile")
        kept = self.effects.perform(connection, self.lease)
        if self.answers is not None:
            self.answers.remember(connection, kept)
        if self.filed is not None:
            self.filed.track(connection, self.lease)
        if self.repeated:
            repeat_answers(
                connection,
                self.repeated,
                service_address=self.service_address,
                mail_receipt=self.inspection.provider.mail_receipt,
                about=self.data,
                at=self.inspection.at,
                expiry=self.receipt_expiry,
            )
        return kept.leased

    def register(self, event: Event, recipients: Sequence[str], detail: str) -> None:
        """An event about a certified message."""
        self.effects.register(
            entry_about(
                self.data,
                event,
                at=self.inspection.at,
                provider=self.inspection.provider.name,
                recipients=recipients,
                detail=detail,
            )
        )

    def register_deviations(self) -> None:
        """Soft faults, and clear text on the way: a register row, nothing else (D3)."""
        found = list(self.inspection.recognition.soft)
        if not self.inspection.arrival.peer.tls:
            found.append("it came in clear text")
        if found:
            self.register(Event.DEVIATION, self.paths, "; ".join(found))
