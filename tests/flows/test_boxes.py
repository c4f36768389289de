"""Boxes as programs that keep folders use them, in a real database."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway.drivers.sources import RandomIds
from gateway.flows.boxes import Boxes, HeldBox
from gateway.flows.filler import Filler
from gateway.flows.news import News
from gateway.flows.outcomes import Holder
from gateway.points.box import Capacity
from gateway.points.boxes import (
    ALL,
    Addition,
    Age,
    And,
    BoxRefused,
    Changed,
    Compared,
    Day,
    FlagChange,
    Found,
    HasFlag,
    HeaderHas,
    Known,
    Not,
    Or,
    Query,
    SizeIs,
    SpecialUse,
    TextHas,
    TextIn,
    Uids,
    Want,
    Why,
)
from gateway.storage import accounts, details, domains
from gateway.storage.engine import Storage
from gateway.storage.purge import START, purge_unreferenced
from receipts.choice import USUAL, FieldChooser
from receipts.octets import InMemory, Octets
from tests.flows.credentials import ROME

AT = datetime(2026, 3, 2, 9, 30, tzinfo=ROME)


class Clock:
    def now(self) -> datetime:
        return AT


def message(number: int = 0, body: str = "In allegato la perizia.", extra: str = "") -> Octets:
    return Octets.of(
        f"From: Anna Bianchi <anna@alfa.example>\r\nTo: bruno@beta.example\r\n"
        f"Subject: =?utf-8?Q?Citt=C3=A0_{number}?=\r\nMessage-ID: <{number}@client.example>\r\n"
        f"Date: Sun, 1 Mar 2026 23:30:00 -0500\r\n{extra}\r\n{body}\r\n".encode()
    )


@dataclass
class Office:
    """A process of a provider, with the boxes of anna and bruno."""

    storage: Storage
    news: News
    filler: Filler
    boxes: Boxes
    holders: dict[str, Holder]

    async def box(self, name: str = "anna") -> HeldBox:
        return await self.boxes(self.holders[name])


async def office(storage: Storage, holders: dict[str, Holder], quota: int | None = 1_000_000) -> Office:
    news = News(storage)
    news.start()
    clock = Clock()
    filler = Filler(storage, news, clock, owner="test")
    boxes = Boxes(storage=storage, news=news, clock=clock, ids=RandomIds(), capacity=Capacity(quota, 0))
    return Office(storage, news, filler, boxes, holders)


def people(connection: Connection) -> dict[str, Holder]:
    domains.add_domain(connection, "alfa.example", AT)
    found: dict[str, Holder] = {}
    for name in ("anna", "bruno"):
        account = accounts.add_account(connection, accounts.NewAccount(address=f"{name}@alfa.example", at=AT))
        found[name] = Holder(
            account_id=account.id,
            mailbox_id=account.mailbox_id,
            address=account.address,
            addresses=frozenset({account.address}),
            may_submit=True,
        )
    return found


@pytest.fixture
async def here(storage: Storage) -> Office:
    return await office(storage, await storage.write(people))


async def put(box: HeldBox, *messages: Octets, folder: str = "INBOX", flags: tuple[str, ...] = ()) -> list[int]:
    _, uids = await box.append(folder, [Addition(message=one, flags=frozenset(flags)) for one in messages])
    return list(uids)


async def test_every_program_finds_its_folders(here: Office) -> None:
    box = await here.box()
    found = {folder.name: folder for folder in await box.folders()}
    assert next(iter(found)) == "INBOX"
    assert {folder.special_use for folder in found.values()} == {*SpecialUse, None}
    assert "Ricevute" in found
    assert all(folder.subscribed and folder.exists for folder in found.values())


async def test_a_message_comes_back_as_it_was_put_there(here: Office) -> None:
    box = await here.box()
    at = datetime(2020, 1, 2, 3, 4, tzinfo=UTC)
    validity, uids = await box.append(
        "INBOX", [Addition(message=message(), flags=frozenset({"\\Seen", "Progetto"}), at=at)]
    )
    opened = await box.open("INBOX", read_only=True)
    assert (opened.uid_validity, list(opened.uids), opened.uid_next) == (validity, uids, uids[0] + 1)
    assert opened.first_unseen is None
    assert "Progetto" in opened.flags
    found = await box.details(opened.folder_id, uids, ~Want.NOTHING)
    assert (list(found.uids), found.flags) == (uids, [{"\\Seen", "Progetto"}])
    assert (list(found.dates), list(found.sizes)) == ([at], [message().size])
    assert found.dates[0].tzinfo is ROME
    assert found.envelopes[0].startswith(
        b'("Sun, 1 Mar 2026 23:30:00 -0500" "=?utf-8?Q?Citt=C3=A0_0?=" (("Anna Bianchi" NIL'
    )
    assert found.bodies[0] == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 25 1)'
    (sections,) = found.sections
    assert found.headers[0] == message().read()[: sections[0].body]
    assert [section.path for section in sections] == [(), (1,)]
    assert found.fields[0] == FieldChooser(USUAL, others=False)(found.headers[0])
    assert (await box.bodies(opened.folder_id, uids))[uids[0]].read() == message().read()


async def test_what_a_message_says_of_itself_makes_it_no_receipt(here: Office) -> None:
    """An APPEND of a forged receipt is an ordinary message, marks of the service and all."""
    box = await here.box()
    forged = message(extra="X-Ricevuta: avvenuta-consegna\r\n")
    uids = await put(box, forged, flags=("$Delivered", "\\Flagged"))
    opened = await box.open("INBOX", read_only=True)
    kinds = await here.storage.read(lambda c: c.exec_driver_sql("SELECT kind FROM messages").scalars().all())
    assert kinds == ["ordinary"]
    found = await box.details(opened.folder_id, uids, Want.NOTHING)
    assert found.flags == [{"\\Flagged"}]


async def test_flags_are_added_removed_and_replaced(here: Office) -> None:
    box = await here.box()
    uids = await put(box, message(1), message(2), flags=("\\Seen",))
    folder = (await box.open("INBOX", read_only=True)).folder_id
    stored = await box.store(folder, uids, FlagChange.ADD, ["\\Deleted", "Urgente", "urgente"])
    assert [row.flags for row in stored.rows] == [{"\\Seen", "\\Deleted", "Urgente"}] * 2
    stored = await box.store(folder, uids[:1], FlagChange.REMOVE, ["URGENTE", "unbekannt", "\\Seen"])
    assert [row.flags for row in stored.rows] == [{"\\Deleted"}]
    modseq = stored.rows[0].modseq
    again = await box.store(folder, uids[:1], FlagChange.REMOVE, ["\\Seen"])
    assert again.rows[0].modseq == modseq
    stored = await box.store(folder, uids, FlagChange.REPLACE, ["\\Answered"], unchanged_since=modseq - 1)
    assert ([row.uid for row in stored.rows], stored.modified) == (uids[1:], uids[:1])
    assert stored.rows[0].flags == {"\\Answered"}


async def test_a_box_knows_many_keywords_but_not_any_number(here: Office) -> None:
    box = await here.box()
    uids = await put(box, message())
    folder = (await box.open("INBOX", read_only=True)).folder_id
    names = [f"k{number}" for number in range(62)]
    await box.store(folder, uids, FlagChange.ADD, names)
    with pytest.raises(BoxRefused) as refused:
        await box.store(folder, uids, FlagChange.ADD, ["eins-zuviel"])
    assert refused.value.why is Why.LIMIT
    await box.store(folder, uids, FlagChange.REMOVE, names[:1])
    stored = await box.store(folder, uids, FlagChange.ADD, ["neu"])
    assert stored.rows[0].flags == {*names[1:], "neu"}
    await box.store(folder, uids, FlagChange.REPLACE, [])
    with pytest.raises(BoxRefused):
        await box.store(folder, uids, FlagChange.ADD, [f"n{number}" for number in range(63)])
    assert (await box.store(folder, uids, FlagChange.REMOVE, [])).rows[0].flags == frozenset()


async def test_what_is_kept_of_messages_is_read_in_goes_if_it_is_very_much(here: Office) -> None:
    box = await here.box()
    uids = await put(box, message(extra="X-Lungo: " + "x" * 200_000 + "\r\n"), message(1))
    folder = (await box.open("INBOX", read_only=True)).folder_id
    for _ in range(5):
        uids += [new for _, new in (await box.copy(folder, uids, "INBOX")).pairs]
    found: list[int] = []
    while rest := [uid for uid in uids if uid > max(found, default=0)]:
        some = await box.details(folder, rest, Want.HEADER | Want.SIZE)
        assert 0 < sum(map(len, some.headers)) < 4_500_000
        found += some.uids
    assert found == uids
    assert len(uids) == 64
    assert list((await box.details(folder, uids[::7], Want.SIZE)).uids) == uids[::7]


async def test_long_searches_leave_others_a_reader(here: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    anna, bruno = await here.box("anna"), await here.box("bruno")
    folder = (await anna.open("INBOX", read_only=True)).folder_id
    over = threading.Event()

    def slow(*_: object) -> Found:
        assert over.wait(60)
        return Found([], 0)

    monkeypatch.setattr("gateway.flows.boxes.search", slow)
    searches = [asyncio.ensure_future(anna.search(folder, TextHas(TextIn.BODY, "x"))) for _ in range(8)]
    other = (await bruno.open("INBOX", read_only=True)).folder_id
    searches += [asyncio.ensure_future(bruno.search(other, TextHas(TextIn.BODY, "x"))) for _ in range(8)]
    try:
        await asyncio.wait_for(bruno.folders(), 30)
    finally:
        over.set()
    assert await asyncio.gather(*searches) == [Found([], 0)] * 16


async def test_messages_are_copied_moved_and_removed(here: Office) -> None:
    box = await here.box()
    uids = await put(box, message(1), message(2), message(3))
    inbox = (await box.open("INBOX", read_only=True)).folder_id
    copied = await box.copy(inbox, uids[:1], "Archive")
    moved = await box.move(inbox, [*uids[1:2], 999], "Archive")
    assert [old for old, _ in (*copied.pairs, *moved.pairs)] == uids[:2]
    archive = await box.open("Archive", read_only=True)
    assert list(archive.uids) == [new for _, new in (*copied.pairs, *moved.pairs)]
    await box.store(inbox, uids, FlagChange.ADD, ["\\Deleted"])
    assert await box.expunge(inbox, uids[2:]) == uids[2:]
    assert await box.expunge(inbox, None) == uids[:1]
    changes = await box.changes(inbox, 0)
    assert (changes.rows, changes.vanished) == ([], uids)
    with pytest.raises(BoxRefused):
        await box.copy(archive.folder_id, list(archive.uids), "Nirgends")


async def test_folders_are_made_renamed_and_removed(here: Office) -> None:
    box = await here.box()
    await box.create(["Clienti", "Clienti/Rossi"], None)
    uids = await put(box, message(), folder="Clienti/Rossi")
    rossi = (await box.open("Clienti/Rossi", read_only=True)).folder_id
    await box.subscribe("Clienti/Rossi", True)
    await box.rename("Clienti", "Vecchi/Clienti", ["Vecchi"])
    names = {folder.name for folder in await box.folders() if folder.exists}
    assert {"Vecchi", "Vecchi/Clienti", "Vecchi/Clienti/Rossi"} <= names
    assert [row.uid for row in (await box.changes(rossi, 0)).rows] == uids
    await box.delete("Vecchi/Clienti/Rossi")
    gone = await box.changes(rossi, 0)
    assert (gone.rows, gone.vanished) == ([], uids)
    named = [folder for folder in await box.folders() if not folder.exists]
    assert [folder.name for folder in named] == ["Clienti/Rossi"]


async def test_a_name_never_stands_for_two_folders_of_the_same_uidvalidity(here: Office) -> None:
    """Else a program would take the messages of one for those of the other (RFC 3501 section 2.3.1.1)."""
    box = await here.box()

    async def validity(name: str) -> int:
        opened = await box.open(name, read_only=True)
        assert (await box.status([name]))[name].uid_validity == opened.uid_validity
        return opened.uid_validity

    seen: dict[str, list[int]] = {"Clienti": [], "Archive": []}
    for _ in range(3):
        await box.create(["Clienti"], None)
        seen["Clienti"].append(await validity("Clienti"))
        await box.delete("Clienti")
    await box.create(["Altri"], None)
    altri = await validity("Altri")
    uids = await put(box, message(), folder="Altri")
    await box.rename("Altri", "Clienti", [])
    seen["Clienti"].append(await validity("Clienti"))
    assert seen["Clienti"][-1] == altri, "who knows it by its UIDs need not read it anew"
    assert list((await box.open("Clienti", read_only=True)).uids) == uids
    seen["Archive"].append(await validity("Archive"))
    await box.rename("Archive", "Vecchi", [])
    await box.rename("Trash", "Archive", [])
    seen["Archive"].append(await validity("Archive"))
    assert all(len(set(each)) == len(each) for each in seen.values()), seen
    assert all(0 < each < 1 << 32 for each in seen["Clienti"])


async def test_uids_are_told_with_the_uidvalidity_of_the_folder_they_are_in(here: Office) -> None:
    box = await here.box()
    validity = {
        folder.name: (await box.open(folder.name, read_only=True)).uid_validity for folder in await box.folders()
    }
    given, uids = await box.append("Drafts", [Addition(message=message())])
    assert given == validity["Drafts"]
    drafts = (await box.open("Drafts", read_only=True)).folder_id
    assert (await box.copy(drafts, uids, "Archive")).uid_validity == validity["Archive"]
    assert (await box.move(drafts, uids, "Trash")).uid_validity == validity["Trash"]


async def test_a_box_that_is_new_has_a_modseq(here: Office) -> None:
    """0 is none (RFC 7162 section 7)."""
    box = await here.box()
    assert (await box.open("INBOX", read_only=True)).modseq >= 1
    assert (await box.status(["INBOX"]))["INBOX"].modseq >= 1


async def test_the_messages_of_a_renamed_inbox_move_and_it_stays(here: Office) -> None:
    box = await here.box()
    await put(box, message(1), message(2))
    await box.rename("INBOX", "2025", [])
    status = await box.status(["INBOX", "2025", "Nirgends"])
    assert {name: found.messages for name, found in status.items()} == {"INBOX": 0, "2025": 2}


@pytest.mark.parametrize(
    "name", ["a//b", "/a", "a/", "a\x00b", "a\nb", "a\x7fb", "inbox", "x" * 300, "a/" * 30 + "b", "a\udc80"]
)
async def test_names_that_no_folder_may_have(here: Office, name: str) -> None:
    box = await here.box()
    with pytest.raises(BoxRefused):
        await box.create([name], None)
    with pytest.raises(BoxRefused):
        await box.rename("Archive", name, [])
    with pytest.raises(BoxRefused):
        await box.subscribe(name, True)


async def test_what_nobody_may_do_to_folders(here: Office) -> None:
    box = await here.box()
    await box.create(["Mia", "Mia/sotto"], None)
    await box.create(["Tua", "Tua/sotto"], None)
    await box.delete("Tua")
    for act, why in (
        (box.create(["Mia"], None), Why.EXISTS),
        (box.create(["Altri inviati"], SpecialUse.SENT), Why.CANNOT),
        (box.delete("INBOX"), Why.CANNOT),
        (box.delete("Ricevute"), Why.CANNOT),
        (box.delete("Nirgends"), Why.NO_FOLDER),
        (box.rename("Mia", "Sent", []), Why.EXISTS),
        (box.rename("Mia", "Mia/altra", []), Why.CANNOT),
        (box.rename("Mia", "Tua", []), Why.EXISTS),  # where Mia/sotto would be a second Tua/sotto
        (box.open("Nirgends", read_only=True), Why.NO_FOLDER),
    ):
        with pytest.raises(BoxRefused) as refused:
            await act
        assert refused.value.why is why


async def test_nobody_reaches_into_the_box_of_another(here: Office) -> None:
    anna, bruno = await here.box("anna"), await here.box("bruno")
    uids = await put(anna, message())
    folder = (await anna.open("INBOX", read_only=True)).folder_id
    for act in (
        bruno.details(folder, uids, Want.NOTHING),
        bruno.bodies(folder, uids),
        bruno.store(folder, uids, FlagChange.ADD, ["\\Deleted"]),
        bruno.expunge(folder, uids),
        bruno.move(folder, uids, "Trash"),
        bruno.search(folder, ALL),
        bruno.changes(folder, 0),
    ):
        with pytest.raises(BoxRefused):
            await act


async def test_a_full_box_takes_nothing_more_from_its_holder(here: Office) -> None:
    small = await office(here.storage, here.holders, quota=message().size)
    box = await small.box()
    uids = await put(box, message())
    with pytest.raises(BoxRefused) as refused:
        await put(box, message())
    assert refused.value.why is Why.OVER_QUOTA
    inbox = (await box.open("INBOX", read_only=True)).folder_id
    await box.copy(inbox, uids, "Archive")  # its content counts once
    assert await box.quota() == (message().size, message().size)


async def test_a_change_reaches_other_sessions_of_the_box(here: Office) -> None:
    one, other = await here.box(), await here.box()
    waiting = asyncio.create_task(other.changed(other.modseq))
    uids = await put(one, message())
    async with asyncio.timeout(60):
        modseq = await waiting
    inbox = (await other.open("INBOX", read_only=True)).folder_id
    assert [row.uid for row in (await other.changes(inbox, modseq - 1)).rows] == uids
    assert one.modseq == other.modseq == modseq
    await other.close()
    await other.close()


@pytest.mark.parametrize("change", list(FlagChange))
@pytest.mark.parametrize("late", [False, True])
async def test_who_knows_the_messages_hears_of_a_change_as_who_does_not(
    here: Office, change: FlagChange, late: bool
) -> None:
    box = await here.box()
    flags = ["\\Seen", "urgente", "$Forwarded"]
    uids = [*await put(box, message(1), flags=("\\Seen", "Urgente")), *await put(box, message(2), message(3))]
    inbox = (await box.open("INBOX", read_only=True)).folder_id
    before = await box.details(inbox, uids, Want.NOTHING)
    since = before.modseqs[0] if late else None
    now = await box.store(inbox, uids, change, flags, unchanged_since=since, known=Known(max(before.modseqs), before))
    stored = await box.details(inbox, uids, Want.NOTHING)
    assert now.modified == (uids[1:] if late else [])
    assert now.rows == [row for row in stored.rows() if row.uid not in now.modified]
    again = await box.store(inbox, uids, FlagChange.ADD, ["\\Flagged"], known=Known(1, before))  # no longer true
    assert again.rows == list((await box.details(inbox, uids, Want.NOTHING)).rows())


async def test_what_was_counted_before_is_counted_as_if_for_the_first_time(here: Office) -> None:
    box = await here.box()
    uids = await put(box, message(1), message(2), message(3))
    inbox = (await box.open("INBOX", read_only=True)).folder_id
    acts: list[Callable[[], Awaitable[Any]]] = [
        lambda: box.store(inbox, uids[:2], FlagChange.ADD, ["\\Seen", "\\Deleted"]),
        lambda: put(box, message(4), flags=("\\Seen",)),
        lambda: box.store(inbox, uids, FlagChange.REMOVE, ["\\Seen"]),
        lambda: box.open("INBOX", read_only=False),  # takes what is recent
        lambda: box.copy(inbox, uids, "Archive"),
        lambda: box.move(inbox, uids[2:], "Archive"),
        lambda: box.expunge(inbox, None),
        lambda: put(box, message(5)),
    ]
    for act in acts:
        await act()
        new = Boxes(
            storage=here.storage, news=here.news, clock=Clock(), ids=RandomIds(), capacity=Capacity(1_000_000, 0)
        )
        fresh = await new(here.holders["anna"])
        names = ("INBOX", "Archive", "Sent")
        assert await box.status(names) == await fresh.status(names)
        await fresh.close()
    found = (await box.status(["INBOX"]))["INBOX"]
    assert (found.messages, found.unseen, found.deleted, found.recent) == (2, 1, 0, 1)


async def test_a_change_of_another_node_is_seen_when_it_is_looked_for(here: Office, storage_url: str) -> None:
    second = await office(Storage.open(storage_url), here.holders)
    box, elsewhere = await here.box(), await second.box()
    waiting = asyncio.create_task(box.changed(box.modseq))
    await put(elsewhere, message())
    await here.news.poll()
    async with asyncio.timeout(60):
        assert await waiting == box.modseq
    second.storage.close()


async def test_expunging_beside_fetching_harms_nobody(here: Office) -> None:
    """Two sessions, one that reads everything and one that removes everything, at the same time."""
    reader, remover = await here.box(), await here.box()
    uids = await put(reader, *(message(number) for number in range(60)))
    inbox = (await reader.open("INBOX", read_only=True)).folder_id
    await remover.store(inbox, uids, FlagChange.ADD, ["\\Deleted"])

    async def read() -> None:
        for uid in uids:
            found = await reader.details(inbox, [uid], Want.ENVELOPE | Want.SECTIONS)
            bodies = await reader.bodies(inbox, [uid])
            assert all(found.envelopes)
            assert all(body.read() for body in bodies.values())

    async def remove() -> None:
        for uid in reversed(uids):
            assert await remover.expunge(inbox, [uid]) == [uid]

    await asyncio.gather(read(), remove())
    assert (await reader.changes(inbox, 0)).vanished == uids


async def test_recent_is_told_to_one_session_alone(here: Office) -> None:
    one, other = await here.box(), await here.box()
    uids = await put(one, message())
    looked = await other.open("INBOX", read_only=True)
    assert (await one.open("INBOX", read_only=False)).recent_from <= uids[0]
    assert (await other.open("INBOX", read_only=False)).recent_from == looked.uid_next
    more = await put(one, message())
    assert await one.take_recent(looked.folder_id) <= more[0]
    assert await other.take_recent(looked.folder_id) == more[0] + 1


SEARCHES: list[tuple[Query, list[int]]] = [
    (ALL, [1, 2, 3]),
    (TextHas(TextIn.SUBJECT, "CITTÀ 2"), [2]),
    (TextHas(TextIn.FROM, "bianchi"), [1, 2, 3]),
    (TextHas(TextIn.TO, "BETA.example"), [1, 2, 3]),
    (TextHas(TextIn.CC, "x"), []),
    (TextHas(TextIn.BODY, "RZO firm"), [3]),
    (TextHas(TextIn.BODY, "contratto  a rzo"), []),
    (TextHas(TextIn.BODY, "z"), [1, 2, 3]),
    (TextHas(TextIn.BODY, "straße"), [2]),
    (TextHas(TextIn.BODY, "STRASSE"), [2]),
    (TextHas(TextIn.BODY, "alfa.example"), []),
    (TextHas(TextIn.TEXT, "alfa.example"), [1, 2, 3]),
    (TextHas(TextIn.BODY, "a'b\\c\"d & (e) | !f:*"), [1]),
    (TextHas(TextIn.BODY, "%_"), []),
    (TextHas(TextIn.BODY, "\x00"), [1, 2, 3]),
    (HeaderHas("message-id", "<2@"), [2]),
    (HeaderHas("Subject", "bruno"), []),
    (HeaderHas("Date", ""), [1, 2, 3]),
    (HeaderHas("Cc", ""), []),
    (Day(Compared.ON, date(2026, 3, 1), sent=True), [1, 2, 3]),
    (Day(Compared.SINCE, date(2026, 3, 2), sent=True), []),
    (Day(Compared.ON, date(2026, 3, 2)), [1, 2]),
    (Day(Compared.BEFORE, date(2026, 3, 2)), [3]),
    (Day(Compared.BEFORE, date(9999, 12, 31)), [1, 2, 3]),
    (Age(older=False, seconds=3_600), [1, 2]),
    (Age(older=True, seconds=3_600), [3]),
    (SizeIs(larger=True, size=10), [1, 2, 3]),
    (SizeIs(larger=False, size=10), []),
    (HasFlag("\\seen"), [2]),
    (HasFlag("MIO"), [2]),
    (HasFlag("sconosciuto"), []),
    (Changed(10_000), []),
    (Uids(((2, 2), (3, 4_000_000_000))), [2, 3]),
    (Not(HasFlag("\\Seen")), [1, 3]),
    (Or(HasFlag("\\Seen"), TextHas(TextIn.BODY, "firmat")), [2, 3]),
    (And((Not(HasFlag("\\Seen")), TextHas(TextIn.BODY, "firmat"))), [3]),
]


async def test_searches_find_what_is_there_and_nothing_else(here: Office) -> None:
    box = await here.box()
    bodies = ("Una a'b\\c\"d & (e) | !f:* zeta", "Via STRASSE 1, piazza", "Il contratto di marzo\r\n  firmato")
    for number, body in enumerate(bodies, 1):
        await box.append(
            "INBOX",
            [
                Addition(
                    message=message(number, body),
                    flags=frozenset({"\\Seen", "Mio"} if number == 2 else ()),
                    at=AT - timedelta(days=2) if number == 3 else None,
                )
            ],
        )
    inbox = (await box.open("INBOX", read_only=True)).folder_id
    for query, expected in SEARCHES:
        assert list((await box.search(inbox, query)).uids) == expected, query


async def test_the_text_inside_a_certified_message_is_found(here: Office) -> None:
    box = await here.box()
    inner = (
        b"Subject: =?utf-8?Q?Disdetta_perch=C3=A9?=\r\nFrom: dora@gamma.example\r\n\r\nParola nascosta: ornitorinco\r\n"
    )
    outer = (
        b"Subject: POSTA CERTIFICATA: Disdetta\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/html\r\n\r\n<style>nascosto</style><p>Messaggio&nbsp;di posta</p>\r\n"
        b'--b\r\nContent-Type: message/rfc822; name="postacert.eml"\r\n\r\n' + inner + b"\r\n--b--\r\n"
    )
    uids = await put(box, Octets.of(outer))
    inbox = (await box.open("INBOX", read_only=True)).folder_id
    for text in ("ORNITORINCO", "disdetta perché", "dora@gamma", "messaggio di posta"):
        assert list((await box.search(inbox, TextHas(TextIn.BODY, text))).uids) == uids, text
    assert not (await box.search(inbox, TextHas(TextIn.BODY, "nascosto"))).uids


async def test_words_beyond_those_that_are_kept_are_found_all_the_same(here: Office) -> None:
    box = await here.box()
    uids = await put(box, message(body="parola " * 60_000 + "ultimissima"))
    inbox = (await box.open("INBOX", read_only=True)).folder_id
    assert list((await box.search(inbox, TextHas(TextIn.BODY, "ultimissima"))).uids) == uids
    assert not (await box.search(inbox, TextHas(TextIn.BODY, "penultima"))).uids


async def bare(here: Office) -> int:
    def question(connection: Connection) -> int:
        return len(details.sweep(connection, 0, 1_000)) - len(
            connection.exec_driver_sql("SELECT body_id FROM message_words").all()
        )

    return await here.storage.read(question)


async def test_details_are_worked_out_soon_after_messages_come(here: Office) -> None:
    here.filler.start()
    box = await here.box()
    await put(box, *(message(number) for number in range(70)))
    async with asyncio.timeout(60):
        while await bare(here):
            continue
    await here.filler.stop()


async def test_details_of_what_was_there_before_are_worked_out_by_one_node(here: Office, storage_url: str) -> None:
    box = await here.box()
    await put(box, *(message(number) for number in range(30)))
    assert await bare(here) == 30
    other = await office(Storage.open(storage_url), here.holders)
    rival = Filler(other.storage, other.news, Clock(), owner="rival")
    assert await here.filler.sweep() == 30
    assert await rival.sweep() == 0
    assert await bare(here) == 0
    other.storage.close()


async def test_details_go_with_the_last_copy_of_a_message(here: Office) -> None:
    box = await here.box()
    uids = await put(box, message(1, "ornitorinco"), flags=("\\Deleted",))
    inbox = (await box.open("INBOX", read_only=True)).folder_id
    await here.filler.sweep()
    await box.expunge(inbox, uids)
    await here.storage.write(lambda c: purge_unreferenced(c, AT + timedelta(days=2), START))
    for table in ("message_details", "message_forms", "message_words"):
        left = await here.storage.read(lambda c, t=table: c.exec_driver_sql(f"SELECT count(*) FROM {t}").scalar())  # type: ignore[misc]
        assert left == 0
    await put(box, message(2, "ornitorinco"))
    assert len((await box.search(inbox, TextHas(TextIn.BODY, "ornitorinco"))).uids) == 1


async def test_a_large_message_is_put_there_without_standing_in_memory(here: Office) -> None:
    box = await here.box()
    large = await office(here.storage, here.holders, quota=None)
    box = await large.box()
    sink = box.open_sink()
    head = b"Subject: grande\r\nContent-Type: application/octet-stream\r\n\r\n"
    await sink.write(head)
    for _ in range(40):
        await sink.write(b"0123456789abcdef" * 4_096)
    stored = Octets.whole(await sink.finish())
    uids = await put(box, stored)
    inbox = (await box.open("INBOX", read_only=True)).folder_id
    found = await box.details(inbox, uids, Want.STRUCTURE | Want.HEADER)
    assert list(found.headers) == [head]
    assert b'"octet-stream" NIL NIL NIL "7bit" %d' % (40 * 65_536) in found.structures[0]
    assert InMemory.of(stored.read()).sha256 == stored.sha256()
