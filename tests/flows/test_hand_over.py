"""Boxes that another server keeps: the receipt follows its answer, and nothing is lost or doubled on the way."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import Connection, delete, update

from gateway.drivers.imap_client import ImapRefused, ImapUnavailable
from gateway.flows.outcomes import Taken
from gateway.storage import accounts, purge, received, stores
from gateway.storage.accounts import AccountRefused, NewAccount
from gateway.storage.engine import Storage
from gateway.storage.tables import bodies, outbox
from tests.flows.credentials import START, credential
from tests.flows.house import Network, Provider, original
from tests.flows.pens import Pen
from tests.flows.reading import Certified
from tests.flows.remote import NAME, Killed, Remote, bind, hand_over, waiting
from tests.providers.authorities import BrokenSigner

BRUNO, CARLA = "bruno@beta.example", "carla@beta.example"


@pytest.fixture
def remote() -> Remote:
    return Remote()


@pytest.fixture
def beta(beta: Provider) -> Provider:
    """Bruno's box is kept elsewhere, Carla's here."""
    bind(beta, "bruno")
    return beta


def answers(provider: Provider, kind: str) -> list[Certified]:
    return [post.certified for post in provider.outbox() if post.row.kind == kind]


def kinds_of(octets: list[bytes]) -> list[str | None]:
    return [Certified(each).header("X-Ricevuta") or Certified(each).header("X-Trasporto") for each in octets]


def ends(provider: Provider, pec_msgid: str) -> dict[str, str]:
    found = provider.storage.read_now(lambda connection: received.ends_of(connection, pec_msgid))
    return {one.address_key: one.end.value for one in found}


class TestAnEnvelope:
    @pytest.mark.req("DP-03")
    async def test_is_taken_charge_of_at_once_and_certified_as_delivered_when_the_server_has_it(
        self, beta: Provider, pen: Pen, remote: Remote
    ) -> None:
        data = pen.facts([BRUNO, CARLA])
        raw = pen.envelope(data)
        assert await beta.arrive(raw, BRUNO, CARLA) == Taken()
        assert [each.each("ricezione") for each in answers(beta, "take-charge")] == [[BRUNO, CARLA]]
        assert [each.said("consegna") for each in answers(beta, "delivery")] == [CARLA]
        assert ends(beta, data.pec_msgid) == {BRUNO: "handing-over", CARLA: "delivered"}
        assert (beta.kinds("bruno"), beta.kinds("carla")) == ([], ["envelope"])

        beta.clock.pass_(minutes=3)
        await hand_over(beta, remote)
        (kept,) = remote.of(BRUNO)
        assert kept.endswith(raw)
        assert [each.said("consegna") for each in answers(beta, "delivery")] == [CARLA, BRUNO]
        here, there = answers(beta, "delivery")
        assert there.date - here.date == timedelta(minutes=3)  # the instant of its own transaction
        assert there.parts == here.parts
        assert ends(beta, data.pec_msgid) == {BRUNO: "delivered", CARLA: "delivered"}
        assert waiting(beta) == []
        told = [row for row in beta.register() if row.event == "delivery"]
        assert [row.recipients for row in told] == [(CARLA,), (BRUNO,)]
        assert told[1].related == (there.message_id, "imaps://remote:993/INBOX;UIDVALIDITY=1/;UID=1")

    async def test_comes_with_the_date_of_its_arrival(self, beta: Provider, pen: Pen, remote: Remote) -> None:
        await beta.arrive(pen.envelope())
        arrived = beta.clock.now()
        beta.clock.pass_(hours=1)
        await hand_over(beta, remote)
        assert remote.dates == [arrived]

    async def test_for_several_addresses_of_one_box_is_there_once_and_answered_for_each(
        self, beta: Provider, pen: Pen, remote: Remote
    ) -> None:
        beta.alias("ufficio@beta.example", "bruno")
        data = pen.facts([BRUNO, "ufficio@beta.example"])
        await beta.arrive(pen.envelope(data), BRUNO, "Ufficio@beta.example")
        await hand_over(beta, remote)
        assert len(remote.of(BRUNO)) == 1
        assert [each.said("consegna") for each in answers(beta, "delivery")] == [BRUNO, "Ufficio@beta.example"]

    async def test_that_comes_again_meanwhile_is_neither_handed_over_nor_answered_twice(
        self, beta: Provider, pen: Pen, remote: Remote
    ) -> None:
        raw = pen.envelope()
        for _ in range(2):
            assert await beta.arrive(raw) == Taken()
        await hand_over(beta, remote)
        assert await beta.arrive(raw) == Taken()
        await hand_over(beta, remote)
        assert len(remote.of(BRUNO)) == 1
        assert len(answers(beta, "delivery")) == 1

    async def test_whose_receipts_left_makes_the_same_bytes_leave_again(
        self, beta: Provider, pen: Pen, remote: Remote
    ) -> None:
        raw = pen.envelope()
        await beta.arrive(raw)
        await hand_over(beta, remote)
        first = sorted(post.raw for post in beta.outbox())
        beta.storage.write_now(lambda connection: connection.execute(delete(outbox)).rowcount)
        beta.clock.pass_(minutes=11)
        await beta.arrive(raw)
        assert sorted(post.raw for post in beta.outbox()) == first

    async def test_waits_with_bytes_that_no_purge_removes(self, beta: Provider, pen: Pen, remote: Remote) -> None:
        await beta.arrive(pen.envelope())
        beta.storage.write_now(lambda connection: connection.execute(delete(outbox)).rowcount)
        beta.clock.pass_(days=3)

        def purged(connection: Connection) -> None:
            connection.execute(update(bodies).values(created_at=0))
            position: purge.Position | None = purge.START
            while position is not None:
                position = purge.purge_unreferenced(connection, beta.clock.now(), position).next

        beta.storage.write_now(purged)
        await hand_over(beta, remote)
        assert len(remote.of(BRUNO)) == 1


class TestAProcessThatDies:
    """At each step; another one goes on when the lease has run out."""

    @pytest.mark.parametrize("step", ["enter", "find", "put", "answer"])
    async def test_neither_loses_nor_doubles_anything(
        self, beta: Provider, pen: Pen, remote: Remote, step: str
    ) -> None:
        await beta.arrive(pen.envelope())
        remote.fails[step] = Killed()
        with pytest.raises(Killed):
            await hand_over(beta, remote)
        assert answers(beta, "delivery") == []
        remote.fails.clear()
        beta.clock.pass_(minutes=6)
        await hand_over(beta, remote)
        assert len(remote.of(BRUNO)) == 1
        assert [each.said("consegna") for each in answers(beta, "delivery")] == [BRUNO]
        assert waiting(beta) == []

    @pytest.mark.parametrize("step", ["put", "answer"])
    async def test_leaves_a_doubt_in_which_nobody_says_that_it_was_not_delivered(
        self, beta: Provider, pen: Pen, remote: Remote, step: str
    ) -> None:
        await beta.arrive(pen.envelope())
        remote.fails[step] = Killed()
        with pytest.raises(Killed):
            await hand_over(beta, remote)
        remote.fails = {"enter": ImapUnavailable("away")}
        beta.clock.pass_(hours=30)
        await hand_over(beta, remote)
        assert answers(beta, "non-delivery") == []
        remote.fails.clear()
        beta.clock.pass_(hours=1)
        await hand_over(beta, remote)  # late or not: now it can be known, and it is there
        assert len(remote.of(BRUNO)) == 1
        assert [each.said("consegna") for each in answers(beta, "delivery")] == [BRUNO]


class TestASetback:
    @pytest.mark.parametrize("step", ["enter", "find", "put", "answer"])
    async def test_is_followed_by_another_attempt(self, beta: Provider, pen: Pen, remote: Remote, step: str) -> None:
        await beta.arrive(pen.envelope())
        remote.fails[step] = ImapUnavailable("no answer in time")
        await hand_over(beta, remote)
        (row,) = waiting(beta)
        assert (row.attempts, row.lease_owner, "no answer in time" in (row.last_reply or "")) == (1, None, True)
        assert row.next_attempt_at > beta.clock.now()
        remote.fails.clear()
        await hand_over(beta, remote)  # not due yet
        assert waiting(beta) != []
        beta.clock.pass_(minutes=1)
        await hand_over(beta, remote)
        assert (len(remote.of(BRUNO)), len(answers(beta, "delivery")), waiting(beta)) == (1, 1, [])

    @pytest.mark.parametrize("step", ["enter", "find"])
    async def test_that_lasts_is_told_to_the_sender_before_the_24_hours(
        self, beta: Provider, pen: Pen, remote: Remote, step: str
    ) -> None:
        data = pen.facts()
        await beta.arrive(pen.envelope(data))
        remote.fails[step] = ImapUnavailable("away")
        for _ in range(18):
            assert answers(beta, "non-delivery") == []
            await hand_over(beta, remote)
            beta.clock.pass_(hours=1)
        await hand_over(beta, remote)
        (notice,) = answers(beta, "non-delivery")
        assert (notice.said("consegna"), notice.said("errore-esteso")) == (
            BRUNO,
            "4.4.7 - Beta PEC - tempo massimo di inoltro superato",
        )
        assert ends(beta, data.pec_msgid) == {BRUNO: "not-delivered"}
        remote.fails.clear()
        beta.clock.pass_(days=1)
        await hand_over(beta, remote)
        assert (remote.of(BRUNO), waiting(beta), answers(beta, "delivery")) == ([], [], [])

    async def test_of_a_cut_after_the_last_byte_never_makes_a_notice(
        self, beta: Provider, pen: Pen, remote: Remote
    ) -> None:
        await beta.arrive(pen.envelope())
        remote.fails["answer"] = ImapUnavailable("cut")
        await hand_over(beta, remote)
        remote.fails = {"find": ImapUnavailable("cut")}
        for _ in range(30):
            beta.clock.pass_(hours=1)
            await hand_over(beta, remote)
        assert answers(beta, "non-delivery") == []
        assert len(waiting(beta)) == 1

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("NO [OVERQUOTA] Quota exceeded", "5.2.2 - Beta PEC - casella piena"),
            ("NO [TOOBIG] too large", "5.3.4 - Beta PEC - messaggio troppo grande"),
        ],
    )
    @pytest.mark.req("DP-05")
    async def test_that_waiting_does_not_change_is_told_at_once(
        self, beta: Provider, pen: Pen, remote: Remote, words: str, said: str
    ) -> None:
        await beta.arrive(pen.envelope())
        remote.fails["put"] = ImapRefused(words)
        await hand_over(beta, remote)
        (notice,) = answers(beta, "non-delivery")
        assert notice.said("errore-esteso") == said
        assert (waiting(beta), [row.event for row in beta.register()].count("failure")) == ([], 1)

    async def test_by_another_refusal_is_tried_again_and_an_operator_is_told(
        self, beta: Provider, pen: Pen, remote: Remote
    ) -> None:
        await beta.arrive(pen.envelope())
        remote.fails["put"] = ImapRefused("NO [SERVERBUG] internal error")
        for _ in range(7):
            await hand_over(beta, remote)
            beta.clock.pass_(hours=1)
        alarms = [row for row in beta.register() if row.event == "alarm"]
        assert [row.detail for row in alarms] == [
            "sede does not take a message (envelope): NO [SERVERBUG] internal error"
        ]
        assert answers(beta, "non-delivery") == []
        beta.clock.pass_(hours=12)
        await hand_over(beta, remote)
        (notice,) = answers(beta, "non-delivery")
        assert notice.said("errore-esteso") == "5.2.0 - Beta PEC - rifiutato dal server destinatario"

    async def test_of_a_sign_in_is_an_alarm_until_all_boxes_can_be_entered(
        self, beta: Provider, pen: Pen, remote: Remote
    ) -> None:
        bind(beta, "carla")
        await beta.arrive(pen.envelope(pen.facts([BRUNO, CARLA])), BRUNO, CARLA)
        remote.fails["enter"] = ImapRefused("NO [AUTHENTICATIONFAILED] no")
        bell = await hand_over(beta, remote)
        assert set(bell.standing) == {"mail store"}
        assert "AUTHENTICATIONFAILED" in bell.standing["mail store"]

    async def test_of_our_key_leaves_the_message_there_and_the_receipt_follows(
        self, beta: Provider, pen: Pen, remote: Remote, storage: Storage
    ) -> None:
        await beta.arrive(pen.envelope())
        good = beta.issuer
        beta.issuer = type(good)(good.identity, BrokenSigner(credential("beta.example").signer), beta.ids)
        await hand_over(beta, remote)
        assert (len(remote.of(BRUNO)), answers(beta, "delivery")) == (1, [])
        beta.issuer = good
        beta.clock.pass_(minutes=1)
        await hand_over(beta, remote)
        assert (len(remote.of(BRUNO)), len(answers(beta, "delivery")), waiting(beta)) == (1, 1, [])

    async def test_of_a_store_that_the_configuration_does_not_name_is_an_alarm(self, beta: Provider, pen: Pen) -> None:
        await beta.arrive(pen.envelope())
        bell = await hand_over(beta)
        assert bell.standing == {"mail store": "sede: no [[elsewhere.stores]] is called sede"}
        assert len(waiting(beta)) == 1


class TestEverythingElse:
    async def test_goes_there_too_receipts_into_their_folder(
        self, alfa: Provider, second_storage: Storage, remote: Remote
    ) -> None:
        beta = Provider("beta.example", second_storage, alfa.clock)
        bind(alfa, "anna")
        network = Network(alfa, beta)
        await alfa.hand_in(original([BRUNO, "nessuno@beta.example"]), BRUNO, "nessuno@beta.example")
        await network.carry()
        await hand_over(alfa, remote)
        receipts, inbox = remote.of("anna@alfa.example", "Ricevute"), remote.of("anna@alfa.example")
        assert kinds_of(receipts) == ["accettazione", "avvenuta-consegna"]
        assert kinds_of(inbox) == ["errore-consegna"]  # a notice says that something is wrong: it is to be seen
        assert alfa.mailbox("anna") == []  # nor among the sent ones: her mail program keeps those
        assert waiting(alfa) == []

    async def test_waits_for_as_long_as_it_takes(self, beta: Provider, remote: Remote) -> None:
        await beta.arrive(original(sender="x@mail.example"), BRUNO, reverse_path="x@mail.example")
        remote.fails["put"] = ImapRefused("NO [OVERQUOTA] Quota exceeded")
        for _ in range(40):
            await hand_over(beta, remote)
            beta.clock.pass_(hours=6)
        remote.fails.clear()
        await hand_over(beta, remote)
        assert kinds_of(remote.of(BRUNO)) == ["errore"]

    async def test_does_not_count_against_a_quota_here(self, beta: Provider, pen: Pen, remote: Remote) -> None:
        await beta.arrive(pen.envelope())
        box = beta.storage.read_now(lambda connection: accounts.mailbox_of(connection, BRUNO))
        assert box is not None
        assert (box.used, box.store) == (0, NAME)


class TestABox:
    @pytest.mark.parametrize("there", [True, False])
    async def test_that_moves_while_an_envelope_is_decided_on_makes_it_be_decided_anew(
        self, beta: Provider, pen: Pen, remote: Remote, monkeypatch: pytest.MonkeyPatch, there: bool
    ) -> None:
        bind(beta, "bruno", store=None if there else NAME)
        _once_before_writing(beta, monkeypatch, lambda: bind(beta, "bruno", store=NAME if there else None))
        await beta.arrive(pen.envelope())
        assert (len(waiting(beta)), len(beta.kinds("bruno"))) == ((1, 0) if there else (0, 1))
        await hand_over(beta, remote)
        assert [each.said("consegna") for each in answers(beta, "delivery")] == [BRUNO]

    async def test_does_not_move_while_something_waits_for_it(self, beta: Provider, pen: Pen, remote: Remote) -> None:
        await beta.arrive(pen.envelope())
        with pytest.raises(AccountRefused, match="1 messages wait for sede"):
            bind(beta, "bruno", store=None)
        await hand_over(beta, remote)
        bind(beta, "bruno", store=None)

    async def test_that_is_new_is_kept_where_its_domain_says(self, beta: Provider) -> None:
        def change(connection: Connection) -> list[str | None]:
            stores.bind_domain(connection, "beta.example", NAME)
            new = accounts.add_account(connection, NewAccount(address="dora@beta.example", at=START))
            found = stores.boxes_of_domain(connection, "beta.example")
            assert new.mailbox_id in found
            return [stores.store_of_box(connection, new.mailbox_id), stores.store_of_domain(connection, "beta.example")]

        assert beta.storage.write_now(change) == [NAME, NAME]

    async def test_of_the_service_stays_here(self, beta: Provider) -> None:
        with pytest.raises(AccountRefused, match="service itself"):
            bind(beta, "posta-certificata")


def _once_before_writing(provider: Provider, monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Let something happen between what a flow reads and what it writes."""
    write, done = provider.storage.write, list[bool]()

    async def late(*args: object, **named: object) -> object:
        if not done:
            done.append(True)
            act()
        return await write(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(provider.storage, "write", late)
