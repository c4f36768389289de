"""Where time and identifiers come from: the two things a flow takes from outside."""

import secrets
from collections import deque
from datetime import UTC, datetime, timezone, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo

__all__ = ["Clock", "Ids", "RandomIds", "SystemClock", "legal_time"]

TOKEN_CHARACTERS = 32
TOKENS_AT_ONCE = 32


class Clock(Protocol):
    def now(self) -> datetime:
        """The present instant, aware, with the offset that the provider's legal time has now."""
        ...


class Ids(Protocol):
    def token(self) -> str:
        """32 lower-case hexadecimal digits, never twice the same."""
        ...


class SystemClock:
    """The machine's clock in the provider's own zone, whatever the machine's zone is."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    def now(self) -> datetime:
        return legal_time(datetime.now(UTC), self._zone)


def legal_time(at: datetime, zone: tzinfo) -> datetime:
    """The same instant as the clocks in ``zone`` show it, with an offset that stays.

    What is added to it is time that passes. With the zone itself Python would count hours on the wall, and twelve of
    them are eleven or thirteen in the two nights in which summer time begins and ends.
    """
    local = at.astimezone(zone)
    offset = local.utcoffset()
    assert offset is not None
    return local.replace(tzinfo=timezone(offset), fold=0)


class RandomIds:
    """128 random bits an identifier, drawn from the system in larger portions: a flow takes a dozen of them.

    Any thread may take one: taking from a deque is atomic.
    """

    def __init__(self) -> None:
        self._drawn: deque[str] = deque()

    def token(self) -> str:
        while True:
            try:
                return self._drawn.pop()
            except IndexError:
                digits = secrets.token_hex(TOKENS_AT_ONCE * TOKEN_CHARACTERS // 2)
                self._drawn.extend(digits[at : at + TOKEN_CHARACTERS] for at in range(0, len(digits), TOKEN_CHARACTERS))
