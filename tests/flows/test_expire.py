"""What a sender is told of a message that stays unanswered: the truth table of section 3.1.6, on virtual time."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.drivers.smtp_client import Destination
from gateway.drivers.sources import legal_time
from gateway.drivers.transmission import Outcome, Outgoing, Stage, Temporary
from gateway.flows import expire as module
from gateway.flows.outcomes import Accepted, Taken
from gateway.flows.relay import Consignment
from gateway.storage import accounts, outbox
from gateway.storage.engine import Storage
from providers.sealing import Signer
from receipts.errors import SigningUnavailable
from receipts.wire import ErrorKind, MessageKind
from tests.flows.credentials import ROME, START, authority, credential
from tests.flows.house import LEASE, CountedIds, HandClock, Network, Provider, original
from tests.flows.pens import Pen
from tests.providers.authorities import BrokenSigner, openssl_verifies

ANNA, BRUNO, CARLA, OWN, ORDINARY = (
    "anna@alfa.example",
    "bruno@beta.example",
    "carla@beta.example",
    "carla@alfa.example",
    "x@mail.example",
)
FIRST, SECOND = "first", "second"
TEXTS = {FIRST: "nelle prime 12 ore dal suo invio", SECOND: "entro 24 ore dal suo invio"}
EVERY = timedelta(minutes=30)


@dataclass
class Correspondence:
    """One message from Anna, and what beta says about it, when the test wants it."""

    alfa: Provider
    clock: HandClock
    pec_msgid: str
    start: datetime

    @classmethod
    async def begun(cls, alfa: Provider, clock: HandClock, *to: str, msgid: str = "<17@client.example>") -> Any:
        to = to or (BRUNO,)
        outcome = await alfa.hand_in(original(to[:1], to[1:], msgid=msgid), *to)
        assert isinstance(outcome, Accepted)
        alfa.leaving.clear()  # nobody carries it
        return cls(alfa, clock, outcome.pec_msgid, clock.at)

    @property
    def hours(self) -> float:
        return (self.clock.at.astimezone(UTC) - self.start.astimezone(UTC)) / timedelta(hours=1)

    def notices(self, about: str = BRUNO) -> list[str]:
        """Which notices stand in Anna's box about a recipient."""
        box = self.alfa.mailbox("anna")
        about_this = [each for each in box if (each.kind, each.pec_msgid) == (MessageKind.TIMEOUT, self.pec_msgid)]
        found = [stored.certified for stored in about_this]
        return [
            next(which for which, text in TEXTS.items() if text in notice.text)
            for notice in found
            if notice.said("consegna") == about
        ]

    async def says(self, kind: str, about: str = BRUNO) -> None:
        """Beta's receipt arrives."""
        pen = Pen("beta.example")
        sent = self.alfa.sent(self.pec_msgid)
        data = pen.facts([each.address for each in sent.recipients], sender=ANNA, pec_msgid=self.pec_msgid)
        service = self.alfa.service_address
        raw, to = {
            "T5": lambda: (pen.take_charge(data, about, to=service, at=self.clock.at), service),
            "T9": lambda: (pen.delivery(data, about, at=self.clock.at), ANNA),
            "T10": lambda: (pen.non_delivery(data, about, at=self.clock.at), ANNA),
        }[kind]()
        assert await self.alfa.arrive(raw, to, reverse_path=pen.service_address) == Taken()

    async def played(
        self,
        events: Mapping[float, str],
        *,
        until: float = 30,
        down: tuple[float, float] = (0, 0),
        restarted_at: float = -1,
    ) -> list[tuple[float, str]]:
        """Let time go by with a tick each half hour, none while the provider is down; when which notice came."""
        told: list[tuple[float, str]] = []
        while self.hours < until:
            self.clock.pass_(seconds=EVERY.total_seconds())
            if self.hours in events:
                await self.says(events[self.hours])
            if self.hours == restarted_at:
                self.alfa.wire()
            if not down[0] <= self.hours < down[1] and await self.alfa.expire():
                told += [(self.hours, which) for which in self.notices()[len(told) :]]
        return told


