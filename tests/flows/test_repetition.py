"""Whatever comes again is decided once (D4): envelopes by their key, receipts by their bytes."""

import asyncio

import pytest
from sqlalchemy import delete

from gateway.flows.outcomes import Taken
from gateway.storage.tables import outbox
from tests.flows.credentials import START
from tests.flows.house import Provider, original
from tests.flows.pens import Pen

BRUNO, CARLA, NOBODY = "bruno@beta.example", "carla@beta.example", "nessuno@beta.example"
SERVICE = "posta-certificata@beta.example"


def everything_left(provider: Provider) -> None:
    """The relay has delivered all that waits."""
    provider.leaving.clear()
    provider.storage.write_now(lambda connection: connection.execute(delete(outbox)).rowcount)


class TestAnEnvelope:
    @pytest.mark.edge("O5")
    async def test_that_comes_twice_is_delivered_and_answered_once(self, beta: Provider, pen: Pen) -> None:
        data = pen.facts([BRUNO, NOBODY])
        raw = pen.envelope(data)
        for _ in range(3):
            assert await beta.arrive(raw, BRUNO, NOBODY) == Taken()
        assert beta.kinds("bruno") == ["envelope"]
        assert [post.row.kind for post in beta.outbox()] == ["take-charge", "delivery", "non-delivery"]
        again = [row for row in beta.register() if "came before" in (row.detail or "")]
        assert [row.event for row in again] == ["reception", "reception"]
        assert len([row for row in beta.register() if row.event in {"delivery", "failure"}]) == 2

    async def test_that_comes_many_times_at_once_is_delivered_and_answered_once(self, beta: Provider, pen: Pen) -> None:
        raw = pen.envelope(pen.facts([BRUNO, CARLA]))
        paths = [(BRUNO, CARLA), (CARLA, BRUNO), (BRUNO,), (CARLA,)] * 2
        answers = await asyncio.gather(*(beta.arrive(raw, *to) for to in paths))
        assert set(answers) == {Taken()}
        assert beta.kinds("bruno") == beta.kinds("carla") == ["envelope"]
        delivered = [post.certified.said("consegna") for post in beta.outbox() if post.row.kind == "delivery"]
        assert sorted(delivered, key=str) == [BRUNO, CARLA]

    async def test_for_somebody_new_is_decided_for_that_one(self, beta: Provider, pen: Pen) -> None:
        raw = pen.envelope(pen.facts([BRUNO, CARLA]))
        await beta.arrive(raw, BRUNO)
        await beta.arrive(raw, BRUNO, CARLA)
        assert beta.kinds("bruno") == beta.kinds("carla") == ["envelope"]
        charges = [post.certified.each("ricezione") for post in beta.outbox() if post.row.kind == "take-charge"]
        assert charges == [[BRUNO], [CARLA]]

    @pytest.mark.edge("O5")
    async def test_with_other_bytes_is_an_anomaly_and_an_alarm(self, beta: Provider, pen: Pen) -> None:
        data = pen.facts([BRUNO, CARLA])
        await beta.arrive(pen.envelope(data), BRUNO)
        other = pen.envelope(data, raw=original([BRUNO, CARLA], body=b"un altro testo\r\n"))
        await beta.arrive(other, BRUNO, CARLA)
        assert beta.kinds("bruno") == ["envelope", "anomaly"]
        assert beta.kinds("carla") == ["envelope"]  # the key has the recipient in it
        alarms = [row for row in beta.register() if row.event == "alarm"]
        assert [(row.recipients, row.detail) for row in alarms] == [
            ((BRUNO,), "Identifier already used for another message")
        ]

    async def test_of_another_provider_with_the_same_identifier_is_another(self, beta: Provider, pen: Pen) -> None:
        await beta.arrive(pen.envelope(pen.facts(pec_msgid="1@alfa.example")))
        gamma = Pen("gamma.example")
        await beta.arrive(gamma.envelope(gamma.facts(pec_msgid="1@alfa.example")), reverse_path="anna@gamma.example")
        assert beta.kinds("bruno") == ["envelope", "envelope"]

    async def test_that_comes_after_its_time_is_still_the_same(self, beta: Provider, pen: Pen) -> None:
        raw = pen.envelope()
        await beta.arrive(raw)
        beta.clock.pass_(days=8)
        assert await beta.arrive(raw) == Taken()
        assert beta.kinds("bruno") == ["envelope"]

    async def test_for_the_service_mailbox_is_filed_once(self, beta: Provider, pen: Pen) -> None:
        raw = pen.envelope(pen.facts([SERVICE]))
        for _ in range(2):
            await beta.arrive(raw, SERVICE)
        assert beta.kinds("posta-certificata") == ["envelope"]
        assert beta.outbox() == []

    async def test_whose_receipts_left_makes_the_same_bytes_leave_again(self, beta: Provider, pen: Pen) -> None:
        raw = pen.envelope(pen.facts([BRUNO, CARLA, NOBODY]))
        await beta.arrive(raw, BRUNO, CARLA, NOBODY)
        first = [(post.row.kind, post.row.reverse_path, post.row.forward_path, post.raw) for post in beta.outbox()]
        everything_left(beta)
        beta.clock.pass_(minutes=11)
        await beta.arrive(raw, BRUNO, CARLA, NOBODY)
        again = [(post.row.kind, post.row.reverse_path, post.row.forward_path, post.raw) for post in beta.outbox()]
        assert sorted(again) == sorted(first)  # the take-charge receipt once, though three recipients share it
        assert beta.kinds("bruno") == ["envelope"]

    async def test_makes_receipts_leave_again_three_times_at_most(self, beta: Provider, pen: Pen) -> None:
        raw = pen.envelope()
        await beta.arrive(raw)
        counts = []
        for _ in range(6):
            everything_left(beta)
            beta.clock.pass_(minutes=11)
            await beta.arrive(raw)
            counts.append(len(beta.outbox()))
        assert counts == [2, 2, 2, 0, 0, 0]

    async def test_makes_no_receipt_leave_again_within_ten_minutes(self, beta: Provider, pen: Pen) -> None:
        raw = pen.envelope()
        await beta.arrive(raw)
        everything_left(beta)
        beta.clock.pass_(minutes=9, seconds=59)
        await beta.arrive(raw)
        assert beta.outbox() == []
        beta.clock.pass_(seconds=1)
        await beta.arrive(raw)
        assert len(beta.outbox()) == 2
        everything_left(beta)
        beta.clock.pass_(minutes=9)
        await beta.arrive(raw)
        assert beta.outbox() == []

    async def test_does_not_count_while_its_receipts_still_wait(self, beta: Provider, pen: Pen) -> None:
        raw = pen.envelope()
        await beta.arrive(raw)
        for _ in range(5):
            beta.clock.pass_(minutes=11)
            await beta.arrive(raw)
            assert len(beta.outbox()) == 2
        everything_left(beta)
        beta.clock.pass_(minutes=11)
        await beta.arrive(raw)
        assert len(beta.outbox()) == 2

    async def test_at_once_after_its_receipts_left_makes_them_leave_once(self, beta: Provider, pen: Pen) -> None:
        raw = pen.envelope()
        await beta.arrive(raw)
        everything_left(beta)
        beta.clock.pass_(minutes=11)
        await asyncio.gather(*(beta.arrive(raw) for _ in range(5)))
        assert [post.row.kind for post in beta.outbox()] == ["delivery", "take-charge"]

    async def test_whose_mailbox_was_made_since_is_not_decided_again(self, beta: Provider, pen: Pen) -> None:
        raw = pen.envelope(pen.facts([NOBODY]))
        await beta.arrive(raw, NOBODY)
        beta.alias(NOBODY, "carla")
        await beta.arrive(raw, NOBODY)
        assert beta.mailbox("carla") == []
        assert [post.row.kind for post in beta.outbox()] == ["take-charge", "non-delivery"]


