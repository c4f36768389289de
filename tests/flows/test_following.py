"""Ours stays in step with a box at another provider: flags, places, deletions; whatever that server says."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from gateway.points.following import Deletions
from gateway.points.marks import Mark
from gateway.storage import folders, keywords
from gateway.storage.engine import Storage
from tests.flows.new_box import NewBox, new_box

ONE, TWO, THREE = (b"Subject: %s\r\n\r\nciao\r\n" % name for name in (b"uno", b"due", b"tre"))


@pytest.fixture
def here(storage: Storage) -> NewBox:
    return new_box(storage)


@pytest.mark.parametrize("counts", [True, False], ids=["CONDSTORE", "without"])
class TestFlags:
    async def test_that_change_there_change_here(self, here: NewBox, counts: bool) -> None:
        here.old.counts = counts
        uid = here.old.arrives(ONE, "\\Flagged", "vecchia")
        await here.run()
        here.old.flag(uid, give=["\\Seen", "\\Answered", "$label1", "Urgente"], take=["\\Flagged", "vecchia"])
        assert (await here.run()).changed == 1
        assert here.flags() == {"\\Seen", "\\Answered", "$label1", "Urgente"}
        assert (await here.run()).changed == 0

    async def test_that_the_holder_changed_here_stay_until_the_same_one_changes_there(
        self, here: NewBox, counts: bool
    ) -> None:
        here.old.counts = counts
        uid = here.old.arrives(ONE, "\\Seen")
        await here.run()
        here.flag(give=Mark.FLAGGED, take=Mark.SEEN)
        here.old.flag(uid, give=["\\Answered"])
        await here.run()
        assert here.flags() == {"\\Flagged", "\\Answered"}
        here.old.flag(uid, take=["\\Seen"], give=["\\Flagged"])
        await here.run()
        here.old.flag(uid, give=["\\Seen"], take=["\\Flagged"])
        await here.run()
        assert here.flags() == {"\\Seen", "\\Answered"}

    async def test_that_say_deleted_are_taken_but_never_given(self, here: NewBox, counts: bool) -> None:
        here.old.counts = counts
        uid = here.old.arrives(ONE)
        await here.run()
        here.old.flag(uid, give=["\\Deleted", "\\Seen"])
        await here.run()
        assert here.flags() == {"\\Seen"}
        here.flag(give=Mark.DELETED)
        here.old.flag(uid, take=["\\Deleted"])
        await here.run()
        assert here.flags() == {"\\Seen"}

    async def test_are_followed_where_the_holder_has_put_the_message(self, here: NewBox, counts: bool) -> None:
        here.old.counts = counts
        uid = here.old.arrives(ONE)
        await here.run()
        here.move("Archive")
        here.old.flag(uid, give=["\\Seen"])
        await here.run()
        assert here.box() == [("Archive", ONE, frozenset({"\\Seen"}))]

    async def test_of_a_message_that_the_holder_removed_are_nobodys(self, here: NewBox, counts: bool) -> None:
        here.old.counts = counts
        uid = here.old.arrives(ONE)
        await here.run()
        here.remove()
        here.old.flag(uid, give=["\\Seen"])
        assert (await here.run()).changed == 0
        assert here.box() == []


class TestWhatIsAsked:
    async def test_is_what_the_server_says_has_changed(self, here: NewBox) -> None:
        uids = [here.old.arrives(b"Subject: %d\r\n\r\n" % number) for number in range(30)]
        await here.run()
        await here.run()
        assert here.old.asked == []
        here.old.flag(uids[7], give=["\\Seen"])
        await here.run()
        await here.run()
        assert here.old.asked == [f"INBOX {uids[7]}"]

    @pytest.mark.parametrize("strange", ["backwards", "no search"])
    async def test_is_everything_where_it_counts_strangely(self, here: NewBox, strange: str) -> None:
        uids = [here.old.arrives(b"Subject: %d\r\n\r\n" % number) for number in range(30)]
        await here.run()
        await here.run()
        here.old.flag(uids[7], give=["\\Seen"])
        if strange == "backwards":
            here.old.modseq = 2
        else:
            here.old.refuses.add("SEARCH MODSEQ")
        assert (await here.run()).changed == 1
        here.old.flag(uids[8], give=["\\Seen"])
        assert (await here.run()).changed == 1


class TestAMessageThatMovesThere:
    async def test_moves_here_and_stays_the_same(self, here: NewBox) -> None:
        uid = here.old.arrives(ONE)
        await here.run()
        tokens = here.tokens()
        uid = here.old.move(uid, "Pratiche")
        here.old.flag(uid, give=["\\Seen"], folder="Pratiche")
        report = await here.run()
        assert (report.brought, report.moved) == (0, 1)
        assert here.box() == [("Pratiche", ONE, frozenset({"\\Seen"}))]
        assert here.tokens() == tokens
        here.old.flag(uid, give=["\\Flagged"], folder="Pratiche")
        await here.run()
        assert here.flags() == {"\\Seen", "\\Flagged"}

    async def test_stays_where_the_holder_put_it(self, here: NewBox) -> None:
        uid = here.old.arrives(ONE)
        await here.run()
        here.move("Archive")
        here.old.move(uid, "Pratiche")
        await here.run()
        assert here.places() == [("Archive", ONE)]

    async def test_does_not_come_back_if_the_holder_removed_it(self, here: NewBox) -> None:
        uid = here.old.arrives(ONE)
        await here.run()
        here.remove()
        here.old.move(uid, "Pratiche")
        await here.run()
        assert here.box() == []

    @pytest.mark.parametrize("order", [["INBOX", "Pratiche"], ["Pratiche", "INBOX"]])
    async def test_while_we_look_comes_once(self, here: NewBox, order: list[str]) -> None:
        here.old.folders = {name: {} for name in order}
        uid = here.old.arrives(ONE)
        await here.run()
        moved: list[int] = []

        def move(folder: str) -> None:
            if folder == order[1] and not moved:
                moved.append(here.old.move(uid, "Pratiche"))

        here.old.on_look = move
        await here.run()
        await here.run()
        assert here.places() == [("Pratiche", ONE)]

    async def test_is_another_one_as_long_as_the_first_is_there(self, here: NewBox) -> None:
        here.old.arrives(ONE)
        await here.run()
        here.old.arrives(ONE, folder="Pratiche")
        await here.run()
        assert here.places() == [("INBOX", ONE), ("Pratiche", ONE)]
        assert (await here.run()).brought == 0

    async def test_of_two_alike_moves_alone(self, here: NewBox) -> None:
        first, _ = here.old.arrives(ONE), here.old.arrives(ONE)
        await here.run()
        assert here.places() == [("INBOX", ONE)] * 2
        here.old.move(first, "Pratiche")
        await here.run()
        assert here.places() == [("INBOX", ONE), ("Pratiche", ONE)]

    async def test_with_its_folder_moves_with_it(self, here: NewBox) -> None:
        for octets in (ONE, TWO):
            here.old.arrives(octets, folder="Pratiche")
        await here.run()
        here.old.folders["Clienti"] = here.old.folders.pop("Pratiche")
        report = await here.run()
        assert (report.brought, report.moved) == (0, 2)
        assert here.places() == [("Clienti", TWO), ("Clienti", ONE)]


class TestANewLifeOfAFolder:
    async def test_brings_nothing_twice_and_loses_nothing(self, here: NewBox) -> None:
        for octets in (ONE, TWO):
            here.old.arrives(octets)
        await here.run()
        tokens = here.tokens()
        here.old.new_life("INBOX")
        here.old.arrives(THREE)
        report = await here.run()
        assert (report.brought, report.moved) == (1, 2)
        assert here.places() == [("INBOX", TWO), ("INBOX", THREE), ("INBOX", ONE)]
        assert tokens < here.tokens()
        uid = min(here.old.folders["INBOX"])
        here.old.flag(uid, give=["\\Seen"])
        assert (await here.run()).changed == 1

    async def test_at_every_look_brings_nothing_twice(self, here: NewBox) -> None:
        here.old.arrives(ONE)
        for _ in range(4):
            await here.run()
            here.old.new_life("INBOX")
        assert here.places() == [("INBOX", ONE)]

    async def test_between_two_looks_is_for_the_next_run(self, here: NewBox) -> None:
        here.old.arrives(ONE)
        looks: list[str] = []

        def begin(folder: str) -> None:
            looks.append(folder)
            if looks.count("INBOX") == 2:
                here.old.new_life("INBOX")

        here.old.on_look = begin
        with pytest.raises(Exception, match="new life"):
            await here.run()
        await here.run()
        assert here.places() == [("INBOX", ONE)]


class TestWhatIsDeletedThere:
    @pytest.mark.parametrize("way", ["gone", "to the trash", "its folder too"])
    async def test_stays_here(self, here: NewBox, way: str) -> None:
        uid = here.old.arrives(ONE, folder="Pratiche")
        await here.run()
        if way == "gone":
            del here.old.folders["Pratiche"][uid]
        elif way == "to the trash":
            here.old.move(uid, "Trash", "Pratiche")
        else:
            del here.old.folders["Pratiche"]
        for _ in range(3):
            await here.run()
        assert here.places() == [("Pratiche", ONE)]

    async def test_goes_to_the_trash_if_that_is_wanted(self, here: NewBox) -> None:
        here.deletions = Deletions.TRASH
        gone, moved = here.old.arrives(ONE), here.old.arrives(TWO)
        await here.run()
        del here.old.folders["INBOX"][gone]
        here.old.move(moved, "Trash")
        await here.run()
        assert here.places() == [("INBOX", ONE), ("Trash", TWO)]  # the first may come up elsewhere yet
        assert (await here.run()).deleted == 1
        assert here.places() == [("Trash", TWO), ("Trash", ONE)]
        here.old.folders["Trash"].clear()
        for _ in range(3):
            await here.run()
        assert here.places() == [("Trash", TWO), ("Trash", ONE)]  # nothing leaves it by our doing

    async def test_comes_back_from_the_trash_when_it_is_back_there(self, here: NewBox) -> None:
        here.deletions = Deletions.TRASH
        uid, again = here.old.arrives(ONE), here.old.arrives(TWO)
        await here.run()
        hidden, here.old.folders["INBOX"] = here.old.folders["INBOX"], {}
        await here.run()
        await here.run()
        assert here.places() == [("Trash", TWO), ("Trash", ONE)]
        here.old.folders["INBOX"] = {uid: hidden[uid]}
        here.old.arrives(hidden[again].octets, folder="Pratiche")  # from a backup
        await here.run()
        assert here.places() == [("INBOX", ONE), ("Pratiche", TWO)]

    async def test_stays_here_where_a_folder_is_emptied(self, here: NewBox) -> None:
        here.deletions = Deletions.TRASH
        for number in range(60):
            here.old.arrives(b"Subject: %d\r\n\r\n" % number)
        await here.run()
        for uid in list(here.old.folders["INBOX"])[:40]:
            del here.old.folders["INBOX"][uid]
        for _ in range(3):
            await here.run()
        assert [folder for folder, _ in here.places()] == ["INBOX"] * 60

    async def test_while_it_was_to_be_kept_is_kept(self, here: NewBox) -> None:
        uid = here.old.arrives(ONE)
        await here.run()
        del here.old.folders["INBOX"][uid]
        await here.run()
        here.deletions = Deletions.TRASH
        for _ in range(3):
            await here.run()
        assert here.places() == [("INBOX", ONE)]

    async def test_waits_while_a_folder_cannot_be_seen(self, here: NewBox) -> None:
        here.deletions = Deletions.TRASH
        uid = here.old.arrives(ONE)
        await here.run()
        here.old.refuses.add("Pratiche")
        here.old.move(uid, "Pratiche")
        for _ in range(3):
            report = await here.run()
        assert report.left_out == ["Pratiche: NO [NOPERM] not yours"]
        assert here.places() == [("INBOX", ONE)]
        here.old.refuses.clear()
        await here.run()
        assert here.places() == [("Pratiche", ONE)]

    async def test_stays_where_the_holder_put_it(self, here: NewBox) -> None:
        here.deletions = Deletions.TRASH
        uid = here.old.arrives(ONE)
        await here.run()
        here.move("Archive")
        del here.old.folders["INBOX"][uid]
        for _ in range(3):
            await here.run()
        assert here.places() == [("Archive", ONE)]


Told = dict[int, tuple[str, ...]]
LIES: dict[str, Callable[[Told], Told]] = {
    "of others": lambda told: told | dict.fromkeys(range(100, 200), ("\\Seen",)),
    "of none": lambda _: {},
    "a flood": lambda told: {uid: tuple(f"parola{number}" for number in range(100)) for uid in told},
}


class TestAServerThatLies:
    @pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
    async def test_about_flags_harms_nothing(self, here: NewBox, lie: Callable[[Told], Told]) -> None:
        here.old.arrives(ONE)
        await here.run()
        here.old.counts, here.old.lies = False, lie
        for _ in range(3):
            await here.run()
        assert here.places() == [("INBOX", ONE)]
        assert len(here.flags()) <= keywords.MOST

    async def test_about_keywords_mixes_up_none(self, here: NewBox) -> None:
        here.old.arrives(ONE, *(f"p{number}" for number in range(60)))
        here.old.arrives(TWO, *(f"q{number}" for number in range(60)))
        await here.run()
        flags = {octets: {flag[0] for flag in flags} for _, octets, flags in here.box()}
        assert flags[ONE] == {"p"}
        assert flags[TWO] <= {"q"}

    async def test_about_uids_brings_what_it_gives(self, here: NewBox) -> None:
        here.old.unread |= {here.old.arrives(ONE), here.old.arrives(TWO)}
        here.old.arrives(THREE)
        for _ in range(2):
            await here.run()
        assert here.places() == [("INBOX", THREE)]
        here.old.unread.clear()
        await here.run()
        assert [octets for _, octets in here.places()] == [TWO, THREE, ONE]

    async def test_about_what_is_gone_loses_and_doubles_nothing(self, here: NewBox) -> None:
        for octets in (ONE, TWO):
            here.old.arrives(octets)
        await here.run()
        tokens, shown = here.tokens(), here.old.folders
        for listed in ({}, {"INBOX": {}}, shown, {}, {name: {} for name in shown}, shown):
            here.old.folders = listed
            await here.run()
        assert here.tokens() == tokens
        assert here.places() == [("INBOX", TWO), ("INBOX", ONE)]

    async def test_about_folders_makes_no_more_than_a_box_may_have(
        self, here: NewBox, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gateway.storage.imports.MAX_FOLDERS", 20)
        here.old.folders |= {f"cartella {number}": {} for number in range(30)}
        here.old.arrives(ONE)
        report = await here.run()
        made = here.storage.read_now(lambda connection: folders.list_folders(connection, here.account.mailbox_id))
        assert len(made) == 20
        assert len(report.left_out) == 18  # of 31 that are not here from the start
        assert here.places() == [("INBOX", ONE)]


async def test_a_run_that_was_stopped_goes_on_and_follows(here: NewBox) -> None:
    uids = [here.old.arrives(b"Subject: %d\r\n\r\n" % number) for number in range(120)]
    here.old.fails_at = uids[70]
    with pytest.raises(ConnectionResetError):
        await here.run()
    assert len(here.box()) == 50
    here.old.flag(uids[3], give=["\\Seen"])
    report = await here.run()
    assert (report.brought, report.here_before, report.changed) == (70, 50, 1)
    assert len(set(here.places())) == 120


async def test_a_folder_that_the_holder_removed_comes_back_with_the_next_message(here: NewBox) -> None:
    here.old.arrives(ONE, folder="Pratiche")
    await here.run()
    here.remove()

    def remove(connection: Connection) -> None:
        found = folders.folder_named(connection, here.account.mailbox_id, "Pratiche")
        assert found is not None
        folders.remove_folder(connection, found.id)

    here.storage.write_now(remove)
    await here.run()
    here.old.arrives(TWO, folder="Pratiche")
    await here.run()
    here.old.arrives(THREE, folder="Pratiche")
    await here.run()
    assert here.places() == [("Pratiche", TWO), ("Pratiche", THREE)]


async def test_a_folder_that_the_holder_renamed_goes_on(here: NewBox) -> None:
    here.old.arrives(ONE, folder="Pratiche")
    await here.run()

    def rename(connection: Connection) -> None:
        found = folders.folder_named(connection, here.account.mailbox_id, "Pratiche")
        assert found is not None
        folders.rename_folder(connection, found.id, "Clienti")

    here.storage.write_now(rename)
    here.old.arrives(TWO, folder="Pratiche")
    await here.run()
    assert here.places() == [("Clienti", TWO), ("Clienti", ONE)]