@pytest.mark.edge("A8")
@pytest.mark.req("TIM-11", "TIM-12", "TIM-13", "TIM-14")
@pytest.mark.parametrize(
    ("events", "told", "state"),
    [
        ({1: "T5", 20: "T9"}, [], "delivered"),
        ({1: "T5"}, [(23, SECOND)], "timed-out"),
        ({11.5: "T9"}, [], "delivered"),
        ({13: "T9"}, [(12, FIRST)], "delivered"),
        ({}, [(12, FIRST), (23, SECOND)], "timed-out"),
        ({12: "T5"}, [(23, SECOND)], "timed-out"),
        ({13: "T5"}, [(12, FIRST), (23, SECOND)], "timed-out"),
        ({13: "T5", 14: "T9"}, [(12, FIRST)], "delivered"),
        ({1: "T9", 2: "T5"}, [], "delivered"),
        ({5: "T10"}, [], "failed"),
        ({1: "T5", 5: "T10"}, [], "failed"),
        ({13: "T10"}, [(12, FIRST)], "failed"),
        ({22.5: "T9"}, [(12, FIRST)], "delivered"),
    ],
)
async def test_the_truth_table(
    alfa: Provider, clock: HandClock, events: dict[float, str], told: list[tuple[float, str]], state: str
) -> None:
    """T5 without T9, T9 without T5, both, neither, in each order, and failures."""
    sent = await Correspondence.begun(alfa, clock)
    assert await sent.played(events) == told
    assert alfa.states(sent.pec_msgid) == {BRUNO: state}


@pytest.mark.req("TIM-17")
@pytest.mark.parametrize(
    ("down", "told"),
    [
        ((11, 15), [(15, FIRST), (23, SECOND)]),
        ((13, 22), [(12, FIRST), (23, SECOND)]),
        ((11, 23.5), [(23.5, SECOND)]),
        ((22, 26), [(12, FIRST), (26, SECOND)]),
        ((11, 29), [(29, SECOND)]),
    ],
)
async def test_what_was_missed_is_caught_up_once(
    alfa: Provider, clock: HandClock, down: tuple[float, float], told: list[tuple[float, str]]
) -> None:
    """When both are due the second alone goes out: what the first would announce stands right beside it."""
    sent = await Correspondence.begun(alfa, clock)
    assert await sent.played({}, down=down, restarted_at=down[1]) == told
    late = told[-1][0] > 24
    assert [row.detail for row in alfa.register() if row.event == "alarm"] == (
        ["timeout notice after the 24 hours"] if late else []
    )


@pytest.mark.req("TIM-17")
async def test_a_restart_between_the_two_changes_nothing(alfa: Provider, clock: HandClock) -> None:
    sent = await Correspondence.begun(alfa, clock)
    assert await sent.played({}, restarted_at=15) == [(12, FIRST), (23, SECOND)]


@pytest.mark.req("TIM-12")
async def test_the_second_notice_comes_between_22_and_24_hours(alfa: Provider, clock: HandClock) -> None:
    sent = await Correspondence.begun(alfa, clock)
    [_, (hours, which)] = await sent.played({})
    assert which == SECOND
    assert 22 <= hours <= 24


@pytest.mark.req("TIM-10", "RC-07")
async def test_each_recipient_has_a_time_of_its_own(alfa: Provider, clock: HandClock) -> None:
    """And a recipient of this provider, who is silent because nobody carried anything, the same."""
    sent = await Correspondence.begun(alfa, clock, BRUNO, CARLA, OWN)
    await sent.says("T9", BRUNO)
    await sent.says("T5", CARLA)
    await sent.played({}, until=24)
    assert [sent.notices(about) for about in (BRUNO, CARLA, OWN)] == [[], [SECOND], [FIRST, SECOND]]
    assert alfa.states(sent.pec_msgid) == {BRUNO: "delivered", CARLA: "timed-out", OWN: "timed-out"}


@pytest.mark.edge("E7", "O18")
@pytest.mark.req("TIM-10")
async def test_ordinary_recipients_have_no_timers(alfa: Provider, clock: HandClock) -> None:
    sent = await Correspondence.begun(alfa, clock, ORDINARY, BRUNO)
    await sent.played({})
    assert sent.notices(ORDINARY) == []
    assert alfa.states(sent.pec_msgid) == {ORDINARY: "external", BRUNO: "timed-out"}


@pytest.mark.req("TIM-10")
async def test_within_one_provider_the_receipts_are_in_time(network: Network, clock: HandClock) -> None:
    alfa, _ = network.providers
    outcome = await alfa.hand_in(original([OWN]), OWN)
    await network.carry()
    clock.pass_(hours=23)
    assert await alfa.expire() == 0
    assert alfa.states(outcome.pec_msgid) == {OWN: "delivered"}


