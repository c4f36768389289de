"""SIGTERM finishes what began and gives back the rest; after any other end the next life takes it up (D33, D10)."""

import signal
import smtplib

import pytest
from sqlalchemy import text

from gateway.storage import outbox
from gateway.storage.outbox import OutboxRow
from tests.lab.waiting import until
from tests.operating.peers import peer
from tests.operating.providers import Network, Provider, letter

ANNA, BRUNO = "anna@alfa.example", "bruno@beta.example"


def rows(provider: Provider) -> list[OutboxRow]:
    with provider.storage() as storage:
        return storage.read_now(outbox.list_rows)


def unlinked(provider: Provider) -> int:
    question = "select (select count(*) from register) - (select count(*) from register_links)"
    with provider.storage() as storage:
        return storage.read_now(lambda connection: int(connection.execute(text(question)).scalar_one()))


def begun(client: smtplib.SMTP, message: bytes) -> None:
    """Half of a message is on its way."""
    assert client.mail(ANNA)[0] == 250
    assert client.rcpt(BRUNO)[0] == 250
    assert client.docmd("DATA")[0] == 354
    client.send(message[: len(message) // 2])


def ended(client: smtplib.SMTP, message: bytes) -> tuple[int, bytes]:
    client.send(message[len(message) // 2 :] + b".\r\n")
    return client.getreply()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_submission_under_way_is_finished_and_its_row_given_back(alfa: Provider, number: signal.Signals) -> None:
    message = bytes(letter(ANNA, to=[BRUNO], subject="prova", text="riga\n" * 1000)).replace(b"\n", b"\r\n")
    with alfa.serving() as served, alfa.submission() as client:
        begun(client, message)
        served.process.send_signal(number)
        served.event("stopping")
        code, reply = ended(client, message)
        assert (code, b"not accepted" in reply) == (250, False)
        assert served.process.wait(90) == 0
        assert served.events("stopped")
    (row,) = rows(alfa)
    assert (row.forward_path, row.lease_owner, row.leased_until) == (BRUNO, None, None)
    assert unlinked(alfa) == 0
    with alfa.serving():
        assert len(alfa.mailbox("anna").mails()) == 1


def test_who_has_nothing_under_way_is_told_at_once(alfa: Provider) -> None:
    with alfa.serving() as served, alfa.submission() as holder, alfa.incoming() as server:
        served.process.send_signal(signal.SIGTERM)
        for client in (holder, server):
            assert client.getreply()[0] == 421
        assert served.process.wait(19) == 0  # less than messages on their way in are given


def test_a_message_that_a_peer_is_taking_is_settled(net: Network) -> None:
    with peer(net.layout, gated=True) as beta:
        net.alfa.route(net.beta, beta.port)
        with net.alfa.serving() as served:
            net.alfa.send(BRUNO)
            beta.wait(lambda _: any("BDAT" in line for line in beta.scripted.commands), "message at the peer")
            served.process.send_signal(signal.SIGTERM)
            served.event("stopping")
            beta.open()
            assert served.process.wait(90) == 0
        assert len(beta.messages) == 1
    assert rows(net.alfa) == []


def test_a_peer_that_never_answers_holds_up_no_stop(net: Network) -> None:
    with peer(net.layout, gated=True) as beta:
        net.alfa.route(net.beta, beta.port)
        with net.alfa.serving() as served:
            net.alfa.send(BRUNO)
            beta.wait(lambda _: any("BDAT" in line for line in beta.scripted.commands), "message at the peer")
            assert served.stop() == 0
        (row,) = rows(net.alfa)
        assert row.lease_owner is None
        beta.open()


def test_what_was_in_hand_when_it_was_killed_leaves_as_soon_as_it_lives_again(net: Network) -> None:
    with peer(net.layout, gated=True) as beta:
        net.alfa.route(net.beta, beta.port)
        with net.alfa.serving() as served:
            net.alfa.send(BRUNO)
            beta.wait(lambda _: any("BDAT" in line for line in beta.scripted.commands), "message at the peer")
            served.process.kill()
            served.process.wait()
        (row,) = rows(net.alfa)
        assert row.leased_until is not None
        beta.open()
        with net.alfa.serving() as again:
            taken_up = again.event("messages of an earlier run taken up again")
            assert taken_up["rows"] == 1
            until(lambda: not rows(net.alfa), "empty outbox")


def test_nothing_answers_after_the_stop(alfa: Provider) -> None:
    with alfa.serving() as served:
        assert served.stop() == 0
    with pytest.raises(OSError):
        smtplib.SMTP("127.0.0.1", alfa.ports["smtp"], timeout=60)
