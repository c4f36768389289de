"""Kills at random moments while mail is handed over to a real Dovecot: it is there once, and answered once."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from gateway.drivers.imap_client import ImapAccount, RemoteFolder, signed_in
from gateway.storage.register import Event
from receipts.octets import Octets
from receipts.scanner import scan_header
from tests import dovecot
from tests.dovecot import Dovecot
from tests.lab.waiting import until
from tests.operating.providers import Network, Provider, network

KILLS = 6
BURST = 12
STORE = """
[[elsewhere.stores]]
name = "sede"
host = "{host}"
port = {port}
ca_file = "{ca}"
user = "{{local}}*ceralacca"
password_file = "imap.password"
"""
OPEN = text(
    "select (select count(*) from outbox) + (select count(*) from handovers)"
    " + (select count(*) from certified_recipients where ended_at is null)"
)


@pytest.mark.lab
def test_kills_while_handing_over_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    dovecot.require()
    with dovecot.running(dovecot.MASTER) as server:
        alfa = _provider(tmp_path, server)
        bruno = alfa.account("bruno").address
        msgids = []
        for _ in range(KILLS):
            with alfa.serving() as served:
                before = _count(alfa, "select count(*) from register where event = 'delivery'")
                msgids += [alfa.send(bruno) for _ in range(BURST)]
                some = before + random.randint(1, BURST)  # the random moment: so many receipts and envelopes were put
                until(lambda some=some: _count(alfa, DELIVERED) >= some, "messages handed over")  # type: ignore[misc]
                served.process.kill()
                served.process.wait()
        with alfa.serving():
            until(lambda: _count(alfa, OPEN.text) == 0, "everything to be settled", seconds=120)
        envelopes = asyncio.run(_identifiers(server, "bruno", "INBOX", "X-Riferimento-Message-ID"))
        receipts = asyncio.run(_identifiers(server, "anna", "Ricevute", "X-Ricevuta", "X-Riferimento-Message-ID"))
        assert envelopes == Counter((msgid,) for msgid in msgids)
        assert receipts == Counter((kind, msgid) for kind in ("accettazione", "avvenuta-consegna") for msgid in msgids)
        issued = f"select count(*) from register where event = '{Event.EMISSION}' and detail = 'delivery'"
        assert _count(alfa, issued) == len(msgids)


DELIVERED = "select count(*) from register where event = 'delivery'"


def _provider(folder: Path, server: Dovecot) -> Provider:
    """Alfa, whose boxes are kept by the Dovecot."""
    net: Network = network(folder / "net")
    alfa = net.alfa
    password = alfa.config.parent / "imap.password"
    password.write_text("sigillo\n")
    password.chmod(0o600)
    store = STORE.format(host=server.host, port=server.imaps, ca=server.tls.certificate)
    alfa.config.write_text(alfa.config.read_text() + store)
    domain = alfa.account("anna").address.partition("@")[2]
    assert "moved" in alfa.said_by("domain store", domain, "sede")
    assert "signed in" in alfa.said_by("account store", alfa.account("anna").address, "--check")
    return alfa


def _count(provider: Provider, question: str) -> int:
    with provider.storage() as storage:
        return storage.read_now(lambda connection: _scalar(connection, question))


def _scalar(connection: Connection, question: str) -> int:
    return int(connection.execute(text(question)).scalar_one())


async def _identifiers(server: Dovecot, user: str, folder: str, *fields: str) -> Counter[tuple[str, ...]]:
    account = ImapAccount(
        host=server.host, port=server.imaps, user=user, password=dovecot.PASSWORD, context=server.tls.client()
    )
    found: Counter[tuple[str, ...]] = Counter()
    async with signed_in(account) as remote:
        opened = RemoteFolder(name=folder, wire_name=folder, separator="/", attributes=frozenset())
        await remote.examine(opened)
        for uid in await remote.uids():
            header = scan_header(Octets.of(b"".join([piece async for piece in remote.read(uid)])))
            values = [header.first(name) for name in fields]
            found[tuple("" if value is None else value.text.strip() for value in values)] += 1
    return found