@pytest.mark.edge("O6")
@pytest.mark.req("TIM-15")
async def test_a_receipt_that_comes_after_the_end_still_reaches_the_user(alfa: Provider, clock: HandClock) -> None:
    """Delivered or not: the state stays, and nothing more is sent. That it was delivered late is on record."""
    sent = await Correspondence.begun(alfa, clock)
    await sent.played({}, until=24)
    await sent.says("T5")
    await sent.says("T9")
    await sent.says("T10")
    assert alfa.kinds("anna")[-2:] == ["delivery", "non-delivery"]
    assert alfa.states(sent.pec_msgid) == {BRUNO: "timed-out"}
    tracking = [row.detail for row in alfa.register() if row.event == "tracking"]
    assert tracking == ["timed-out", "delivered late, stays timed-out"]
    assert await sent.played({}, until=60) == []
    assert sent.notices() == [FIRST, SECOND]


@pytest.mark.edge("A14")
@pytest.mark.req("TIM-11", "TIM-12", "HDR-10", "TIM-01", "LOG-05", "XML-20")
async def test_the_notices_are_what_the_rules_ask_for(alfa: Provider, clock: HandClock, tmp_path: Path) -> None:
    sent = await Correspondence.begun(alfa, clock, BRUNO, ORDINARY)
    await sent.played({}, until=24)
    first, second = [stored for stored in alfa.mailbox("anna") if stored.kind == MessageKind.TIMEOUT]
    root = tmp_path / "root.pem"
    root.write_bytes(authority().root.pem)
    for stored, hours in ((first, 12), (second, 23)):
        notice = stored.certified
        assert notice.header("X-Ricevuta") == "preavviso-errore-consegna"
        assert notice.header("Subject") == "AVVISO DI MANCATA CONSEGNA PER SUP. TEMPO MASSIMO: Perizia"
        assert (notice.header("From"), notice.header("To")) == (alfa.service_address, ANNA)
        assert notice.header("Return-Path") == f"<{alfa.service_address}>"
        assert notice.header("X-Riferimento-Message-ID") == "<17@client.example>"
        assert notice.header("X-VerificaSicurezza") is None
        assert (notice.type, notice.error) == ("preavviso-errore-consegna", ErrorKind.OTHER)
        assert (notice.said("identificativo"), notice.said("consegna")) == (sent.pec_msgid, BRUNO)
        assert notice.recipients == {BRUNO: "certificato", ORDINARY: "esterno"}
        assert notice.parts == ["multipart/alternative", "application/xml"]
        at = sent.start + timedelta(hours=hours)
        assert notice.date == at.replace(microsecond=0)
        assert notice.instant == f"{at:%d/%m/%Y %H:%M:%S %z}"
        assert f"Il giorno {at:%d/%m/%Y} alle ore {at:%H:%M:%S} ({at:%z}) il messaggio" in notice.text
        assert openssl_verifies(stored.raw, root, at=START)
        rows = [row for row in alfa.register() if row.at == at]
        assert (rows[0].event, rows[0].related) == ("emission", (notice.message_id,))
    assert (first.certified.said("errore-esteso") or "").startswith("4.4.1 - Alfa PEC - ")
    assert (second.certified.said("errore-esteso") or "").startswith("5.4.1 - Alfa PEC - ")
    assert first.certified.message_id != second.certified.message_id


@pytest.mark.req("TIM-16")
async def test_the_end_of_a_recipient_ends_what_waits_for_it(alfa: Provider, clock: HandClock) -> None:
    """One commit: notice, state, and the row of the outbox, whether an operator holds it or not (D9)."""
    sent = await Correspondence.begun(alfa, clock, BRUNO, CARLA)
    [held, _] = alfa.outbox()
    alfa.storage.write_now(lambda connection: outbox.hold(connection, [held.row.id]))
    await sent.says("T9", CARLA)
    clock.pass_(hours=23)
    assert await alfa.expire() == 1
    assert [post.row.forward_path for post in alfa.outbox()] == [CARLA]
    assert alfa.states(sent.pec_msgid)[BRUNO] == "timed-out"


@pytest.mark.req("TIM-16")
async def test_an_envelope_that_is_being_tried_is_waited_for(alfa: Provider, clock: HandClock) -> None:
    """At most as long as a lease lasts, and nobody takes it up again meanwhile."""
    sent = await Correspondence.begun(alfa, clock)
    clock.pass_(hours=23, minutes=-1)
    take = lambda: alfa.storage.write_now(  # noqa: E731
        lambda c: outbox.claim(c, "node-2", clock.now(), limit=9, lease=timedelta(minutes=5))
    )
    assert len(take()) == 1
    clock.pass_(minutes=3)
    assert await alfa.expire() == 0
    assert sent.notices() == []
    assert alfa.states(sent.pec_msgid) == {BRUNO: "accepted"}
    clock.pass_(minutes=2)
    assert take() == []
    assert await alfa.expire() == 1
    assert alfa.outbox() == []
    assert sent.hours < 24


