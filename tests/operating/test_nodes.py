"""Two processes over one PostgreSQL are one provider."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.points.tracking import RecipientState
from tests.lab.waiting import until
from tests.operating import ports
from tests.operating.databases import database
from tests.operating.peers import peer
from tests.operating.ports import elsewhere
from tests.operating.providers import Network, Provider, Served, network

ANNA, BRUNO = "anna@alfa.example", "bruno@alfa.example"
MARIO = "mario@beta.example"


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Network]:
    """Alfa on PostgreSQL."""
    with database() as postgres:
        yield network(tmp_path / "net", storage_url=postgres.url)


@pytest.fixture
def other_ports(net: Network) -> dict[str, int]:
    return ports.other_ports(net)


def name(served: Served) -> str:
    return str(served.events("serving")[0]["lease_owner"])


def states(alfa: Provider) -> dict[str, list[str]]:
    """Each message and where its recipients stand."""
    with alfa.storage() as storage:
        question = (
            "select m.msgid, r.state from certified_messages m join certified_recipients r on r.message_id = m.id"
        )
        rows = storage.read_now(lambda connection: connection.execute(text(question)).all())
    return {msgid: [state for other, state in rows if other == msgid] for msgid, _ in rows}


def test_what_one_takes_the_other_shows(net: Network, other_ports: dict[str, int]) -> None:
    alfa = net.alfa
    with alfa.serving() as one, alfa.serving(**elsewhere(other_ports)) as two:
        assert name(two) == f"{name(one)}#2"
        at_one = [alfa.send(BRUNO, subject=f"uno {number}") for number in range(5)]
        at_two = [alfa.send(BRUNO, subject=f"due {number}", port=other_ports["submissions"]) for number in range(5)]
        sent = {*at_one, *at_two}
        for port in (alfa.ports["pop3s"], other_ports["pop3s"]):
            box = alfa.mailbox("bruno", port=port)
            until(lambda box=box: {mail.reference for mail in box.mails()} == sent, "all envelopes")  # type: ignore[misc]
        until(lambda: set(map(tuple, states(alfa).values())) == {(RecipientState.DELIVERED,)}, "all delivered")
        receipts = alfa.mailbox("anna", port=other_ports["pop3s"])
        until(lambda: len(receipts.mails()) == 20, "acceptance and delivery receipt of each")
        assert one.stop() == two.stop() == 0
    alfa.said_by("register verify")


def test_a_process_gives_back_its_own_messages_only(net: Network, other_ports: dict[str, int]) -> None:
    """What one is sending is not sent a second time because another starts."""
    alfa = net.alfa
    with peer(net.layout, gated=True) as beta:
        alfa.route(net.beta, beta.port)
        with alfa.serving() as one:
            alfa.send(MARIO)
            beta.wait(lambda _: any("BDAT" in line for line in beta.scripted.commands), "message at the peer")
            with alfa.serving(**elsewhere(other_ports)) as two:
                assert not two.events("messages of an earlier run taken up again")
                alfa.send(MARIO, port=other_ports["submissions"])
                beta.wait(lambda _: beta.scripted.connections >= 2, "second message at the peer")
                beta.open()
                beta.wait(lambda _: len(beta.messages) >= 2, "both messages")
                assert one.stop() == two.stop() == 0
        assert len(beta.messages) == 2


def test_when_one_is_killed_the_other_serves_on_and_its_next_life_has_its_name(
    net: Network, other_ports: dict[str, int]
) -> None:
    alfa = net.alfa
    with alfa.serving() as one, alfa.serving(**elsewhere(other_ports)) as two:
        first = name(one)
        msgid = alfa.send(BRUNO)
        one.process.kill()
        one.process.wait()
        second = alfa.send(BRUNO, port=other_ports["submissions"])
        with alfa.serving() as again:
            assert name(again) == first
            until(lambda: states(alfa) == {msgid: ["delivered"], second: ["delivered"]}, "both delivered")
            assert len(alfa.mailbox("bruno", port=other_ports["pop3s"]).mails()) == 2
            assert again.stop() == two.stop() == 0
