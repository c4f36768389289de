"""Who may certify what, and for whom (IP-07, IP-08; D1, D2)."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from gateway.flows.outcomes import Accepted, Taken
from tests.flows.credentials import START
from tests.flows.house import Provider, original
from tests.flows.pens import Pen

BRUNO, CARLA, NOBODY = "bruno@beta.example", "carla@beta.example", "nessuno@beta.example"
WEEK, HOUR, SECOND = timedelta(days=7), timedelta(hours=1), timedelta(seconds=1)
INSTANT = START.replace(microsecond=0)  # certification data know whole seconds


class TestAnEnvelope:
    """A recipient for whom it is wrong gets an anomaly envelope; nothing is answered for that one."""

    @pytest.mark.req("IP-07")
    async def test_replayed_to_somebody_else_certifies_nothing(self, beta: Provider, pen: Pen) -> None:
        assert await beta.arrive(pen.envelope(pen.facts([BRUNO])), CARLA) == Taken()
        assert beta.kinds("carla") == ["anomaly"]
        assert "non presente fra quelli certificati" in beta.mailbox("carla")[0].certified.text
        assert beta.outbox() == []

    @pytest.mark.req("IP-07", "RC-08")
    async def test_is_right_for_one_and_wrong_for_another(self, beta: Provider, pen: Pen) -> None:
        await beta.arrive(pen.envelope(pen.facts([BRUNO])), CARLA, BRUNO)
        assert beta.kinds("bruno") == ["envelope"]
        assert beta.kinds("carla") == ["anomaly"]
        take_charge, delivery = beta.outbox()
        assert take_charge.certified.each("ricezione") == [BRUNO]
        assert delivery.certified.said("consegna") == BRUNO

    @pytest.mark.req("IP-07")
    async def test_replayed_to_a_mailbox_that_does_not_exist_gets_no_notice(self, beta: Provider, pen: Pen) -> None:
        await beta.arrive(pen.envelope(pen.facts([BRUNO])), BRUNO, NOBODY)
        assert [post.row.kind for post in beta.outbox()] == ["take-charge", "delivery"]

    @pytest.mark.req("IP-07")
    @pytest.mark.parametrize("reverse_path", ["carla@alfa.example", "anna@beta.example", ""])
    async def test_from_another_reverse_path_than_the_signed_sender(
        self, beta: Provider, pen: Pen, reverse_path: str
    ) -> None:
        await beta.arrive(pen.envelope(), reverse_path=reverse_path)
        assert beta.kinds("bruno") == ["anomaly"]
        assert beta.outbox() == []

    async def test_from_the_signed_sender_however_it_is_spelt(self, beta: Provider, pen: Pen) -> None:
        await beta.arrive(pen.envelope(), reverse_path="Anna@ALFA.example")
        assert beta.kinds("bruno") == ["envelope"]
        assert {post.row.forward_path for post in beta.outbox()} == {"anna@alfa.example", pen.service_address}

    @pytest.mark.req("IP-07")
    @pytest.mark.parametrize(
        ("at", "kind"),
        [
            (INSTANT - WEEK + SECOND, "envelope"),
            (INSTANT - WEEK, "anomaly"),
            (INSTANT + HOUR, "envelope"),
            (INSTANT + HOUR + SECOND, "anomaly"),
        ],
    )
    async def test_only_within_its_time(self, beta: Provider, pen: Pen, at: datetime, kind: str) -> None:
        await beta.arrive(pen.envelope(pen.facts(at=at)))
        assert beta.kinds("bruno") == [kind]
        assert bool(beta.outbox()) is (kind == "envelope")

    @pytest.mark.req("IP-08")
    @pytest.mark.parametrize("sender", ["anna@gamma.example", "anna@sub.alfa.example", "anna@mail.example"])
    async def test_of_a_sender_whom_the_signer_does_not_manage(self, beta: Provider, pen: Pen, sender: str) -> None:
        await beta.arrive(pen.envelope(pen.facts(sender=sender)), reverse_path=sender)
        assert beta.kinds("bruno") == ["anomaly"]
        assert "non gestisce il dominio del mittente" in beta.mailbox("bruno")[0].certified.text
        assert beta.outbox() == []

    @pytest.mark.req("IP-08", "IP-05")
    async def test_of_every_domain_that_the_signer_manages(self, beta: Provider, pen: Pen) -> None:
        sender = "anna@Studio.alfa.example"
        await beta.arrive(pen.envelope(pen.facts(sender=sender)), reverse_path=sender)
        assert beta.kinds("bruno") == ["envelope"]

    async def test_answers_go_to_the_signed_sender(self, beta: Provider, pen: Pen) -> None:
        """Not to Reply-To, nor to the author of the message inside."""
        raw = original(["bruno@beta.example"], sender="altri@gamma.example", extra="Reply-To: altri@gamma.example")
        await beta.arrive(pen.envelope(raw=raw))
        assert [post.row.forward_path for post in beta.outbox()] == [pen.service_address, "anna@alfa.example"]


@pytest.fixture
async def sent(alfa: Provider) -> str:
    """A message of anna's to bruno and carla of beta, accepted."""
    outcome = await alfa.hand_in(original([BRUNO, CARLA]), BRUNO, CARLA)
    assert isinstance(outcome, Accepted)
    return outcome.pec_msgid