class SilentNetwork(Network):
    """No server but our own answers."""

    async def _send(self, destination: Destination, outgoing: Outgoing) -> Sequence[Outcome]:
        return [Temporary("4.4.1", "no answer", Stage.CONNECT)] * len(outgoing.forward_paths)


@pytest.mark.req("IP-14", "TIM-16")
async def test_whatever_idles_ends_within_24_hours_and_the_sender_is_told(storage: Storage, clock: HandClock) -> None:
    """To a certified recipient by the second notice; to an ordinary one by SMTP's own means (RFC 3464)."""
    alfa = Provider("alfa.example", storage, clock)
    network = SilentNetwork(alfa)
    await alfa.hand_in(original([BRUNO], [ORDINARY]), BRUNO, ORDINARY)
    start = clock.at
    await network.carry()
    while clock.at - start < timedelta(hours=24):
        assert alfa.outbox() or clock.at - start > timedelta(hours=23)
        clock.pass_(minutes=20)
        due = alfa.storage.write_now(
            lambda c: outbox.claim(c, LEASE.owner, clock.now(), limit=9, lease=timedelta(minutes=5))
        )
        for row in due:
            await network.relays["alfa.example"](Consignment((row,), local=row.domain == "alfa.example"))
        clock.pass_(minutes=10)
        await alfa.expire()
        await network.carry()
    assert alfa.outbox() == []
    [bounce] = [stored for stored in alfa.mailbox("anna") if stored.kind == MessageKind.ANOMALY]
    assert b"Final-Recipient: rfc822; x@mail.example" in bounce.raw
    assert alfa.kinds("anna").count(MessageKind.TIMEOUT) == 2


async def test_an_attempt_that_ends_while_it_is_waited_for_decides(alfa: Provider, clock: HandClock) -> None:
    sent = await Correspondence.begun(alfa, clock)
    clock.pass_(hours=23)
    [row] = alfa.storage.write_now(
        lambda c: outbox.claim(c, "node-2", clock.now(), limit=9, lease=timedelta(minutes=5))
    )
    assert await alfa.expire() == 0
    alfa.storage.write_now(lambda c: outbox.settle(c, row.id, "node-2"))
    await sent.says("T9")
    clock.pass_(minutes=10)
    assert await alfa.expire() == 0
    assert alfa.states(sent.pec_msgid) == {BRUNO: "delivered"}


@pytest.mark.req("TIM-17")
async def test_two_nodes_tell_everybody_once(postgresql_url: str, clock: HandClock) -> None:
    storages = [Storage.open(postgresql_url), Storage.open(postgresql_url)]
    one = Provider("alfa.example", storages[0], clock)
    other = Provider("alfa.example", storages[1], twin_of=one)
    other.ids = CountedIds("twin")
    other.issuer = type(other.issuer)(other.identity, Pen("alfa.example").signer, other.ids)
    other.wire()
    sent = [await Correspondence.begun(one, clock, BRUNO, CARLA, msgid=f"<{number}@c>") for number in range(20)]
    for hours, most in ((12, 1), (11, 2)):
        clock.pass_(hours=hours)
        counts = await asyncio.gather(one.expire(), other.expire(), one.expire())
        assert sum(counts) == 40
        notices = [stored for stored in one.mailbox("anna") if stored.kind == MessageKind.TIMEOUT]
        assert len(notices) == 40 * most
        about = {(stored.pec_msgid, stored.certified.said("consegna"), stored.raw) for stored in notices}
        assert len({each[:2] for each in about}) == 40
    assert one.outbox() == []
    assert {state for each in sent for state in one.states(each.pec_msgid).values()} == {"timed-out"}
    for storage in storages:
        storage.close()


