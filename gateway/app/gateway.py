"""One provider from start to stop: what is needed first is there first, and goes last."""

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Final

from config.settings import Settings
from gateway.app.certificates import warn_of_end
from gateway.app.parts import Parts
from gateway.app.ports import Ports
from gateway.app.reload import Reload
from gateway.drivers.sources import Clock
from gateway.storage.engine import Storage
from gateway.storage.tenure import hold_name
from receipts.errors import GatewayError

__all__ = ["Gateway", "LeftBehind"]

log = logging.getLogger(__name__)

ANSWERING_SECONDS: Final = 20.0  # for messages on their way in when the stop comes
RELAYING: Final = timedelta(seconds=10)  # for messages on their way out
CLIENT_SECONDS: Final = 5.0  # for the farewells to other servers
LAST_WRITES_SECONDS: Final = 5.0  # beyond that, for a database that may hang
CLOSING_SECONDS: Final = 5.0  # for the threads that wait for it
NAME_RENEWED: Final = timedelta(seconds=5)


class LeftBehind(GatewayError):
    """The database hung while the process stopped: threads wait for it still, and would for ever."""


class Gateway:
    """The provider that ``settings`` describe; ``reread`` gives the settings of the moment on SIGHUP.

    Args:
        clock: the machine's if left out.
        begun: is called when everything works.
    """

    def __init__(
        self,
        settings: Settings,
        reread: Callable[[], Settings],
        *,
        clock: Clock | None = None,
        begun: Callable[[Parts], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._reread = reread
        self._clock = clock
        self._begun = begun
        self._stop = asyncio.Event()
        self._hangup = asyncio.Event()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then finish what began. SIGHUP reloads certificate, index and routes.

        Raises:
            GatewayError, OSError: it cannot start; the text says why. Nothing has been answered.
            LeftBehind: it has stopped as far as it could.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):  # before any port answers: who sees one may send a signal
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._hangup.set)
        async with serving(self._settings, self._clock) as parts:
            _announce(parts)
            self._begun(parts)
            reloading = asyncio.create_task(self._reload(Reload(self._settings, self._reread, parts)))
            await self._stop.wait()
            log.info("stopping")
            reloading.cancel()
            await asyncio.gather(reloading, return_exceptions=True)
        log.info("stopped")

    async def _reload(self, reload: Reload) -> None:
        while True:
            await self._hangup.wait()
            self._hangup.clear()
            try:
                await reload()
            except Exception:
                log.exception("reloading failed")


@contextlib.asynccontextmanager
async def serving(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Parts]:
    """A provider that works, as long as the block lasts. Whatever way it ends, all that was begun is brought to an end.

    Raises:
        AlreadyRunning, StorageUnavailable, UnsafeStorage, KeyRefused, OSError: it cannot start; the text says why.
    """
    async with contextlib.AsyncExitStack() as last_to_first:
        tenure = hold_name(settings.storage.url, f"{socket.gethostname()}:{settings.provider.domain}")
        last_to_first.callback(_let_go, tenure.release)
        storage = Storage.open(settings.storage.url, migrate=True)
        last_to_first.callback(_let_go, storage.close)
        parts = Parts(settings, storage, tenure.name, clock)
        last_to_first.callback(parts.sign_in.close)
        await parts.look()
        ports = Ports(settings.listen)
        last_to_first.callback(ports.close)
        last_to_first.push_async_callback(parts.client.close, CLIENT_SECONDS)
        last_to_first.push_async_callback(_finish, parts.collecting.stop, LAST_WRITES_SECONDS)
        last_to_first.push_async_callback(_finish, parts.ticks.stop, LAST_WRITES_SECONDS)
        parts.begin()
        last_to_first.push_async_callback(_finish, parts.filler.stop, LAST_WRITES_SECONDS)
        last_to_first.push_async_callback(
            _finish, partial(parts.worker.stop, RELAYING), RELAYING.total_seconds() + LAST_WRITES_SECONDS
        )
        last_to_first.push_async_callback(
            _finish, partial(parts.handing_over.stop, RELAYING), RELAYING.total_seconds() + LAST_WRITES_SECONDS
        )
        last_to_first.push_async_callback(_finish, parts.journal.write, LAST_WRITES_SECONDS)
        last_to_first.push_async_callback(_close_servers, parts)
        parts.ticks.every(NAME_RENEWED, lambda: asyncio.to_thread(tenure.renew), "name")
        parts.ticks.start()
        await parts.worker.start()
        await parts.handing_over.start()
        await parts.answer(ports)
        yield parts


async def _close_servers(parts: Parts) -> None:
    """All at once: each waits for its own messages."""
    ends = await asyncio.gather(
        parts.submission.close(ANSWERING_SECONDS),
        parts.incoming.close(ANSWERING_SECONDS),
        parts.pop3.close(),
        parts.imap.close(),
        parts.sieve.close(),
        parts.web.close(),
        return_exceptions=True,
    )
    for error in ends:
        if isinstance(error, Exception):
            log.error("a server did not close in order", exc_info=error)


async def _finish(act: Callable[[], Awaitable[None]], seconds: float) -> None:
    """Do what ends with a word to the database, which may hang."""
    try:
        async with asyncio.timeout(seconds):
            await act()
    except TimeoutError:
        log.error("the database did not answer in time")


def _let_go(act: Callable[[], None]) -> None:
    """Raises LeftBehind if the database hangs, and this with it."""
    thread = threading.Thread(target=act, name="closing", daemon=True)
    thread.start()
    thread.join(CLOSING_SECONDS)
    if thread.is_alive():
        raise LeftBehind("the database did not let go in time")


def _announce(parts: Parts) -> None:
    """What this process really runs with, for operators and for whoever measures it."""
    warn_of_end(parts.settings)
    log.info(
        "serving",
        extra={
            "provider": parts.settings.provider.domain,
            "lease_owner": parts.lease.owner,
            "storage": parts.storage.dialect,
            "durability": str(parts.storage.durability()),
            "tls": parts.tls.context.minimum_version.name,
            "scanner": "none" if parts.screen is None else parts.screen.version or "no answer",
            "register": "chained",
            "index_loaded": parts.index.loaded,
        },
    )
