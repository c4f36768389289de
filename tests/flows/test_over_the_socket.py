"""The incoming point as a peer meets it: port 25 in front of the real flow. Replays of D1, and what is refused."""

import asyncio
import smtplib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from gateway.flows.issue import Issuer
from gateway.points.ordinary import Ordinary, OrdinaryPolicy
from gateway.smtp.hardening import Budget
from gateway.smtp.limits import Limits
from gateway.smtp.relay_server import RelayServer
from gateway.storage.policies import set_policy
from gateway.storage.sink import ContentSink
from providers.directory import Directory
from receipts.errors import TemporaryError
from tests import throwaway
from tests.flows.credentials import START, credential, other_signer
from tests.flows.house import Provider, original
from tests.flows.pens import Pen
from tests.providers.authorities import BrokenSigner

BRUNO, CARLA, NOBODY = "bruno@beta.example", "carla@beta.example", "nessuno@beta.example"
ANNA = "anna@alfa.example"
OK = "250 2.0.0"


@dataclass
class Door:
    """Port 25 of beta, and who knocks."""

    provider: Provider
    server: RelayServer
    port: int
    tls: throwaway.Throwaway

    async def deliver(self, raw: bytes, *to: str, sender: str = ANNA) -> list[str]:
        """The replies to MAIL, each RCPT, and what follows DATA."""
        return await asyncio.to_thread(self._deliver, raw, to or (BRUNO,), sender)

    def _deliver(self, raw: bytes, to: tuple[str, ...], sender: str) -> list[str]:
        with smtplib.SMTP("127.0.0.1", self.port, local_hostname="mx.alfa.example", timeout=60) as client:
            client.starttls(context=self.tls.client())
            client.ehlo()
            said = [client.mail(sender), *(client.rcpt(path) for path in to)]
            if any(code == 250 for code, _ in said[1:]):
                said.append(client.data(raw))
            return [f"{code} {text.decode()}" for code, text in said]


