"""What one process does to a box reaches the sessions that others have on it, within a second."""

import contextlib
import imaplib
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.drivers.sources import RandomIds
from gateway.storage import accounts, content, mailboxes
from gateway.storage.mailboxes import ORDINARY, NewMessage
from receipts.octets import Octets
from tests.lab.waiting import until
from tests.operating.databases import database
from tests.operating.ports import elsewhere, other_ports
from tests.operating.providers import Network, Provider, network

TRIES = 5
"""The best of so many counts: the machine may be busy for a moment, but not each time."""


class Idling:
    """A session that waits for news of an inbox."""

    def __init__(self, alfa: Provider, name: str, port: int) -> None:
        account = alfa.account(name)
        self._imap = imaplib.IMAP4_SSL("localhost", port, ssl_context=alfa.context(), timeout=60)
        self._imap.login(account.address, account.password)
        self._imap.select("INBOX")
        self._imap.send(b"i IDLE\r\n")
        assert self._imap.readline().startswith(b"+")

    def heard(self, word: bytes) -> float:
        """When such a line came; waits for it."""
        while word not in (line := self._imap.readline()):
            assert line, "the server left"
        return time.monotonic()

    def close(self) -> None:
        self._imap.send(b"DONE\r\n")
        self._imap.shutdown()


@contextlib.contextmanager
def idling(alfa: Provider, name: str, port: int) -> Iterator[Idling]:
    session = Idling(alfa, name, port)
    try:
        yield session
    finally:
        session.close()


def best(alfa: Provider, port: int, act: Callable[[], object]) -> float:
    """How soon an idling session hears of a message that ``act`` brings into bruno's inbox."""
    took: list[float] = []
    with idling(alfa, "bruno", port) as session:
        for _ in range(TRIES):
            began = time.monotonic()
            act()
            took.append(session.heard(b" EXISTS") - began)
    return min(took)


def put_there(alfa: Provider) -> None:
    """Another process brings a message in, as ``ceralacca import`` does."""
    at = datetime.now(UTC)
    message = Octets.of(b"Subject: portato\r\n\r\nciao\r\n")
    with alfa.storage() as storage:
        box = storage.read_now(lambda c: accounts.mailbox_of(c, alfa.account("bruno").address))
        assert box is not None
        storage.write_now(
            lambda connection: mailboxes.deliver(
                connection,
                [
                    NewMessage(
                        mailbox_id=box.id,
                        token=RandomIds().token(),
                        body_id=content.save(connection, message, at),
                        size=message.size,
                        kind=ORDINARY,
                        at=at,
                        folder="INBOX",
                    )
                ],
            )
        )


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Network]:
    """Alfa on PostgreSQL."""
    with database() as postgres:
        yield network(tmp_path / "net", storage_url=postgres.url)


def test_between_two_nodes_on_postgresql(two: Network) -> None:
    alfa, ports = two.alfa, other_ports(two)
    with alfa.serving() as one, alfa.serving(**elsewhere(ports)) as other:
        seconds = best(alfa, ports["imaps"], lambda: put_there(alfa))
        assert seconds < 1, "an import"
        flagged: list[float] = []
        account = alfa.account("bruno")
        with idling(alfa, "bruno", ports["imaps"]) as session:
            writer = imaplib.IMAP4_SSL("localhost", alfa.ports["imaps"], ssl_context=alfa.context(), timeout=60)
            writer.login(account.address, account.password)
            writer.select("INBOX")
            for number in range(TRIES):
                began = time.monotonic()
                writer.store("1", "+FLAGS" if number % 2 == 0 else "-FLAGS", r"(\Flagged)")
                flagged.append(session.heard(b" FETCH ") - began)
            writer.store("1:2", "+FLAGS.SILENT", r"(\Deleted)")
            writer.expunge()
            session.heard(b" EXPUNGE")
            writer.shutdown()
        print(f"import {seconds:.2f} s, flags {min(flagged):.2f} s")
        assert min(flagged) < 1
        for port in (alfa.ports["pop3s"], ports["pop3s"]):
            assert len(alfa.mailbox("bruno", port=port).raw()) == TRIES - 2
        alfa.send(account.address)
        until(lambda: len(alfa.mailbox("bruno", port=ports["pop3s"]).raw()) == TRIES - 1, "the message at the other")
        assert one.stop() == other.stop() == 0


def test_between_a_process_that_serves_and_a_command_on_sqlite(net: Network) -> None:
    alfa = net.alfa
    with alfa.serving() as served:
        assert best(alfa, alfa.ports["imaps"], lambda: put_there(alfa)) < 1
        assert len(alfa.mailbox("bruno").raw()) == TRIES
        assert served.stop() == 0
