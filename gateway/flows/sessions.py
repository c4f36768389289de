"""Sessions that are signed in now, so that a disabled account loses them too (D16)."""

import logging
from collections.abc import Awaitable, Callable, Collection

__all__ = ["LiveSessions"]

log = logging.getLogger(__name__)

ActiveAmong = Callable[[Collection[int]], Awaitable[Collection[int]]]
"""Account ids -> those of them that may be signed in. Raises TemporaryError when accounts cannot be read."""


class LiveSessions:
    """The signed-in sessions of one process, of every protocol."""

    def __init__(self, active_among: ActiveAmong) -> None:
        self._active_among = active_among
        self._sessions: dict[int, set[Callable[[], None]]] = {}

    def enter(self, account_id: int, end: Callable[[], None]) -> Callable[[], None]:
        """Note a session that ``end`` ends; call the answer when it ends by itself. Both may be called twice."""
        self._sessions.setdefault(account_id, set()).add(end)

        def leave() -> None:
            ends = self._sessions.get(account_id)
            if ends is not None:
                ends.discard(end)
                if not ends:
                    del self._sessions[account_id]

        return leave

    async def sweep(self) -> int:
        """End the sessions of accounts that are disabled or gone; how many there were.

        Raises TemporaryError when accounts cannot be read; then all sessions go on.
        """
        accounts = frozenset(self._sessions)
        if not accounts:
            return 0
        closed = accounts - frozenset(await self._active_among(accounts))
        ended = 0
        for account_id in closed:
            for end in tuple(self._sessions.get(account_id, ())):
                end()
                ended += 1
        if ended:
            log.info("sessions of disabled accounts ended", extra={"sessions": ended})
        return ended
