"""Where time and identifiers come from: the two things a flow takes from outside."""

import secrets
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

__all__ = ["Clock", "Ids", "RandomIds", "SystemClock"]


class Clock(Protocol):
    def now(self) -> datetime:
        """The present instant, aware, in the provider's legal time zone."""
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
        return datetime.now(UTC).astimezone(self._zone)


class RandomIds:
    """128 random bits an identifier."""

    def token(self) -> str:
        return secrets.token_hex(16)