class TestAReceipt:
    """Identical bytes for the same mailbox are stored once; the peer hears 250 each time."""

    @pytest.fixture
    async def pec_msgid(self, alfa: Provider) -> str:
        return (await alfa.hand_in(original([BRUNO, CARLA]), BRUNO, CARLA)).pec_msgid

    async def arrived(self, alfa: Provider, raw: bytes, *to: str) -> None:
        to = to or ("anna@alfa.example",)
        assert await alfa.arrive(raw, *to, reverse_path="posta-certificata@beta.example") == Taken()

    @pytest.mark.edge("O6")
    async def test_that_comes_twice_is_stored_once(self, alfa: Provider, pec_msgid: str) -> None:
        beta = Pen("beta.example")
        raw = beta.delivery(beta.facts([BRUNO], sender="anna@alfa.example", pec_msgid=pec_msgid), BRUNO)
        await self.arrived(alfa, raw)
        alfa.clock.pass_(days=30)
        await self.arrived(alfa, b"Received: from a by b; Mon, 2 Mar 2026 09:00:00 +0100\r\n" + raw)
        assert alfa.kinds("anna") == ["acceptance", "sent", "delivery"]

    async def test_that_comes_many_times_at_once_is_stored_once(self, alfa: Provider, pec_msgid: str) -> None:
        beta = Pen("beta.example")
        raw = beta.delivery(beta.facts([BRUNO], sender="anna@alfa.example", pec_msgid=pec_msgid), BRUNO)
        await asyncio.gather(*(self.arrived(alfa, raw) for _ in range(6)))
        assert alfa.kinds("anna") == ["acceptance", "sent", "delivery"]
        assert len([row for row in alfa.register() if row.event == "tracking"]) == 1

    async def test_for_one_who_had_it_and_one_who_had_not(self, alfa: Provider, pec_msgid: str) -> None:
        beta = Pen("beta.example")
        raw = beta.delivery(beta.facts([BRUNO], sender="anna@alfa.example", pec_msgid=pec_msgid), BRUNO)
        await self.arrived(alfa, raw)
        await self.arrived(alfa, raw, "anna@alfa.example", "carla@alfa.example", "Anna@ALFA.example")
        assert alfa.kinds("anna") == ["acceptance", "sent", "delivery"]
        assert alfa.kinds("carla") == ["delivery"]

    async def test_of_the_service_mailbox_is_stored_once(self, alfa: Provider, pec_msgid: str) -> None:
        beta = Pen("beta.example")
        data = beta.facts([BRUNO], sender="anna@alfa.example", pec_msgid=pec_msgid)
        raw = beta.take_charge(data, BRUNO, to="posta-certificata@alfa.example")
        for _ in range(2):
            await self.arrived(alfa, raw, "posta-certificata@alfa.example")
        assert alfa.kinds("posta-certificata") == ["take-charge"]

    @pytest.mark.req("DP-09")
    async def test_in_any_order_leads_to_the_same_end(self, alfa: Provider, pec_msgid: str) -> None:
        beta = Pen("beta.example")
        data = beta.facts([BRUNO, CARLA], sender="anna@alfa.example", pec_msgid=pec_msgid)
        await self.arrived(alfa, beta.delivery(data, BRUNO))
        await self.arrived(
            alfa,
            beta.take_charge(data, BRUNO, CARLA, to="posta-certificata@alfa.example"),
            "posta-certificata@alfa.example",
        )
        assert alfa.states(pec_msgid) == {BRUNO: "delivered", CARLA: "taken"}

    @pytest.mark.edge("O6")
    async def test_that_differs_goes_to_the_user_and_changes_nothing(self, alfa: Provider, pec_msgid: str) -> None:
        beta = Pen("beta.example")
        data = beta.facts([BRUNO], sender="anna@alfa.example", pec_msgid=pec_msgid)
        alfa.clock.pass_(minutes=1)
        await self.arrived(alfa, beta.delivery(data, BRUNO))
        alfa.clock.pass_(minutes=1)
        await self.arrived(alfa, beta.non_delivery(data, BRUNO))
        await self.arrived(alfa, beta.delivery(data, BRUNO, at=START.replace(hour=12)))
        assert alfa.kinds("anna")[2:] == ["delivery", "non-delivery", "delivery"]
        bruno = alfa.sent(pec_msgid).recipient(BRUNO)
        assert bruno is not None
        assert (bruno.state.value, bruno.end_detail) == ("delivered", None)
        assert bruno.ended_at == START.replace(minute=31)
        assert len([row for row in alfa.register() if row.event == "tracking"]) == 1