@pytest.fixture
async def door(beta: Provider, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    tls, limits = throwaway.make(tmp_path_factory.mktemp("tls")), Limits()
    server = RelayServer(
        hostname="mx.beta.example",
        domain="beta.example",
        tls=tls.server(),
        limits=limits,
        budget=Budget(limits.max_in_flight_bytes),
        check=lambda reverse, forward, earlier: beta.check_recipient(reverse, forward, earlier),
        receive=lambda arrival: beta.receive(arrival),
        open_sink=lambda: ContentSink(beta.storage, beta.clock.now),
    )
    port = await server.listen("127.0.0.1", 0)
    yield Door(beta, server, port, tls)
    await server.close()


@pytest.mark.req("IP-07", "IP-15")
class TestAReplayedEnvelope:
    """Its signature is good for ever; it is taken, and certifies nothing."""

    async def test_for_whom_it_was_meant_it_is_delivered(self, door: Door, pen: Pen) -> None:
        """So that the others below fail for the one thing that differs."""
        raw = pen.envelope()
        assert (await door.deliver(raw))[-1].startswith(OK)
        assert door.provider.kinds("bruno") == ["envelope"]
        assert door.provider.mailbox("bruno")[0].raw.endswith(raw)
        assert [post.row.kind for post in door.provider.outbox()] == ["take-charge", "delivery"]

    async def test_to_another_recipient(self, door: Door, pen: Pen) -> None:
        assert (await door.deliver(pen.envelope(), CARLA))[-1].startswith(OK)
        assert door.provider.kinds("carla") == ["anomaly"]
        assert door.provider.outbox() == []

    @pytest.mark.parametrize("sender", ["carla@alfa.example", "x@mail.example", ""])
    async def test_under_another_reverse_path(self, door: Door, pen: Pen, sender: str) -> None:
        assert (await door.deliver(pen.envelope(), sender=sender))[-1].startswith(OK)
        assert door.provider.kinds("bruno") == ["anomaly"]
        assert door.provider.outbox() == []

    @pytest.mark.parametrize("at", [START - timedelta(days=7, seconds=1), START + timedelta(hours=1, seconds=1)])
    async def test_out_of_its_time(self, door: Door, pen: Pen, at: datetime) -> None:
        assert (await door.deliver(pen.envelope(pen.facts(at=at))))[-1].startswith(OK)
        assert door.provider.kinds("bruno") == ["anomaly"]
        assert door.provider.outbox() == []

    async def test_to_the_same_recipient_again(self, door: Door, pen: Pen) -> None:
        raw = pen.envelope()
        for _ in range(3):
            assert (await door.deliver(raw))[-1].startswith(OK)
        assert door.provider.kinds("bruno") == ["envelope"]
        assert len(door.provider.outbox()) == 2


@pytest.mark.req("IP-08")
async def test_an_envelope_for_a_sender_of_another_provider(door: Door, pen: Pen) -> None:
    sender = "anna@gamma.example"
    assert (await door.deliver(pen.envelope(pen.facts(sender=sender)), sender=sender))[-1].startswith(OK)
    assert door.provider.kinds("bruno") == ["anomaly"]
    assert door.provider.outbox() == []


@pytest.mark.req("IP-13")
@pytest.mark.parametrize("flaw", ["expired", "unlisted", "stranger"])
async def test_a_seal_that_is_not_to_be_believed(door: Door, flaw: str) -> None:
    forger = Pen("alfa.example", other_signer("alfa.example", flaw))
    assert (await door.deliver(forger.envelope()))[-1].startswith(OK)
    assert door.provider.kinds("bruno") == ["anomaly"]
    assert door.provider.outbox() == []


@pytest.mark.req("DP-05")
async def test_an_unknown_mailbox_is_a_notice_to_who_is_certified_and_a_refusal_to_others(door: Door, pen: Pen) -> None:
    replies = await door.deliver(pen.envelope(pen.facts([NOBODY])), NOBODY)
    assert replies[-1].startswith(OK)
    assert [post.row.kind for post in door.provider.outbox()] == ["take-charge", "non-delivery"]
    replies = await door.deliver(original(), NOBODY, sender="x@mail.example")
    assert len(replies) == 2
    assert replies[-1].startswith("550 5.1.1 ")
    replies = await door.deliver(original(), NOBODY)  # who is certified, and sends what is not
    assert replies[-1].startswith("550 5.1.1 ")
    replies = await door.deliver(original(), NOBODY, BRUNO, sender="x@mail.example")
    assert [reply[:9] for reply in replies[1:]] == ["550 5.1.1", "250 2.1.5", "250 2.0.0"]
    assert door.provider.kinds("bruno") == ["anomaly"]


async def test_mail_for_others_is_not_relayed(door: Door) -> None:
    for path in ("x@mail.example", "anna@alfa.example", "bruno%mail.example@beta.example"):
        assert (await door.deliver(original(), path))[-1].startswith("550 5.7.1 ")
    assert door.provider.is_untouched()


async def test_a_loop_is_refused(door: Door) -> None:
    hop = b"Received: from a by b; Mon, 2 Mar 2026 09:00:00 +0100\r\n"
    assert (await door.deliver(hop * 51 + original()))[-1].startswith("554 5.4.6 ")
    assert door.provider.is_untouched()


def never_loaded() -> Directory:
    raise TemporaryError("the index was never loaded")


def lose_the_index(provider: Provider) -> None:
    provider.index = never_loaded


def lose_the_key(provider: Provider) -> None:
    signer = BrokenSigner(credential("beta.example").signer)
    provider.issuer = Issuer(provider.identity, signer, provider.ids)
    provider.wire()


@pytest.mark.parametrize("lose", [lose_the_index, lose_the_key])
async def test_in_doubt_the_answer_is_temporary(door: Door, pen: Pen, lose: Callable[[Provider], None]) -> None:
    lose(door.provider)
    for raw in (pen.envelope(), original()):
        assert (await door.deliver(raw))[-1].startswith("451 4.3.0 ")
    assert door.provider.is_untouched()


async def test_without_a_database_the_answer_is_temporary(door: Door, pen: Pen) -> None:
    door.provider.storage.close()
    assert (await door.deliver(pen.envelope()))[-1].startswith("451 4.3.0 ")


async def test_a_large_envelope_comes_through_the_sink_unchanged(door: Door, pen: Pen) -> None:
    raw = pen.envelope(raw=original(body=b".riga con un punto\r\n" * 90_000))
    assert (await door.deliver(raw))[-1].startswith(OK)
    assert door.provider.mailbox("bruno")[0].raw.endswith(raw)
    assert [post.row.kind for post in door.provider.outbox()] == ["take-charge", "delivery"]


async def test_boxes_that_decide_otherwise_are_asked_for_apart(door: Door, beta: Provider) -> None:
    """One answer comes after the last byte, so those who refuse ordinary mail come in a transaction of their own."""
    box = beta.people["carla"].mailbox_id
    refuse = OrdinaryPolicy(ordinary=Ordinary.REFUSE)
    beta.storage.write_now(lambda connection: set_policy(connection, box, refuse, START))
    raw = original(sender="x@mail.example")
    replies = await door.deliver(raw, BRUNO, CARLA, sender="x@mail.example")
    assert [reply[:9] for reply in replies[1:]] == ["250 2.1.5", "452 4.5.3", "250 2.0.0"]
    replies = await door.deliver(raw, CARLA, sender="x@mail.example")
    assert [reply[:9] for reply in replies[1:]] == ["250 2.1.5", "550 5.7.1"]
    assert (beta.kinds("bruno"), beta.kinds("carla")) == (["anomaly"], [])
