"""What a holder learns of sign-ins: the last use of each password, letters about new places and many failures."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection

from gateway.drivers.sources import RandomIds
from gateway.flows.diary import Diary
from gateway.flows.effects import Lease
from gateway.flows.letters import Writer
from gateway.flows.outcomes import Holder, Peer, Protocol
from gateway.points.sharing import Right
from gateway.storage import accounts, content, devices, domains, mailboxes, people, signins, usage
from gateway.storage.accounts import Account, NewAccount
from gateway.storage.engine import Storage
from gateway.storage.signins import CHOSEN, LastUse
from receipts.errors import TemporaryError

ROME = ZoneInfo("Europe/Rome")
MORNING = datetime(2026, 3, 29, 1, 59, 30, tzinfo=ROME)
OFFICE = Peer(address="192.0.2.1", port=4, tls=True)
HOME = Peer(address="2001:db8::7", port=4, tls=True)


@dataclass
class Desk:
    """A provider with two holders, its diary, and a clock that stands until it is moved."""

    storage: Storage
    at: datetime = MORNING
    diary: Diary = field(init=False)

    def __post_init__(self) -> None:
        writer = Writer(name="Alfa PEC", address="postmaster@alfa.example")
        lease = Lease("here", timedelta(minutes=5))
        self.diary = Diary(self.storage, self, RandomIds(), writer, lease=lease, tell_after=3)
        self.storage.write_now(lambda connection: domains.add_domain(connection, "alfa.example", MORNING))
        self.anna = self._account("anna@alfa.example", "it")
        self.bruno = self._account("bruno@alfa.example", "en")

    def now(self) -> datetime:
        return self.at

    def _account(self, address: str, language: str) -> Account:
        new = NewAccount(address=address, at=MORNING, language=language)
        return self.storage.write_now(lambda connection: accounts.add_account(connection, new))

    def used(self, account: Account, lookup: str, protocol: Protocol, peer: Peer) -> None:
        self.diary.used(holder(account), lookup, protocol, peer, peer.address)

    def last(self, account: Account) -> dict[str, LastUse]:
        return self.storage.read_now(lambda connection: signins.last_uses(connection, account.id))

    def letters(self, account: Account) -> list[EmailMessage]:
        listing = self.storage.read_now(lambda connection: mailboxes.pop3_listing(connection, account.mailbox_id))
        read = [
            self.storage.read_now(lambda connection, row=row: content.load(connection, row.body_id)) for row in listing
        ]
        return [message_from_bytes(each.read(), policy=policy.default) for each in read]


def holder(account: Account) -> Holder:
    return Holder(
        account_id=account.id,
        mailbox_id=account.mailbox_id,
        address=account.address,
        addresses=frozenset({account.address}),
        may_submit=True,
    )


@pytest.fixture
def desk(storage: Storage) -> Desk:
    return Desk(storage)


async def test_the_last_use_of_each_password_is_kept(desk: Desk) -> None:
    desk.used(desk.anna, CHOSEN, Protocol.SMTP, OFFICE)
    desk.used(desk.anna, "0a1b2c3d", Protocol.POP3, OFFICE)
    await desk.diary.write()
    desk.at += timedelta(hours=1)
    desk.used(desk.anna, CHOSEN, Protocol.IMAP, HOME)
    await desk.diary.write()
    first, second = MORNING.astimezone(UTC), desk.at.astimezone(UTC)
    assert desk.last(desk.anna) == {
        CHOSEN: LastUse(at=second, address=HOME.address, protocol="imap"),
        "0a1b2c3d": LastUse(at=first, address=OFFICE.address, protocol="pop3"),
    }
    assert desk.last(desk.bruno) == {}


async def test_a_new_place_is_told_once_and_the_first_one_is_not_new(desk: Desk) -> None:
    for _ in range(2):
        desk.used(desk.anna, CHOSEN, Protocol.SMTP, OFFICE)
        await desk.diary.write()
    assert desk.letters(desk.anna) == []
    for _ in range(2):
        desk.used(desk.anna, "0a1b2c3d", Protocol.IMAP, HOME)
        await desk.diary.write()
    (letter,) = desk.letters(desk.anna)
    assert letter["Subject"] == "Nuovo accesso alla casella di posta certificata"
    assert letter["From"] == "Alfa PEC <postmaster@alfa.example>"
    assert (letter["To"], letter["Auto-Submitted"]) == ("anna@alfa.example", "auto-generated")
    text = letter.get_content()
    assert "29/03/2026 01:59:30 (+0100)" in text
    assert "Da: 2001:db8::7" in text
    assert "IMAP, la password di dispositivo 0a1b2c3d" in text
    assert letter["X-Ricevuta"] is letter["X-Trasporto"] is None


async def test_the_letter_names_the_person_whose_password_it_was(desk: Desk) -> None:
    def let_in(connection: Connection) -> None:
        box, at = desk.anna.mailbox_id, desk.at
        person = people.add_person(connection, box, "Carla Neri", Right.READ, at)
        lookup = "0a1b2c3d"
        added = devices.add_device(connection, desk.anna.id, label="laptop", lookup=lookup, digest=b"", at=at)
        people.give_password(connection, person, added)

    desk.storage.write_now(let_in)
    desk.used(desk.anna, CHOSEN, Protocol.SMTP, OFFICE)
    await desk.diary.write()
    desk.used(desk.anna, "0a1b2c3d", Protocol.IMAP, HOME)
    await desk.diary.write()
    (letter,) = desk.letters(desk.anna)
    assert "Chi: Carla Neri" in letter.get_content()


async def test_many_failures_are_told_once_a_day_in_the_holders_language(desk: Desk) -> None:
    for _ in range(7):
        desk.diary.failed(holder(desk.bruno), HOME)
        await desk.diary.write()
    (letter,) = desk.letters(desk.bruno)
    assert letter["Subject"] == "Failed sign-ins to your certified mailbox"
    assert "given 3 times for your certified mailbox, last from 2001:db8::7" in letter.get_content()
    desk.at += timedelta(days=1)
    for _ in range(3):
        desk.diary.failed(holder(desk.bruno), HOME)
    await desk.diary.write()
    assert len(desk.letters(desk.bruno)) == 2
    assert desk.letters(desk.anna) == []


async def test_letters_do_not_count_against_the_quota(desk: Desk) -> None:
    for place in (OFFICE, HOME):
        desk.used(desk.anna, CHOSEN, Protocol.IMAP, place)
        await desk.diary.write()
    assert len(desk.letters(desk.anna)) == 1
    used = desk.storage.read_now(lambda connection: usage.usage_of(connection, desk.anna.mailbox_id))
    assert used is not None
    assert used.used == 0


async def test_what_cannot_be_written_now_is_written_later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise TemporaryError("the database is away")

    desk.used(desk.anna, CHOSEN, Protocol.SMTP, OFFICE)
    for _ in range(3):
        desk.diary.failed(holder(desk.anna), HOME)
    with monkeypatch.context() as patched:
        patched.setattr(desk.storage, "write", away)
        with pytest.raises(TemporaryError):
            await desk.diary.write()
    desk.used(desk.anna, CHOSEN, Protocol.POP3, OFFICE)
    await desk.diary.write()
    assert desk.last(desk.anna)[CHOSEN].protocol == "pop3"
    assert len(desk.letters(desk.anna)) == 1


async def test_places_without_end_are_not_kept_without_end(desk: Desk) -> None:
    for number in range(300):
        peer = Peer(address=f"192.0.2.{number}", port=1, tls=True)
        desk.at += timedelta(seconds=1)
        desk.used(desk.anna, CHOSEN, Protocol.SMTP, peer)
    await desk.diary.write()
    kept = desk.storage.read_now(
        lambda connection: connection.exec_driver_sql("SELECT count(*), min(network) FROM sign_in_places").one()
    )
    assert tuple(kept) == (200, "192.0.2.100")
