"""Sessions that are signed in: they end with their account (D16)."""

from collections.abc import Collection

import pytest

from gateway.flows.sessions import LiveSessions
from receipts.errors import TemporaryError


class Accounts:
    """Which accounts are active, and what was asked."""

    def __init__(self, *active: int) -> None:
        self.active = set(active)
        self.asked: list[frozenset[int]] = []
        self.away = False

    async def among(self, ids: Collection[int]) -> Collection[int]:
        self.asked.append(frozenset(ids))
        if self.away:
            raise TemporaryError("away")
        return self.active & set(ids)


async def test_only_sessions_of_closed_accounts_end() -> None:
    accounts, ended = Accounts(1, 2), list[str]()
    live = LiveSessions(accounts.among)
    for account, name in ((1, "a"), (1, "b"), (2, "c")):
        live.enter(account, lambda name=name: ended.append(name))  # type: ignore[misc]
    accounts.active.discard(1)
    assert await live.sweep() == 2
    assert sorted(ended) == ["a", "b"]


async def test_who_left_is_not_asked_about() -> None:
    accounts = Accounts()
    live = LiveSessions(accounts.among)
    leave = live.enter(1, lambda: None)
    stay = live.enter(2, lambda: None)
    leave()
    leave()
    await live.sweep()
    stay()
    assert await live.sweep() == 0
    assert accounts.asked == [frozenset({2})]


async def test_a_session_may_leave_while_it_is_ended() -> None:
    accounts = Accounts()
    live = LiveSessions(accounts.among)
    leaves = [live.enter(1, lambda: leaves[0]()), live.enter(1, lambda: leaves[1]())]
    assert await live.sweep() == 2
    assert await live.sweep() == 0


async def test_sessions_go_on_while_accounts_cannot_be_read() -> None:
    accounts, ended = Accounts(), list[str]()
    live = LiveSessions(accounts.among)
    live.enter(1, lambda: ended.append("a"))
    accounts.away = True
    with pytest.raises(TemporaryError):
        await live.sweep()
    assert ended == []
    accounts.away = False
    assert await live.sweep() == 1
    assert ended == ["a"]
