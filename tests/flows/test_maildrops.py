"""Mailboxes in a real database: what sign-in finds, what POP3 sees of them, and whose they are."""

import asyncio
import poplib
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection

from gateway.drivers import passwords
from gateway.drivers.sources import RandomIds
from gateway.flows.holders import Holders
from gateway.flows.maildrops import Maildrops
from gateway.flows.outcomes import Holder, Peer, Protocol
from gateway.flows.sessions import LiveSessions
from gateway.flows.signin import SignIn
from gateway.mailbox.pop3 import Pop3Server
from gateway.storage import accounts, content, devices, domains, mailboxes
from gateway.storage.accounts import BoxKind, NewAccount
from gateway.storage.engine import Storage
from gateway.storage.mailboxes import Folder, NewMessage
from receipts.octets import InMemory, Octets
from tests import throwaway

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
PASSWORD = "corretto cavallo"
IDS = RandomIds()
LARGE = b"Subject: grande\r\n\r\n" + b".una riga che comincia con un punto\r\n" * 60_000  # 2.2 MB


class Clock:
    def now(self) -> datetime:
        return AT


@dataclass
class Provider:
    """Two holders and a service mailbox in one database."""

    storage: Storage
    boxes: dict[str, int]
    ids: dict[str, int]

    def put(self, name: str, *messages: bytes, folder: Folder = Folder.INBOX) -> None:
        def put(connection: Connection) -> None:
            for message in messages:
                octets = Octets.whole(InMemory.of(message))
                new = NewMessage(
                    mailbox_id=self.boxes[name],
                    token=IDS.token(),
                    body_id=content.save(connection, octets, AT),
                    size=octets.size,
                    kind="posta-certificata",
                    at=AT,
                    folder=folder,
                )
                mailboxes.deliver(connection, [new])

        self.storage.write_now(put)

    def holder(self, name: str) -> Holder:
        return Holder(
            account_id=self.ids[name],
            mailbox_id=self.boxes[name],
            address=f"{name}@alfa.example",
            addresses=frozenset({f"{name}@alfa.example"}),
            may_submit=True,
        )


@pytest.fixture
def provider(storage: Storage) -> Provider:
    kept = passwords.hash_password(PASSWORD)

    def people(connection: Connection) -> dict[str, accounts.Account]:
        domains.add_domain(connection, "alfa.example", AT)
        kinds = {"anna": BoxKind.USER, "bruno": BoxKind.USER, "posta-certificata": BoxKind.SERVICE}
        return {
            name: accounts.add_account(
                connection, NewAccount(address=f"{name}@alfa.example", at=AT, kind=kind, password=kept)
            )
            for name, kind in kinds.items()
        }

    made = storage.write_now(people)
    return Provider(
        storage,
        {name: account.mailbox_id for name, account in made.items()},
        {name: account.id for name, account in made.items()},
    )


async def test_sign_in_finds_who_it_is_and_what_opens(provider: Provider) -> None:
    alias = "vendite@alfa.example"
    provider.storage.write_now(lambda c: accounts.add_alias(c, alias, provider.boxes["anna"], AT))
    device = passwords.new_device(IDS)
    provider.storage.write_now(
        lambda c: devices.add_device(
            c, provider.ids["anna"], label="telefono", lookup=device.lookup, digest=device.digest, at=AT
        )
    )
    sign_in = SignIn(Holders(provider.storage).credentials, Clock()).through(Protocol.POP3)
    peer = Peer(address="192.0.2.1", port=1, tls=True)
    for password in (PASSWORD, device.secret):
        who = await sign_in("Anna@Alfa.example", password, peer)
        assert isinstance(who, Holder)
        assert (who.account_id, who.mailbox_id) == (provider.ids["anna"], provider.boxes["anna"])
        assert who.addresses == {"anna@alfa.example", alias}
        assert who.may_submit
    service = await sign_in("posta-certificata@alfa.example", PASSWORD, peer)
    assert isinstance(service, Holder)
    assert not service.may_submit
    for stranger in ("nessuno@alfa.example", "anna@beta.example", "anna", "@", "\0", "\udcff@alfa.example", "a" * 300):
        assert not isinstance(await sign_in(stranger, PASSWORD, peer), Holder)
    provider.storage.write_now(lambda c: accounts.set_active(c, provider.ids["anna"], AT, active=False))
    assert not isinstance(await sign_in("anna@alfa.example", PASSWORD, peer), Holder)


