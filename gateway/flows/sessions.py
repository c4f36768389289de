"""Sessions that are signed in now, so that whoever may no longer loses them too: accounts (D16), people (D35)."""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping

from gateway.flows.outcomes import Visit
from gateway.points.sharing import Right

__all__ = ["LiveSessions"]

log = logging.getLogger(__name__)

AmongAccounts = Callable[[Collection[int]], Awaitable[Collection[int]]]
"""Account ids -> those of them of which something holds. Raises TemporaryError when accounts cannot be read."""
Standing = Callable[[Collection[int]], Awaitable[Mapping[tuple[int, str], Right]]]
"""Person ids -> what each may do, by person and password; without those who may do nothing. Raises as above."""
End = Callable[[], None]


async def _none(_: Collection[int]) -> Collection[int]:
    return ()


async def _nobody(_: Collection[int]) -> Mapping[tuple[int, str], Right]:
    return {}


class LiveSessions:
    """The signed-in sessions of one process, of every protocol.

    Args:
        active_among: accounts that may be signed in.
        shared_among: accounts whose boxes have people beside their holders.
        standing: what people may do.
    """

    def __init__(
        self, active_among: AmongAccounts, shared_among: AmongAccounts = _none, standing: Standing = _nobody
    ) -> None:
        self._active_among = active_among
        self._shared_among = shared_among
        self._standing = standing
        self._sessions: dict[int, dict[End, Visit | None]] = {}

    def enter(self, account_id: int, end: End, visit: Visit | None = None) -> End:
        """Note a session that ``end`` ends; call the answer when it ends by itself. Both may be called twice."""
        self._sessions.setdefault(account_id, {})[end] = visit

        def leave() -> None:
            ends = self._sessions.get(account_id)
            if ends is not None:
                ends.pop(end, None)
                if not ends:
                    del self._sessions[account_id]

        return leave

    async def sweep(self) -> int:
        """End the sessions of accounts that are disabled or gone; how many there were.

        A session from before its box was shared ends too, for what it does would not come into the box's journal.
        Raises TemporaryError when accounts cannot be read; then all sessions go on.
        """
        accounts = frozenset(self._sessions)
        if not accounts:
            return 0
        closed = accounts - frozenset(await self._active_among(accounts))
        shared = await self._shared_among(accounts - closed)
        ended = self._end(lambda account_id, visit: account_id in closed or (visit is None and account_id in shared))
        if ended:
            log.info("sessions of disabled accounts ended", extra={"sessions": ended})
        return ended

    async def sweep_people(self) -> int:
        """End the sessions of people who may no longer do what they might when they signed in; how many there were.

        Raises TemporaryError when that cannot be read; then all sessions go on.
        """
        visits = [visit for ends in self._sessions.values() for visit in ends.values() if visit is not None]
        people = {visit.person_id for visit in visits if visit.person_id is not None}
        if not people:
            return 0
        standing = await self._standing(people)
        ended = self._end(
            lambda _, visit: (
                visit is not None
                and visit.person_id in people
                and standing.get((visit.person_id, visit.device)) is not visit.right
            )
        )
        if ended:
            log.info("sessions of people ended whose rights changed", extra={"sessions": ended})
        return ended

    def _end(self, is_over: Callable[[int, Visit | None], bool]) -> int:
        over = [
            end
            for account_id, ends in self._sessions.items()
            for end, visit in ends.items()
            if is_over(account_id, visit)
        ]
        for end in over:
            end()
        return len(over)
