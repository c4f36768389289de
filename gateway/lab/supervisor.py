"""The provider processes of a lab: started, watched, started again when they die, stopped together."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["ProviderProcess", "answers"]

START_SECONDS = 30.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.05
RESTART_SECONDS = 0.5
"""Pause before a dead provider is started again; the lab promises two seconds."""


class ProviderProcess:
    """One ``ceralacca serve``, in a process of its own."""

    def __init__(self, config_file: Path, log_file: Path, ports: tuple[int, ...]) -> None:
        self.command = (sys.executable, "-m", "gateway.cli", "serve", "--config", str(config_file))
        self._log_file = log_file
        self._ports = ports
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the provider was never started")
        return self._process.pid

    async def start(self) -> None:
        """Start it, and return when every port answers.

        Raises:
            RuntimeError: it ended, or some port did not answer in time; the message ends with the log's last lines.
        """
        with self._log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            async with asyncio.timeout(START_SECONDS):
                for port in self._ports:
                    await self._answered(port)
        except TimeoutError:
            raise RuntimeError(f"the provider did not answer in {START_SECONDS:.0f} s\n{self._last_words()}") from None

    async def keep_alive(self, restarted: Callable[[], None]) -> None:
        """Start it again whenever it ends; call ``restarted`` when it answers again. Runs until cancelled."""
        while True:
            if self._process is None:
                raise RuntimeError("the provider was never started")
            await self._process.wait()
            await asyncio.sleep(RESTART_SECONDS)
            with contextlib.suppress(RuntimeError):  # it is tried again: the loop finds it dead once more
                await self.start()
                restarted()

    async def stop(self) -> None:
        """Ask it to finish what it began, and insist after a while."""
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

    async def _answered(self, port: int) -> None:
        while not await answers(port):
            if self._process is None or self._process.returncode is not None:
                raise RuntimeError(f"the provider ended while starting\n{self._last_words()}")
            await asyncio.sleep(POLL_SECONDS)

    def _last_words(self) -> str:
        lines = self._log_file.read_text(errors="replace").splitlines()
        return "\n".join(lines[-15:])


async def answers(port: int) -> bool:
    """Whether something listens on this port of 127.0.0.1."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
