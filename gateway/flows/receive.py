"""One message through the incoming point: verified, decided, kept, in one transaction (RFC 6109 section 2.2.2, D23)."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from sqlalchemy import Connection

from gateway.drivers.sources import Clock, Ids
from gateway.flows.authenticate import Authenticate
from gateway.flows.effects import Effects, Handover, Lease
from gateway.flows.entries import REPEATED
from gateway.flows.fullness import is_full
from gateway.flows.inspection import Inspection, Inspector
from gateway.flows.issue import Issuer
from gateway.flows.known import Known, look_up, reported
from gateway.flows.letters import Writer
from gateway.flows.outcomes import Arrival, ReceiveOutcome, Refusal, Refused, Taken
from gateway.flows.ruling import Rulings, follow_rules
from gateway.flows.screening import OneScan, Screening
from gateway.flows.take_anomaly import wrap_anomaly
from gateway.flows.take_envelope import answer_envelope, isolate_envelope
from gateway.flows.take_infected import entry_of_scan, keep_apart, report
from gateway.flows.take_ordinary import OrdinaryTerms, take_ordinary
from gateway.flows.take_receipt import Filed, Follows, file_receipt, nothing_follows
from gateway.flows.taking import Taking
from gateway.flows.tell_of_virus import telling_of_virus
from gateway.flows.trace_fields import received_at_arrival
from gateway.flows.work import deliberate, until_settled
from gateway.points import incoming
from gateway.points.box import UNLIMITED, Capacity
from gateway.points.faults import Fault
from gateway.points.incoming import DECISIONS, Action, ArrivalKind
from gateway.points.ordinary import TAKEN, Ordinary
from gateway.points.screening import CLEAN, Finding
from gateway.storage import register
from gateway.storage.engine import Storage
from gateway.storage.register import Event
from receipts.errors import TemporaryError
from receipts.wire import MessageKind

__all__ = ["ReceiveFlow", "ReceiveSettings"]

log = logging.getLogger(__name__)

MAX_RECEIVED_FIELDS = 50  # D8


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveSettings:
    host: str  # by which name Received calls us
    ordinary_mail: Ordinary  # what boxes do that say nothing of their own; never FORWARD
    notice_address: str  # whom forwarded mail comes from
    authserv_id: str  # by which name our verdicts on its origin are known
    max_envelope_age: timedelta
    max_envelope_ahead: timedelta
    receipt_expiry: timedelta  # how long receipts and notices wait for a server (D8)
    capacity: Capacity = UNLIMITED  # of a mailbox that has none of its own
    lease: Lease


class ReceiveFlow:
    """The incoming and delivery points of one provider.

    Args:
        handover: is told of new outbox rows after their commit.
        screening: says whether a message is infected; None: nobody looks.
        authenticate: looks into the origin of ordinary mail; nobody does if left out.
    """

    def __init__(
        self,
        *,
        storage: Storage,
        inspector: Inspector,
        issuer: Issuer,
        clock: Clock,
        ids: Ids,
        handover: Handover,
        settings: ReceiveSettings,
        screening: Screening | None = None,
        authenticate: Authenticate | None = None,
    ) -> None:
        self._authenticate = authenticate
        self._storage = storage
        self._inspector = inspector
        self._issuer = issuer
        self._clock = clock
        self._ids = ids
        self._handover = handover
        self._settings = settings
        self._screening = screening

    async def __call__(self, arrival: Arrival) -> ReceiveOutcome:
        """Decide on a message for local recipients; what is decided is on disk when this returns.

        Raises:
            TemporaryError: something that a correct act needs is unavailable; nothing was kept.
        """
        scan = OneScan(self._screening)
        return await until_settled(lambda: self._attempt(arrival, scan))

    async def _attempt(self, arrival: Arrival, scan: OneScan) -> ReceiveOutcome:
        at, size = self._clock.now(), arrival.message.size
        inspection = await deliberate(size, lambda: self._inspector.inspect(arrival, at))
        if len(inspection.root.header.all("Received")) > MAX_RECEIVED_FIELDS:
            return Refused(Refusal.LOOP)
        known = await self._storage.read(partial(self._look_up, inspection=inspection))
        found = CLEAN
        if self._screening is not None and self._is_news(inspection, known):
            found = await scan.of(inspection.message)
        if found.reason is not None:
            known = await self._storage.read(partial(reported, inspection=inspection, known=known))
        if inspection.kind is ArrivalKind.ORDINARY_MAIL and found.scan is CLEAN.scan:
            known = await self._with_origin(inspection, known)
        weight = size * len(arrival.forward_paths) + known.scripts_weight
        decided = await deliberate(weight, lambda: self._ruled(inspection, known, found))
        if decided is Refusal.INFECTED:
            await self._register_refusal(inspection, found)
        if isinstance(decided, Refusal):
            return Refused(decided)
        self._handover(await self._storage.write(decided.keep, size=decided.effects.size))
        for entry in decided.effects.alarms:
            log.error("alarm", extra={"pec_msgid": entry.pec_msgid, "detail": entry.detail})
        return Taken()

    def _look_up(self, connection: Connection, inspection: Inspection) -> Known:
        address, ordinary = self._issuer.identity.service_address, self._settings.ordinary_mail
        return look_up(connection, inspection, service_address=address, ordinary_mail=ordinary)

    async def _with_origin(self, inspection: Inspection, known: Known) -> Known:
        """The same, with what the DNS says of the origin of ordinary mail; certified mail never waits for that."""
        arrival = inspection.arrival
        if self._authenticate is None or arrival.own or self._refusal(inspection, known):
            return known
        return replace(
            known, authentication=await self._authenticate(arrival, inspection.message, inspection.root.header)
        )

    def _is_news(self, inspection: Inspection, known: Known) -> bool:
        """Whether it must be scanned: not what is refused whatever it holds, nor what came before as it is (D4)."""
        if inspection.kind in (ArrivalKind.ORDINARY_MAIL, ArrivalKind.DAMAGED):
            return self._refusal(inspection, known) is None
        paths = inspection.arrival.forward_paths
        return any(path not in known.had_before and not known.is_repeated(inspection, path) for path in paths)

    async def _register_refusal(self, inspection: Inspection, found: Finding) -> None:
        assert found.reason is not None
        entry = entry_of_scan(inspection, inspection.arrival.forward_paths, f"{found.reason.english}; refused")
        await self._storage.write(lambda connection: register.append(connection, [entry]))

    def _ruled(self, inspection: Inspection, known: Known, found: Finding) -> Taking | Refusal:
        """What is decided, and done with it as the rules of its boxes say."""
        decided = self._decide(inspection, known, found)
        if known.rules and found.reason is None and isinstance(decided, Taking):
            rulings = Rulings(
                rules=known.rules,
                notice_addresses=known.notice_addresses,
                forwarded=[id_ for id_, policy in known.policies.items() if policy.forward_to is not None],
                ids=self._ids,
                notice_address=self._settings.notice_address,
                expiry=self._settings.receipt_expiry,
                is_certified=self._inspector.is_certified,
                scripts=known.scripts,
                writer=Writer(name=self._issuer.identity.name, address=self._settings.notice_address),
                lease=self._settings.lease,
            )
            follow_rules(inspection, decided.effects, known.boxes, rulings)
        return decided

    def _decide(self, inspection: Inspection, known: Known, found: Finding) -> Taking | Refusal:
        actions = DECISIONS[inspection.kind, found.scan]
        taking = Taking(
            inspection=inspection,
            effects=Effects(at=inspection.at, ids=self._ids),
            lease=self._settings.lease,
            receipt_expiry=self._settings.receipt_expiry,
            service_address=self._issuer.identity.service_address,
        )
        if found.remark:
            taking.effects.register(entry_of_scan(inspection, taking.paths, found.remark))
        if Action.DISCARD in actions:
            return Refusal.INFECTED
        if found.reason is not None:
            return self._infected(taking, known, found.reason)
        if Action.WRAP_ANOMALY in actions:
            return self._refusal(inspection, known) or self._uncertified(taking, known)
        if Action.ISSUE_TAKE_CHARGE in actions:
            return self._envelope(taking, known)
        return self._receipt(taking, known)

    def _refusal(self, inspection: Inspection, known: Known) -> Refusal | None:
        """Why a message about which nothing is certified is not taken at all (D7, DP-06)."""
        if not known.boxes:
            return Refusal.UNKNOWN_RECIPIENT
        if inspection.kind is not ArrivalKind.ORDINARY_MAIL or inspection.arrival.own:
            return None
        if all(policy.refuses for policy in known.policies.values()):
            return Refusal.POLICY
        size, capacity = inspection.message.size, self._settings.capacity
        taking = [box for box in known.boxes.values() if not known.policies[box.id].refuses]
        full = any(is_full(box, size, capacity, certified=False) for box in taking)
        return Refusal.MAILBOX_FULL if full else None

    def _uncertified(self, taking: Taking, known: Known) -> Taking:
        inspection = taking.inspection
        if inspection.kind is ArrivalKind.DAMAGED:
            self._wrap(taking, known, taking.paths, incoming.BAD_FORMAT)
            return taking
        take_ordinary(
            inspection,
            self._issuer,
            taking.effects,
            paths=taking.paths,
            boxes=known.boxes,
            policies=dict.fromkeys(known.policies, TAKEN) if inspection.arrival.own else known.policies,
            received=self._received(inspection),
            terms=OrdinaryTerms(
                ids=self._ids,
                notice_address=self._settings.notice_address,
                expiry=self._settings.receipt_expiry,
                is_certified=self._inspector.is_certified,
                authserv_id=self._settings.authserv_id,
                authentication=known.authentication,
            ),
        )
        return taking

    def _envelope(self, taking: Taking, known: Known) -> Taking | Refusal:
        """Sort the recipients: repeated, mis-addressed, right; each group gets what it is due."""
        inspection = taking.inspection
        right, wrong = self._sorted(taking, known)
        if not right and not taking.repeated and not known.boxes:
            return Refusal.UNKNOWN_RECIPIENT
        if right:
            taking.answers = answer_envelope(
                inspection,
                self._issuer,
                taking.effects,
                paths=right,
                boxes=known.boxes,
                capacity=self._settings.capacity,
                received_field=self._received(inspection),
                receipt_expiry=self._settings.receipt_expiry,
            )
        for reason, paths in wrong.items():
            self._wrap(taking, known, paths, reason)
            if reason is incoming.OTHER_BYTES:
                taking.register(Event.ALARM, paths, reason.english)
        if taking.repeated:
            taking.register(Event.RECEPTION, [seen.address_key for seen in taking.repeated], REPEATED)
        taking.register_deviations()
        return taking

    def _infected(self, taking: Taking, known: Known, found: Fault) -> Taking | Refusal:
        """Let nothing of it reach a mailbox, and tell the provider that signed it, once for each recipient."""
        inspection, right = taking.inspection, list[str]()
        suspects = taking.paths
        if inspection.kind is ArrivalKind.TRANSPORT_ENVELOPE:
            right, wrong = self._sorted(taking, known)
            suspects = tuple(path for paths in wrong.values() for path in paths)
            if not right and not taking.repeated and not known.boxes:
                return Refusal.UNKNOWN_RECIPIENT
        new = [path for path in suspects if path not in known.had_before]
        if right:
            taking.answers = isolate_envelope(
                inspection,
                self._issuer,
                taking.effects,
                paths=right,
                boxes=known.boxes,
                found=found,
                receipt_expiry=self._settings.receipt_expiry,
            )
        if new and inspection.kind in (ArrivalKind.RECEIPT, ArrivalKind.SERVICE_RECEIPT):
            taking.filed = self._filed(taking, known, new, infected=True)
        elif new:
            taking.reported = new
            taking.effects.register(entry_of_scan(inspection, new, "not as it should be", Event.RECEPTION))
        if new:
            expiry = self._settings.receipt_expiry
            report(inspection, self._issuer, taking.effects, paths=new, found=found, expiry=expiry)
        if right or new:
            keep_apart(inspection, taking.effects, paths=[*right, *new], found=found)
        again = [path for path in taking.paths if path not in right and path not in new]
        if again:
            taking.effects.register(entry_of_scan(inspection, again, REPEATED, Event.RECEPTION))
        return taking

    def _sorted(self, taking: Taking, known: Known) -> tuple[list[str], Mapping[Fault, list[str]]]:
        """Forward paths that the envelope is right for, and the others by what is wrong (D1, D2, D4)."""
        inspection, data = taking.inspection, taking.data
        fault = incoming.transaction_fault(
            data,
            inspection.provider,
            inspection.arrival.reverse_path,
            at=inspection.at,
            max_age=self._settings.max_envelope_age,
            max_ahead=self._settings.max_envelope_ahead,
        )
        right: list[str] = []
        wrong: dict[Fault, list[str]] = {}
        for path in taking.paths:
            seen = known.processed.get(path)
            if seen is not None and known.is_repeated(inspection, path):
                taking.repeated.append(seen)
                continue
            reason = fault or incoming.address_fault(data, path) or (incoming.OTHER_BYTES if seen else None)
            if reason is None:
                right.append(path)
            else:
                wrong.setdefault(reason, []).append(path)
        return right, wrong

    def _receipt(self, taking: Taking, known: Known) -> Taking:
        inspection, service_box = taking.inspection, known.service_box
        if inspection.kind is ArrivalKind.SERVICE_RECEIPT and service_box is None:
            raise TemporaryError("there is no service mailbox; `ceralacca domain add` with its domain makes it")
        new = [path for path in taking.paths if path not in known.had_before]
        if new:
            taking.filed = self._filed(taking, known, new)
            taking.register_deviations()
        again = [path for path in taking.paths if path not in new]
        if again:
            taking.register(Event.RECEPTION, again, REPEATED)
        return taking

    def _filed(self, taking: Taking, known: Known, paths: Sequence[str], *, infected: bool = False) -> Filed:
        inspection = taking.inspection
        follows: Follows = nothing_follows
        if inspection.recognition.kind is MessageKind.VIRUS:
            follows = telling_of_virus(
                inspection, self._issuer, self._ids, taking.effects, sent=known.message, box=known.sender_box
            )
        return file_receipt(
            inspection,
            taking.effects,
            paths=paths,
            boxes=known.boxes,
            service_box=known.service_box,
            sent=known.sent,
            received_field=self._received(inspection),
            follows=follows,
            infected=infected,
        )

    def _wrap(self, taking: Taking, known: Known, paths: Sequence[str], reason: Fault) -> None:
        wrap_anomaly(
            taking.inspection,
            self._issuer,
            taking.effects,
            paths=paths,
            boxes=known.boxes,
            reason=reason,
            received=self._received(taking.inspection),
        )

    def _received(self, inspection: Inspection) -> bytes:
        return received_at_arrival(
            inspection.arrival.peer, by=self._settings.host, token=self._ids.token(), at=inspection.at
        )
