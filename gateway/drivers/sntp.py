"""How far our clock is off, by the word of an NTP server: one question, one answer (SNTP, RFC 4330 and RFC 5905).

The question tells nothing: in place of our time stands a random number, which the answer has to repeat, so nobody who
does not see the question can answer it.
"""

import asyncio
import secrets
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.drivers.kernel_clock import OffsetUnknown
from gateway.points.timekeeping import Offset

__all__ = ["SntpServer", "offset_of"]

PACKET: Final = struct.Struct("!BBbbIII8sQQQ")
"""Flags, stratum, poll, precision, root delay, root dispersion, reference id; then four timestamps, of which the
reference is of no use and the originate one is our random number."""
QUESTION: Final = PACKET.pack(4 << 3 | 3, 0, 0, 0, 0, 0, 0, bytes(8), 0, 0, 0)[:40]
MODES: Final = 0x07
SERVER: Final = 4  # mode
UNSYNCHRONISED: Final = 3  # leap indicator
HIGHEST_STRATUM: Final = 15
UNIX_IN_NTP: Final = 2_208_988_800  # seconds from 1900 to 1970
WRAP: Final = 1 << 64
SHORT: Final = 1 << 16  # units a second in the root fields
MOST_UNCERTAIN: Final = 0.5
"""Seconds: an answer that may be wrong by more than that says nothing about a limit of one."""
PATIENCE_SECONDS: Final = 3.0
MOST_DATAGRAMS: Final = 16  # that are no answer to the question, before we give up


@dataclass(frozen=True, slots=True)
class SntpServer:
    """One server."""

    host: str
    port: int = 123

    async def offset(self, *, now: Callable[[], float] = time.time, patience: float = PATIENCE_SECONDS) -> Offset:
        """Ask it once.

        Args:
            now: our clock, in seconds since 1970.
            patience: seconds for name, question and answer.

        Raises:
            OffsetUnknown: it did not answer, or not well; the text says why.
        """
        name = f"{self.host}:{self.port}"
        try:
            async with asyncio.timeout(patience):
                nonce = secrets.token_bytes(8)
                asked_at, began = now(), time.monotonic()
                answer = await self._ask(nonce)
                took = time.monotonic() - began
        except (OSError, TimeoutError) as error:
            raise OffsetUnknown(f"{name}: {str(error) or 'no answer'}") from error
        try:
            return Offset(offset_of(answer, asked_at, took), name)
        except ValueError as error:
            raise OffsetUnknown(f"{name}: {error}") from error

    async def _ask(self, nonce: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        arrived: asyncio.Future[bytes] = loop.create_future()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Waiting(nonce, arrived), remote_addr=(self.host, self.port)
        )
        try:
            transport.sendto(QUESTION + nonce)
            return await arrived
        finally:
            transport.close()


def offset_of(answer: bytes, asked_at: float, took: float) -> float:
    """Seconds that UTC is ahead of our clock, by an answer.

    Args:
        asked_at: when the question left, by our clock, in seconds since 1970.
        took: seconds until the answer was there.

    Raises:
        ValueError: the answer says nothing that can be used.
    """
    flags, stratum, _, _, root_delay, root_dispersion, _, _, _, received, sent = PACKET.unpack(answer[: PACKET.size])
    if flags & MODES != SERVER:
        raise ValueError("this is no answer of a server")
    if not 1 <= stratum <= HIGHEST_STRATUM or flags >> 6 == UNSYNCHRONISED:
        raise ValueError("the server does not know the time itself")
    if not received or not sent:
        raise ValueError("the answer holds no time")
    on_the_way = took - _difference(sent, received)
    uncertain = max(on_the_way, 0.0) / 2 + root_delay / SHORT / 2 + root_dispersion / SHORT
    if on_the_way < -MOST_UNCERTAIN or uncertain > MOST_UNCERTAIN:
        raise ValueError(f"the answer is uncertain by {uncertain:.3f} s")
    out, back = _difference(received, _timestamp(asked_at)), _difference(sent, _timestamp(asked_at + took))
    return (out + back) / 2


def _timestamp(seconds: float) -> int:
    """NTP's: a fixed-point number since 1900, which begins anew every 136 years."""
    whole, part = divmod(seconds + UNIX_IN_NTP, 1)
    return ((int(whole) << 32) + int(part * (1 << 32))) % WRAP


def _difference(later: int, earlier: int) -> float:
    """In seconds; of two times less than 68 years apart, whatever turn of the counter they are in."""
    ticks = (later - earlier) % WRAP
    return (ticks - WRAP if ticks >= WRAP // 2 else ticks) / (1 << 32)


class _Waiting(asyncio.DatagramProtocol):
    """Waits for the answer that repeats the number; what else comes is passed over."""

    def __init__(self, nonce: bytes, arrived: "asyncio.Future[bytes]") -> None:
        self._nonce = nonce
        self._arrived = arrived
        self._others = 0

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002
        if self._arrived.done():
            return
        if len(data) >= PACKET.size and data[24:32] == self._nonce:
            self._arrived.set_result(data)
        elif (others := self._others) >= MOST_DATAGRAMS:
            self._arrived.set_exception(TimeoutError(f"{others} datagrams that are no answer"))
        else:
            self._others += 1

    def error_received(self, exc: Exception) -> None:
        if not self._arrived.done():
            self._arrived.set_exception(exc)
