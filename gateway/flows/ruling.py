"""The rules of boxes and their scripts, asked about what is about to be filed: where it goes, who hears of it (D34)."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from gateway.drivers.sources import Ids
from gateway.flows.effects import Effects, Lease
from gateway.flows.forwarding import forwarded
from gateway.flows.inspection import Inspection
from gateway.flows.letters import Writer
from gateway.flows.notices import arrival_notice
from gateway.flows.scripted import BoxScript, ask_script
from gateway.flows.take_anomaly import Said
from gateway.points.incoming import ArrivalKind
from gateway.points.ordinary import may_forward
from gateway.points.rules import Facts, Rule, Verdict, judge
from gateway.points.sieve.mail import Mail
from gateway.storage.accounts import MailboxRef
from gateway.storage.mailboxes import ORDINARY
from gateway.storage.register import Event
from receipts.octets import Octets
from receipts.scanner import scan_header

__all__ = ["Rulings", "follow_rules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulings:
    """What is needed to follow rules."""

    rules: Mapping[int, Sequence[Rule]]  # by mailbox id
    scripts: Mapping[int, BoxScript]  # by mailbox id, of those among them that have one
    notice_addresses: Mapping[int, str]  # by mailbox id
    forwarded: Collection[int]  # mailboxes that forward it anyway: one forward is enough (D34)
    ids: Ids
    notice_address: str  # whom forwards and notices come from
    expiry: timedelta  # how long they wait for a server
    is_certified: Callable[[str], bool]  # whether an address is one of certified mail
    writer: Writer  # of letters to holders
    lease: Lease


def follow_rules(inspection: Inspection, effects: Effects, boxes: Mapping[str, MailboxRef], rulings: Rulings) -> None:
    """Ask the rules of each box about what this arrival files there, then its script."""
    by_id = {box.id: (path, box) for path, box in boxes.items()}
    said = Said.by(inspection)
    for filing in effects.filings_into(rulings.rules):
        path, box = by_id[filing.mailbox_id]
        facts = _facts(inspection, said, boxes, kind=filing.kind, size=filing.message.size)
        verdict = judge(rulings.rules[box.id], facts)
        script = rulings.scripts.get(box.id)
        if script is not None and not verdict.last:
            mail = _mail(inspection, filing.message, facts, path, script)
            asked = ask_script(
                script, mail, box.address, effects, writer=rulings.writer, ids=rulings.ids, lease=rulings.lease
            )
            verdict = verdict.then(asked)
        if box.store is None:  # another server is handed each message once
            for copy in verdict.copies:
                effects.copy(filing, folder=copy.folder, flags=int(copy.marks))
        effects.refile(filing, folder=verdict.folder, flags=int(verdict.marks))
        if verdict.forward is not None and box.id not in rulings.forwarded:
            _forward(inspection, effects, filing.message, said, (path, box), verdict, rulings)
        _notify(inspection, effects, box, verdict, rulings)


def _notify(inspection: Inspection, effects: Effects, box: MailboxRef, verdict: Verdict, rulings: Rulings) -> None:
    """Never of what may be such a notice itself: two boxes that tell each other would go on for ever."""
    if inspection.kind is ArrivalKind.ORDINARY_MAIL and not inspection.arrival.reverse_path:
        return
    own = rulings.notice_addresses.get(box.id)
    told = {own} if verdict.notify and own is not None else set[str]()
    for to in sorted(told.union(verdict.tell)):
        token = rulings.ids.token()
        notice = arrival_notice(
            at=inspection.at, notice_address=rulings.notice_address, box=box.address, to=to, token=token
        )
        _send(effects, Octets.of(notice), to, inspection, rulings)


def _mail(inspection: Inspection, delivered: Octets, facts: Facts, path: str, script: BoxScript) -> Mail:
    """What a script sees: the message as it will lie in the box."""
    return Mail(
        header=scan_header(delivered),
        reverse_path=inspection.arrival.reverse_path,
        forward_path=path,
        at=inspection.at,
        facts=facts,
        folders=script.folders,
    )


def _facts(inspection: Inspection, said: Said, boxes: Mapping[str, MailboxRef], *, kind: str, size: int) -> Facts:
    data = inspection.recognition.data if inspection.verdict.proven else None
    return Facts(
        sender=said.sender if data is None else data.sender,
        recipients=tuple(boxes) if data is None else tuple(one.address for one in data.recipients),
        subject=(said.subject if data is None else data.subject) or "",
        signer=said.provider or "",
        kind=kind,
        size=size,
    )


def _forward(
    inspection: Inspection,
    effects: Effects,
    delivered: Octets,
    said: Said,
    place: tuple[str, MailboxRef],
    verdict: Verdict,
    rulings: Rulings,
) -> None:
    """A new ordinary message, after delivery; never of null-path mail or of a forward, never into certified mail."""
    path, box = place
    to = verdict.forward
    assert to is not None
    allowed = not rulings.is_certified(to) and may_forward(
        inspection.root.header,
        reverse_path=inspection.arrival.reverse_path,
        forward_to=to,
        boxes=(box.address, path),
    )
    if not allowed:
        effects.register(said.entry(Event.DEVIATION, (box.address,), detail=f"not forwarded to {to}"))
        return
    message = None
    while message is None:
        message = forwarded(
            delivered,
            at=inspection.at,
            notice_address=rulings.notice_address,
            box=box.address,
            to=to,
            subject=said.subject,
            token=rulings.ids.token(),
        )
    _send(effects, message, to, inspection, rulings)
    effects.register(said.entry(Event.EMISSION, (box.address,), detail=f"forwarded to {to}"))


def _send(effects: Effects, message: Octets, to: str, inspection: Inspection, rulings: Rulings) -> None:
    effects.send(
        message,
        kind=ORDINARY,
        reverse_path="",
        forward_path=to,
        certified=False,
        about=None,
        expires_at=inspection.at + rulings.expiry,
    )
