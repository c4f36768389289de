"""Flags: whoever knows a folder as it was at some modseq is told of what has changed since, and of nothing else."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

import pytest
from sqlalchemy import Connection

from gateway.points.marks import Mark
from gateway.storage import folders, letters, mailboxes, states
from gateway.storage.mailboxes import NewMessage
from gateway.storage.statements import Row
from gateway.storage.states import KEPT
from tests.storage.conftest import AT, Place

T = TypeVar("T")
TOKENS = count()
EVERYWHERE = ("INBOX", "Archive")


@dataclass
class History:
    """A box in which things happen, and how its folders looked at each modseq."""

    place: Place
    looked: dict[tuple[int, str], list[Row]] = field(default_factory=dict)

    @property
    def box(self) -> int:
        return self.place.anna.mailbox_id

    def write(self, change: Callable[[Connection], T]) -> T:
        done = self.place.storage.write_now(change)
        now = self.now()
        self.looked.update({(now, folder): self.rows(folder) for folder in EVERYWHERE})
        return done

    def now(self) -> int:
        return self.place.storage.read_now(lambda connection: folders.modseq_of(connection, self.box))

    def rows(self, folder: str) -> list[Row]:
        return self.place.storage.read_now(lambda connection: states.states(connection, self.box, folder))

    def since(self, folder: str, modseq: int) -> list[Row]:
        now = self.now()
        return self.place.storage.read_now(lambda c: states.states_since(c, self.box, folder, modseq, now))

    def arrive(self, number: int, folder: str = "INBOX") -> None:
        new = [
            NewMessage(
                mailbox_id=self.box,
                token=f"s{next(TOKENS)}",
                body_id=self.place.body,
                size=100,
                kind="ordinary",
                at=AT,
                folder=folder,
            )
            for _ in range(number)
        ]
        self.write(lambda connection: mailboxes.deliver(connection, new))

    def flag(self, uids: list[int], mark: Mark, folder: str = "INBOX") -> int:
        def change(connection: Connection) -> int:
            modseq = folders.change_box(connection, self.box)[0]
            return states.set_flags(connection, self.box, folder, uids, modseq=modseq, add=int(mark))

        return self.write(change)

    def unflag(self, uids: list[int], mark: Mark, folder: str = "INBOX") -> int:
        def change(connection: Connection) -> int:
            modseq = folders.change_box(connection, self.box)[0]
            return states.set_flags(connection, self.box, folder, uids, modseq=modseq, keep=~int(mark))

        return self.write(change)

    def noted(self) -> int:
        return self.place.storage.read_now(
            lambda c: int(c.exec_driver_sql("SELECT count(*) FROM flag_changes").scalar_one())
        )


def something(history: History, chance: random.Random) -> None:
    """One of the things that happen to a box."""
    folder, other = chance.sample(EVERYWHERE, 2)
    there = [row[0] for row in history.rows(folder)]
    some = sorted(chance.sample(there, chance.randint(0, len(there))))
    few = sorted(chance.sample(there, min(2, len(there))))
    tokens = (f"s{next(TOKENS)}" for _ in range(1_000))
    match chance.randrange(6):
        case 0:
            history.arrive(chance.randint(1, 3), folder)
        case 1:
            history.flag(some, chance.choice([Mark.SEEN, Mark.FLAGGED]), folder)
        case 2:
            history.unflag(some, chance.choice([Mark.SEEN, Mark.FLAGGED]), folder)
        case 3:
            history.write(lambda c: letters.copy(c, history.box, folder, few, other, tokens))
        case 4:
            history.write(lambda c: letters.move(c, history.box, folder, few, other, AT))
        case 5:
            history.flag(few[:1], Mark.DELETED, folder)
            history.write(lambda c: letters.expunge(c, history.box, folder, None, int(Mark.DELETED), AT))


@pytest.mark.parametrize("seed", range(4))
def test_what_happened_since_any_moment_is_told_whole(place: Place, seed: int) -> None:
    history, chance = History(place), random.Random(seed)
    history.arrive(12)
    for _ in range(25):
        something(history, chance)
    for (modseq, folder), before in history.looked.items():
        now = history.rows(folder)
        assert history.since(folder, modseq) == [row for row in now if row[1] > modseq]
        changed = {row[0] for row in set(now) - set(before)}
        assert changed == {row[0] for row in history.since(folder, modseq)}


def test_messages_take_their_state_along(place: Place) -> None:
    history = History(place)
    history.arrive(2)
    history.flag([1], Mark.FLAGGED)
    history.write(lambda c: letters.move(c, history.box, "INBOX", [1, 2], "Archive", AT))
    now = history.now()
    assert history.rows("INBOX") == []
    assert history.rows("Archive") == [(3, now, int(Mark.FLAGGED), 0), (4, now, 0, 0)]


def test_only_the_last_changes_are_noted_and_older_ones_told_all_the_same(place: Place) -> None:
    history = History(place)
    history.arrive(3)
    long_ago = history.now()
    history.flag([2], Mark.ANSWERED)

    def many(connection: Connection) -> None:
        for number in range(KEPT + 5):
            modseq = folders.change_box(connection, history.box)[0]
            bits = {"add": int(Mark.SEEN)} if number % 2 else {"keep": ~int(Mark.SEEN)}
            states.set_flags(connection, history.box, "INBOX", [3], modseq=modseq, **bits)

    history.write(many)
    assert history.noted() == KEPT
    assert [row[0] for row in history.since("INBOX", long_ago)] == [2, 3]
    assert [row[0] for row in history.since("INBOX", history.now() - KEPT)] == [3]


def test_what_does_not_change_is_not_noted(place: Place) -> None:
    history = History(place)
    history.arrive(1)
    assert history.flag([1], Mark.SEEN) == 1
    assert history.flag([1], Mark.SEEN) == 0
    assert history.flag([], Mark.SEEN) == 0
    assert history.noted() == 1


def test_changes_far_apart_are_told_as_those_together(place: Place) -> None:
    """More ranges than are read one by one."""
    history = History(place)
    history.arrive(60)
    before = history.now()
    wanted = list(range(1, 60, 3))
    for uid in wanted:
        history.flag([uid], Mark.FLAGGED)
    assert [row[0] for row in history.since("INBOX", before)] == wanted
