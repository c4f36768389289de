"""The scan of one message, whichever flow asks: scanner, policy, and the alarms when there is no verdict."""

from datetime import datetime, timedelta
from typing import Final, Protocol

from gateway.drivers.antivirus import Scanner, ScannerUnavailable
from gateway.drivers.sources import Clock
from gateway.flows.alarms import Bell
from gateway.points.screening import CLEAN, Finding, NotScreened, ScanPolicy, finding
from receipts.octets import Octets

__all__ = ["OneScan", "Screen", "Screening"]

SCANNER: Final = "scanner"
UNSCANNABLE: Final = "unscannable"
"""Names of alarms."""
FORGOTTEN: Final = timedelta(days=1)
"""How long after the last message that was put off the alarm about such messages stands."""


class Screening(Protocol):
    """What a flow asks about a message."""

    async def __call__(self, message: Octets) -> Finding:
        """Raises NotScreened if nobody can tell: then the message may not enter."""
        ...


class Screen:
    """Asks the scanner, applies the policy, and raises and ends the alarms of this process."""

    def __init__(self, scanner: Scanner, policy: ScanPolicy, *, alarms: Bell, clock: Clock) -> None:
        self._scanner = scanner
        self._policy = policy
        self._alarms = alarms
        self._clock = clock
        self._put_off_at: datetime = clock.now()
        self.works = True
        """Whether the scanner answered when it was last asked."""
        self.version: str | None = None
        """Which scanner it is, once it has answered."""

    async def __call__(self, message: Octets) -> Finding:
        try:
            verdict = await self._scanner.scan(message)
        except ScannerUnavailable as error:
            await self._failed(error)
            raise
        await self._answered()
        try:
            return finding(verdict, self._policy)
        except NotScreened as error:
            self._put_off_at = self._clock.now()
            await self._alarms.raised(UNSCANNABLE, f"a message of {message.size} bytes is put off: {error}")
            raise

    async def look(self) -> None:
        """Ask whether the scanner is there, as long as no message does."""
        try:
            self.version = await self._scanner.version()
        except ScannerUnavailable as error:
            await self._failed(error)
            return
        await self._answered()
        if self._clock.now() - self._put_off_at > FORGOTTEN:
            await self._alarms.over(UNSCANNABLE)

    async def _failed(self, error: ScannerUnavailable) -> None:
        self.works = False
        await self._alarms.raised(SCANNER, f"messages are put off: {error}")

    async def _answered(self) -> None:
        self.works = True
        await self._alarms.over(SCANNER)


class OneScan:
    """The finding about one message, asked for once, however often its transaction is tried.

    Args:
        screening: None where nothing is scanned.
    """

    def __init__(self, screening: Screening | None) -> None:
        self._screening = screening
        self._found: Finding | None = None if screening is not None else CLEAN

    @property
    def open(self) -> bool:
        """Whether the message is still to be scanned."""
        return self._found is None

    async def of(self, message: Octets) -> Finding:
        """Raises NotScreened if nobody can tell."""
        if self._found is None:
            assert self._screening is not None
            self._found = await self._screening(message)
        return self._found