async def test_nobody_is_overlooked_however_many_are_due(
    alfa: Provider, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    monkeypatch.setattr(module, "AT_ONCE", 2)
    sent = [await Correspondence.begun(alfa, clock, BRUNO, CARLA, OWN, msgid=f"<{n}@c>") for n in range(3)]
    for hours in (12, 11):
        clock.pass_(hours=hours)
        assert await alfa.expire() == 9
        assert await alfa.expire() == 0
    assert all(each.notices(about) == [FIRST, SECOND] for each in sent for about in (BRUNO, CARLA, OWN))


async def test_who_comes_due_while_others_wait_is_not_overlooked(alfa: Provider, clock: HandClock) -> None:
    """Each run looks only at those whom the last one cannot have seen; one that failed makes the next look at all."""
    first = await Correspondence.begun(alfa, clock)
    clock.pass_(hours=1)
    second = await Correspondence.begun(alfa, clock, CARLA, msgid="<18@client.example>")
    clock.pass_(hours=11)
    assert await alfa.expire() == 1
    clock.pass_(hours=1)
    assert await alfa.expire() == 1
    assert (first.notices(BRUNO), second.notices(CARLA)) == ([FIRST], [FIRST])


class LostKey(BrokenSigner):
    """A key that cannot be used while it is lost."""

    def __init__(self, like: Signer) -> None:
        super().__init__(like)
        self._like = like
        self.lost = False

    def sign(self, data: bytes) -> bytes:
        return super().sign(data) if self.lost else self._like.sign(data)


async def test_while_the_key_is_away_nothing_is_issued_and_nothing_forgotten(
    storage: Storage, clock: HandClock
) -> None:
    signer = LostKey(credential("alfa.example").signer)
    alfa = Provider("alfa.example", storage, clock, signer=signer)
    sent = await Correspondence.begun(alfa, clock)
    signer.lost = True
    clock.pass_(hours=12)
    with pytest.raises(SigningUnavailable):
        await alfa.expire()
    signer.lost = False
    clock.pass_(hours=1)
    assert await alfa.expire() == 1
    assert sent.notices() == [FIRST]


async def test_a_notice_that_cannot_be_written_keeps_no_other_back(
    alfa: Provider, clock: HandClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    await Correspondence.begun(alfa, clock, BRUNO, CARLA)
    issue = alfa.issuer.timeout

    def refusing(data: Any, *arguments: Any) -> Any:
        if data.delivered_to == BRUNO:
            raise ValueError("cannot stand in a header")
        return issue(data, *arguments)

    monkeypatch.setattr(alfa.issuer, "timeout", refusing)
    clock.pass_(hours=12)
    with caplog.at_level(logging.ERROR):
        assert await alfa.expire() == 1
    assert "a timeout notice cannot be issued" in caplog.text
    monkeypatch.undo()
    clock.pass_(hours=2)
    assert await alfa.expire() == 1  # the run before did not see all


async def test_a_sender_who_is_gone_is_no_hindrance(
    alfa: Provider, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = await Correspondence.begun(alfa, clock)
    monkeypatch.setattr(accounts, "mailbox_of", lambda *_: None)
    clock.pass_(hours=23)
    assert await alfa.expire() == 1
    assert alfa.states(sent.pec_msgid) == {BRUNO: "timed-out"}
    assert sent.notices() == []
    assert [row.detail for row in alfa.register() if row.event == "alarm"] == ["nobody to tell of a delay"]


@pytest.mark.req("TIM-03", "TIM-05", "TIM-11", "TIM-12")
@pytest.mark.parametrize(
    ("evening", "first", "second"),
    [
        ("2026-03-28 20:00", "29/03/2026 09:00:00 +0200", "29/03/2026 20:00:00 +0200"),
        ("2026-03-28 14:30", "29/03/2026 03:30:00 +0200", "29/03/2026 14:30:00 +0200"),
        ("2026-10-24 20:00", "25/10/2026 07:00:00 +0100", "25/10/2026 18:00:00 +0100"),
        ("2026-10-24 15:30", "25/10/2026 02:30:00 +0100", "25/10/2026 13:30:00 +0100"),
        ("2026-10-24 14:30", "25/10/2026 02:30:00 +0200", "25/10/2026 12:30:00 +0100"),
    ],
)
async def test_in_the_nights_of_the_change_the_hours_are_those_that_pass(
    storage: Storage, evening: str, first: str, second: str
) -> None:
    """And each notice tells legal time as it is at its instant, the doubled hour included."""
    clock = HandClock(legal_time(datetime.fromisoformat(evening).replace(tzinfo=ROME), ROME))
    alfa = Provider("alfa.example", storage, clock)
    sent = await Correspondence.begun(alfa, clock)
    assert await sent.played({}, until=24) == [(12, FIRST), (23, SECOND)]
    notices = [stored.certified for stored in alfa.mailbox("anna") if stored.kind == MessageKind.TIMEOUT]
    assert [notice.instant for notice in notices] == [first, second]
    for notice in notices:
        day, time, zone = notice.instant.split()
        assert f"Il giorno {day} alle ore {time} ({zone})" in notice.text
        assert (notice.header("Date") or "").endswith(f"{time} {zone}")
