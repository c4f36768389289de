"""A provider process of the lab: started, watched, started again when it dies, stopped."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.lab.kinship import ends_with_parent
from gateway.lab.ports import answers, answers_everywhere, loopback_hosts

__all__ = ["NotStarted", "ProviderProcess"]

START_SECONDS = 180.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.05
FREE_SECONDS = 3.0
"""How long a port may still be held by whoever had it, before the lab gives up."""
QUICK_SECONDS = 5.0
"""A provider that lives no longer is started again after a pause that grows; else at once."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 1.0
"""The lab promises that a provider is started again within two seconds."""
LAST_LINES = 15  # of the log, for people


class NotStarted(RuntimeError):
    """A provider did not start; the text says why and ends with its log."""


class ProviderProcess:
    """One ``ceralacca serve`` with a clock of the lab (``provider``), in a process that ends with this one."""

    def __init__(self, name: str, config_file: Path, log_file: Path, ports: Sequence[int]) -> None:
        self.name = name
        self.command = (sys.executable, "-m", "gateway.lab.provider", "--config", str(config_file))
        self._log_file = log_file
        self._ports = ports
        self._process: asyncio.subprocess.Process | None = None
        self._started_at = 0.0
        self._stopping = asyncio.Event()
        self._spawning = asyncio.Lock()

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it, and return when every port answers.

        Raises:
            NotStarted: a port is taken, it ended, or some port did not answer in time.
        """
        await self._ports_free()
        await self._spawn()
        await self._answering()

    async def keep_alive(self, restarted: Callable[[], None], tell: Callable[[str], None]) -> None:
        """Start it again whenever it ends, until ``stop``.

        Args:
            restarted: is called as soon as there is a new process; it may not answer yet.
            tell: is told what happens, line by line.
        """
        pause = 0.0
        while True:
            ending = await self._ended()
            if self._stopping.is_set():
                return
            quick = time.monotonic() - self._started_at < QUICK_SECONDS
            pause = min(max(pause * 2, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS) if quick else 0.0
            tell(f"{self.name} {ending}; starting it again")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            if not await self._spawn():
                return
            restarted()
            try:
                await self._answering()
            except NotStarted as error:
                if not self._stopping.is_set():
                    tell(str(error))
            else:
                tell(f"{self.name} answers again, process {self.pid}")

    async def stop(self) -> None:
        """Ask it to finish what it began, and insist after a while."""
        self._stopping.set()
        async with self._spawning:
            process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)  # a stopped process hears SIGTERM only when it goes on
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _ports_free(self) -> None:
        """Wait until nobody else has our ports."""
        for port in self._ports:
            try:
                async with asyncio.timeout(FREE_SECONDS):
                    while any([await answers(host, port) for host in loopback_hosts()]):  # noqa: ASYNC110
                        await asyncio.sleep(POLL_SECONDS)
            except TimeoutError:
                raise NotStarted(
                    f"{self.name}: its port {port} is taken by another program; stop that, or use a fresh folder"
                ) from None

    async def _spawn(self) -> bool:
        """Start a process, unless it is to be stopped; whether there is one."""
        async with self._spawning:
            if self._stopping.is_set():
                return False
            with self._log_file.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *self.command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C in the terminal is for the lab, which stops it in order
                    preexec_fn=ends_with_parent(),
                )
            self._started_at = time.monotonic()
            return True

    async def _answering(self) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                for port in self._ports:
                    await self._answered(port)
        except TimeoutError:
            if self._process is not None and self._process.returncode is None:
                self._process.kill()
            raise NotStarted(f"{self.name} did not answer in {START_SECONDS:.0f} s\n{self._last_words()}") from None

    async def _answered(self, port: int) -> None:
        while not await answers_everywhere(port):
            if self._process is None or self._process.returncode is not None:
                raise NotStarted(f"{self.name} ended while starting\n{self._last_words()}")
            await asyncio.sleep(POLL_SECONDS)

    async def _ended(self) -> str:
        """Wait until it ends; how it did."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        status = await self._process.wait()
        return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"

    def _last_words(self) -> str:
        try:
            lines = self._log_file.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-LAST_LINES:])