async def test_a_disabled_account_loses_its_sessions(provider: Provider) -> None:
    live = LiveSessions(Holders(provider.storage).active_among)
    ended: list[str] = []
    for name in ("anna", "bruno"):
        live.enter(provider.ids[name], lambda name=name: ended.append(name))  # type: ignore[misc]
    assert await live.sweep() == 0
    provider.storage.write_now(lambda c: accounts.set_active(c, provider.ids["anna"], AT, active=False))
    assert await live.sweep() == 1
    assert ended == ["anna"]


async def test_inbox_and_receipts_stand_in_order_of_arrival(provider: Provider) -> None:
    provider.put("anna", b"uno")
    provider.put("anna", b"due", folder=Folder.RECEIPTS)
    provider.put("anna", b"mia", folder=Folder.SENT)
    provider.put("anna", b"tre")
    provider.put("bruno", b"altra")
    drop = await Maildrops(provider.storage).open(provider.holder("anna"))
    assert [entry.size for entry in drop.entries] == [3, 3, 3]
    messages = await drop.read([0, 1, 2])
    assert [message.read() for message in messages if message] == [b"uno", b"due", b"tre"]


async def test_nobody_deletes_in_the_mailbox_of_another(provider: Provider) -> None:
    provider.put("anna", b"uno", b"due")
    provider.put("bruno", b"altra")
    drops = Maildrops(provider.storage)
    anna = await drops.open(provider.holder("anna"))
    bruno = await drops.open(provider.holder("bruno"))
    assert await bruno.delete([anna.entries[0].id]) == 0
    assert len((await drops.open(provider.holder("anna"))).entries) == 2
    assert await anna.delete([anna.entries[0].id, bruno.entries[0].id]) == 1
    assert len((await drops.open(provider.holder("bruno"))).entries) == 1


async def test_a_message_that_another_session_deleted_is_missed_alone(provider: Provider) -> None:
    provider.put("anna", b"uno", b"due")
    drops = Maildrops(provider.storage)
    first, second = await drops.open(provider.holder("anna")), await drops.open(provider.holder("anna"))
    assert await first.delete([first.entries[0].id]) == 1
    assert await second.delete([entry.id for entry in second.entries]) == 1


async def test_what_is_kept_comes_out_over_pop3_byte_for_byte(
    provider: Provider, tmp_path_factory: pytest.TempPathFactory
) -> None:
    eight_bit = b"Subject: x\r\n\r\n" + bytes(each for each in range(1, 256) if each not in b"\r\n") + b"\r\n"
    provider.put("anna", b"Subject: uno\r\n\r\nciao\r\n", LARGE, eight_bit)
    tls = throwaway.make(tmp_path_factory.mktemp("tls"))
    sign_in = SignIn(Holders(provider.storage).credentials, Clock()).through(Protocol.POP3)
    server = Pop3Server(sign_in=sign_in, maildrops=Maildrops(provider.storage), tls=tls.server())
    port = await server.listen("127.0.0.1", 0, implicit_tls=True)

    def talk() -> tuple[list[bytes], list[bytes], int]:
        box = poplib.POP3_SSL("127.0.0.1", port, context=tls.client(), timeout=60)
        box.user("anna@alfa.example")
        box.pass_(PASSWORD)
        got = [b"".join(line + b"\r\n" for line in box.retr(number)[1]) for number in (1, 2, 3)]
        tokens = [line.split()[1] for line in box.uidl()[1]]
        size = box.stat()[1]
        box.dele(2)
        box.quit()
        return got, tokens, size

    got, tokens, size = await asyncio.to_thread(talk)
    assert got == [b"Subject: uno\r\n\r\nciao\r\n", LARGE, eight_bit]
    assert size == sum(map(len, got))
    await server.close()
    left = await Maildrops(provider.storage).open(provider.holder("anna"))
    assert [entry.token.encode() for entry in left.entries] == [tokens[0], tokens[2]]
