"""Boxes that fill up: what they still take, what their holders are told, and what counts (D13, D35)."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import Connection

from gateway.drivers.sources import RandomIds
from gateway.flows.boxes import Boxes
from gateway.flows.fullness_alerts import BoxAlerts, BoxAlertSettings
from gateway.flows.news import News
from gateway.flows.outcomes import Accepted, RecipientAnswer, Refusal, Refused, Taken
from gateway.flows.recipients import Recipients
from gateway.points.box import Capacity
from gateway.points.boxes import Addition, Want
from gateway.points.forecast import full_on
from gateway.storage import accounts, usage
from receipts.octets import Octets
from tests.flows.house import LEASE, Provider, original
from tests.flows.pens import Pen

BRUNO = "bruno@beta.example"


def with_room(provider: Provider, quota: int, reserve: int = 0) -> Provider:
    provider.receive_settings = replace(provider.receive_settings, capacity=Capacity(quota, reserve))
    provider.wire()
    return provider


def used(provider: Provider, name: str) -> int:
    def question(connection: Connection) -> int:
        found = usage.usage_of(connection, provider.people[name].mailbox_id)
        assert found is not None
        return found.used

    return provider.storage.read_now(question)


def boxes_of(provider: Provider) -> Boxes:
    news = News(provider.storage)
    return Boxes(storage=provider.storage, news=news, clock=provider.clock, ids=RandomIds(), capacity=Capacity(None, 0))


class TestRoom:
    @pytest.mark.edge("O19")
    async def test_a_full_box_earns_the_sender_of_an_envelope_a_notice(self, beta: Provider, pen: Pen) -> None:
        with_room(beta, 20_000)
        assert await beta.arrive(pen.envelope(pen.facts([BRUNO]))) == Taken()
        assert await beta.arrive(pen.envelope(pen.facts([BRUNO], pec_msgid="zweite@alfa.example"))) == Taken()
        assert await beta.arrive(pen.envelope(pen.facts([BRUNO], pec_msgid="dritte@alfa.example"))) == Taken()
        answers = [post for post in beta.outbox() if post.row.kind in ("delivery", "non-delivery")]
        kinds = [post.row.kind for post in answers]
        assert kinds[0] == "delivery"
        assert kinds[-1] == "non-delivery"
        notice = answers[-1].certified
        assert notice.said("consegna") == BRUNO
        assert "5.2.2" in notice.said("errore-esteso")
        assert "casella piena" in notice.said("errore-esteso")
        assert len(beta.mailbox("bruno")) == kinds.count("delivery")

    async def test_the_reserve_is_for_certified_mail_alone(self, beta: Provider, pen: Pen) -> None:
        with_room(beta, 100, reserve=1_000_000)
        assert await beta.arrive(pen.envelope(pen.facts([BRUNO]))) == Taken()
        assert beta.kinds("bruno") == ["envelope"]
        raw = original([BRUNO], sender="x@mail.example")
        assert await beta.arrive(raw, BRUNO, reverse_path="x@mail.example") == Refused(Refusal.MAILBOX_FULL)
        assert beta.kinds("bruno") == ["envelope"]

    @pytest.mark.edge("O19")
    async def test_ordinary_mail_for_a_full_box_is_put_off_at_its_recipient(self, beta: Provider) -> None:
        check = Recipients(beta.storage, beta.index, beta.clock, capacity=Capacity(100, 0))
        assert await check("x@mail.example", BRUNO) is RecipientAnswer.FULL
        assert await check("", BRUNO) is RecipientAnswer.FULL
        assert await check("anna@alfa.example", BRUNO) is RecipientAnswer.WELCOME

    @pytest.mark.edge("O19")
    async def test_receipts_are_always_stored_and_do_not_count(self, alfa: Provider, pen: Pen) -> None:
        with_room(alfa, 1)
        outcome = await alfa.hand_in(original())
        assert isinstance(outcome, Accepted)
        assert alfa.kinds("anna") == ["acceptance", "sent"]
        assert used(alfa, "anna") == 0

    async def test_a_quota_of_its_own_wins(self, beta: Provider, pen: Pen) -> None:
        with_room(beta, 1)
        box = beta.people["bruno"].mailbox_id
        beta.storage.write_now(lambda connection: usage.set_quota(connection, box, 0))
        assert await beta.arrive(pen.envelope(pen.facts([BRUNO]))) == Taken()
        assert beta.kinds("bruno") == ["envelope"]

    async def test_service_and_operator_take_everything(self, beta: Provider) -> None:
        with_room(beta, 1)
        raw = original(["postmaster@beta.example"], sender="x@mail.example")
        assert await beta.arrive(raw, "postmaster@beta.example", reverse_path="x@mail.example") == Taken()


class TestAlerts:
    def fill(self, provider: Provider, bytes_: int) -> None:
        box = provider.people["bruno"].mailbox_id
        provider.storage.write_now(
            lambda c: c.exec_driver_sql(f"UPDATE mailboxes SET used_bytes = {bytes_} WHERE id = {box}") and None
        )

    def alerts(self, provider: Provider) -> BoxAlerts:
        settings = BoxAlertSettings(
            notice_address="avvisi@beta.example", capacity=Capacity(1_000, 0), lease=LEASE, expiry=timedelta(days=5)
        )
        return BoxAlerts(provider.storage, provider.clock, provider.ids, provider.leaving.extend, settings)

    async def test_each_level_is_told_once_until_usage_falls(self, beta: Provider) -> None:
        alerts = self.alerts(beta)
        told: list[int] = []
        for full in (0, 699, 700, 720, 849, 850, 951, 2_000, 720, 699, 710):
            self.fill(beta, full)
            told.append(await alerts.look())
            told[-1] += await alerts.look()
        assert told == [0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1]
        stored = beta.mailbox("bruno")
        assert [message.kind for message in stored] == ["service"] * 4
        assert b"Subject: La casella e' piena al 70%" in stored[0].raw
        assert b"Auto-Submitted: auto-generated" in stored[0].raw
        assert used(beta, "bruno") == 710

    async def test_the_notice_address_is_told_too(self, beta: Provider) -> None:
        box = beta.people["bruno"].mailbox_id
        beta.storage.write_now(lambda c: usage.set_notice_address(c, box, "bruno@mail.example"))
        self.fill(beta, 960)
        assert await self.alerts(beta).look() == 1
        [post] = beta.outbox()
        assert (post.row.forward_path, post.row.reverse_path, post.row.certified) == ("bruno@mail.example", "", False)
        assert b"To: bruno@mail.example" in post.raw
        assert [leased.row.forward_path for leased in beta.leaving] == ["bruno@mail.example"], "it leaves at once"

    async def test_of_two_nodes_one_tells(self, beta: Provider) -> None:
        self.fill(beta, 960)
        one, other = self.alerts(beta), self.alerts(beta)
        found = beta.storage.read_now(lambda connection: usage.to_tell(connection, 1_000))
        assert [await alerts._tell(found[0], 1_000, 95) for alerts in (one, other)] == [True, False]
        assert beta.kinds("bruno") == ["service"]

    async def test_how_full_boxes_are_is_noted_once_a_day(self, beta: Provider) -> None:
        box, alerts = beta.people["bruno"].mailbox_id, self.alerts(beta)
        for full in (100, 150, 300):
            self.fill(beta, full)
            await alerts.note_day()
            await alerts.note_day()
            beta.clock.pass_(days=1)
        days = beta.storage.read_now(lambda c: usage.days_of(c, box, date(2020, 1, 1)))
        assert [bytes_ for _, bytes_ in days] == [100, 150, 300]


DAY = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("days", "quota", "expected"),
    [
        ([], 1_000, None),
        ([(DAY, 100)], 1_000, None),
        ([(DAY, 100), (DAY + timedelta(days=10), 200)], 1_000, DAY + timedelta(days=90)),
        ([(DAY, 200), (DAY + timedelta(days=10), 100)], 1_000, None),
        ([(DAY, 100), (DAY + timedelta(days=1), 100)], 1_000, None),
        ([(DAY, 100), (DAY + timedelta(days=1), 1_100)], 1_000, DAY + timedelta(days=1)),
        ([(DAY, 100), (DAY + timedelta(days=1), 101)], 10**9, None),
    ],
)
def test_the_day_on_which_a_box_is_full(days: list[tuple[date, int]], quota: int, expected: date | None) -> None:
    assert full_on(days, quota) == expected


class TestSent:
    """What the client saves of what it sent is not kept twice (D35)."""

    async def test_what_was_submitted_is_not_kept_again(self, alfa: Provider) -> None:
        await alfa.hand_in(original())
        box = await boxes_of(alfa)(alfa.holder("anna"))
        sent = await box.open("Sent", read_only=True)
        _, uids = await box.append("Sent", [Addition(message=Octets.of(original()))])
        assert uids == list(sent.uids)
        assert alfa.kinds("anna") == ["acceptance", "sent"]
        found = await box.details(sent.folder_id, uids, Want.NOTHING)
        assert found.flags == [{"\\Seen", "$Certified", "$Accepted"}]

    async def test_what_was_submitted_a_day_ago_or_by_another_is_kept(self, alfa: Provider) -> None:
        await alfa.hand_in(original(sender="bruno@alfa.example"), sender="bruno")
        box = await boxes_of(alfa)(alfa.holder("anna"))
        await box.append("Sent", [Addition(message=Octets.of(original()))])
        await alfa.hand_in(original())
        alfa.clock.pass_(hours=25)
        await box.append("Sent", [Addition(message=Octets.of(original()))])
        assert alfa.kinds("anna").count("ordinary") == 1

    async def test_what_the_client_put_there_first_becomes_ours(self, alfa: Provider, pen: Pen) -> None:
        box = await boxes_of(alfa)(alfa.holder("anna"))
        _, uids = await box.append("Sent", [Addition(message=Octets.of(original()), flags=frozenset({"Mio"}))])
        assert used(alfa, "anna") == len(original())
        outcome = await alfa.hand_in(original())
        assert isinstance(outcome, Accepted)
        assert alfa.kinds("anna") == ["sent", "acceptance"]
        assert used(alfa, "anna") == 0
        sent = await box.open("Sent", read_only=True)
        found = await box.details(sent.folder_id, uids, Want.NOTHING)
        assert found.flags == [{"Mio", "$Certified", "$Accepted"}]

    async def test_our_copy_shows_what_has_become_of_the_message(self, alfa: Provider) -> None:
        outcome = await alfa.hand_in(original())
        assert isinstance(outcome, Accepted)
        beta = Pen("beta.example")
        data = replace(
            beta.facts([BRUNO], sender="anna@alfa.example"), pec_msgid=outcome.pec_msgid, msgid="<17@client.example>"
        )
        await alfa.arrive(
            beta.delivery(data, BRUNO), "anna@alfa.example", reverse_path="posta-certificata@beta.example"
        )
        assert alfa.states(outcome.pec_msgid) == {BRUNO: "delivered"}
        box = await boxes_of(alfa)(alfa.holder("anna"))
        sent = await box.open("Sent", read_only=True)
        found = await box.details(sent.folder_id, list(sent.uids), Want.NOTHING)
        assert found.flags == [{"\\Seen", "$Certified", "$Accepted", "$Delivered"}]

    async def test_a_copy_that_its_holder_removed_stays_away(self, alfa: Provider) -> None:
        outcome = await alfa.hand_in(original())
        assert isinstance(outcome, Accepted)
        box = await boxes_of(alfa)(alfa.holder("anna"))
        sent = await box.open("Sent", read_only=True)
        await box.move(sent.folder_id, list(sent.uids), "Trash")
        _, uids = await box.append("Sent", [Addition(message=Octets.of(original()))])
        assert alfa.kinds("anna").count("ordinary") == 1
        assert uids


def test_a_mailbox_says_how_it_is_kept(beta: Provider) -> None:
    box = beta.people["bruno"].mailbox_id
    beta.storage.write_now(lambda c: usage.set_receipts_in_inbox(c, box, True))
    found = beta.storage.read_now(lambda c: usage.usage_of(c, box))
    assert found is not None
    assert found.receipts_in_inbox
    ref = beta.storage.read_now(lambda c: accounts.mailbox_of(c, BRUNO))
    assert ref is not None
    assert (ref.used, ref.quota) == (0, None)