class TestAReceipt:
    """It changes a state if its signer manages the recipient, and if the message is ours and was for that one."""

    RECEIPTS: tuple[tuple[str, str], ...] = (
        ("take-charge", "taken"),
        ("delivery", "delivered"),
        ("non-delivery", "failed"),
    )

    def written(self, kind: str, pen: Pen, pec_msgid: str, about: str) -> bytes:
        data = pen.facts([BRUNO, CARLA], sender="anna@alfa.example", pec_msgid=pec_msgid)
        writers: dict[str, Callable[[], bytes]] = {
            "take-charge": lambda: pen.take_charge(data, about, to="posta-certificata@alfa.example"),
            "delivery": lambda: pen.delivery(data, about),
            "non-delivery": lambda: pen.non_delivery(data, about),
        }
        return writers[kind]()

    async def arrived(self, alfa: Provider, kind: str, raw: bytes) -> None:
        to = "posta-certificata@alfa.example" if kind == "take-charge" else "anna@alfa.example"
        assert await alfa.arrive(raw, to, reverse_path="posta-certificata@beta.example") == Taken()
        box = "posta-certificata" if kind == "take-charge" else "anna"
        assert alfa.kinds(box)[-1] == kind

    @pytest.mark.req("MID-06")
    @pytest.mark.parametrize(("kind", "state"), RECEIPTS)
    async def test_of_the_recipient_s_provider_counts(self, alfa: Provider, sent: str, kind: str, state: str) -> None:
        alfa.clock.pass_(minutes=1)
        await self.arrived(alfa, kind, self.written(kind, Pen("beta.example"), sent, "Bruno@BETA.example"))
        assert alfa.states(sent) == {BRUNO: state, CARLA: "accepted"}
        bruno = alfa.sent(sent).recipient(BRUNO)
        assert bruno is not None
        assert (bruno.taken_at or bruno.ended_at) == alfa.clock.at
        tracking = [(row.recipients, row.detail) for row in alfa.register() if row.event == "tracking"]
        assert tracking == [(("Bruno@BETA.example",), state)]

    @pytest.mark.req("IP-08")
    @pytest.mark.parametrize(("kind", "state"), RECEIPTS)
    async def test_of_another_provider_is_filed_with_an_alarm(
        self, alfa: Provider, sent: str, kind: str, state: str
    ) -> None:
        await self.arrived(alfa, kind, self.written(kind, Pen("gamma.example"), sent, BRUNO))
        assert alfa.states(sent) == {BRUNO: "accepted", CARLA: "accepted"}
        assert ("alarm", f"{kind} from a provider that does not manage the recipient") in alfa.events()

    @pytest.mark.req("MID-07", "MID-06")
    @pytest.mark.parametrize(("kind", "state"), RECEIPTS)
    async def test_about_a_message_we_do_not_know_is_filed_and_changes_nothing(
        self, alfa: Provider, sent: str, kind: str, state: str
    ) -> None:
        """It names the client's own id of a message of ours; that is the user's to repeat, and counts for nothing."""
        await self.arrived(alfa, kind, self.written(kind, Pen("beta.example"), "ignoto@alfa.example", BRUNO))
        assert alfa.states(sent) == {BRUNO: "accepted", CARLA: "accepted"}
        assert not [row for row in alfa.register() if row.event == "tracking"]

    @pytest.mark.req("IP-08")
    @pytest.mark.parametrize(("kind", "state"), RECEIPTS)
    async def test_about_somebody_it_was_not_for_changes_nothing(
        self, alfa: Provider, sent: str, kind: str, state: str
    ) -> None:
        await self.arrived(alfa, kind, self.written(kind, Pen("beta.example"), sent, "dora@beta.example"))
        assert alfa.states(sent) == {BRUNO: "accepted", CARLA: "accepted"}

    @pytest.mark.req("IP-08")
    async def test_counts_for_those_alone_whom_its_signer_manages(self, alfa: Provider) -> None:
        both = (BRUNO, "dora@gamma.example")
        outcome = await alfa.hand_in(original(both), *both)
        pen = Pen("beta.example")
        data = pen.facts(both, sender="anna@alfa.example", pec_msgid=outcome.pec_msgid)
        raw = pen.take_charge(data, *both, to="posta-certificata@alfa.example")
        await self.arrived(alfa, "take-charge", raw)
        assert alfa.states(outcome.pec_msgid) == {BRUNO: "taken", "dora@gamma.example": "accepted"}
