"""A lab that runs: its providers and its ordinary server, from start to stop."""

import asyncio
import contextlib
import fcntl
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO

from gateway.lab.description import description_file, write_description
from gateway.lab.network import Layout, prepare
from gateway.lab.ordinary import OrdinaryServer
from gateway.lab.plan import LabPlan, load_or_draw
from gateway.lab.supervisor import ProviderProcess

__all__ = ["FolderInUse", "Lab", "running_lab"]


class FolderInUse(RuntimeError):
    """Another lab runs in this folder."""


class Lab:
    """A running lab."""

    def __init__(self, layout: Layout, plan: LabPlan) -> None:
        self.layout = layout
        self.plan = plan
        self.processes = {
            provider.domain: ProviderProcess(
                layout.provider(provider).config, layout.provider(provider).log, tuple(provider.ports.values())
            )
            for provider in plan.providers
        }

    def describe(self) -> None:
        """Write ``lab.json`` with the processes of the moment."""
        write_description(
            self.layout,
            self.plan,
            {domain: process.pid for domain, process in self.processes.items()},
            {domain: process.command for domain, process in self.processes.items()},
        )


@contextlib.asynccontextmanager
async def running_lab(
    folder: Path,
    *,
    providers: int,
    accounts: int,
    restart: bool = True,
    storage_urls: Callable[[LabPlan], dict[str, str]] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Lab]:
    """A lab in ``folder`` (absolute) for as long as the block lasts; ``lab.json`` is there when the block begins.

    Args:
        restart: start a provider again when it dies.
        storage_urls: databases by domain for the plan; SQLite files if left out.
        tell: is told what is being done, line by line.

    Raises:
        FolderInUse: see above.
        RuntimeError: a provider did not start; the text ends with its log.
    """
    layout = Layout(folder)
    lock = _lock(layout.folder)
    description_file(layout).unlink(missing_ok=True)
    try:
        plan = load_or_draw(layout.folder, providers=providers, accounts=accounts)
        tell("making keys, certificates, index and accounts")
        urls = None if storage_urls is None else storage_urls(plan)
        await asyncio.to_thread(prepare, layout, plan, urls)
        lab = Lab(layout, plan)
        async with _ordinary(layout, plan), _processes(lab, restart=restart, tell=tell):
            lab.describe()
            yield lab
            description_file(layout).unlink(missing_ok=True)
    finally:
        description_file(layout).unlink(missing_ok=True)
        lock.close()


@contextlib.asynccontextmanager
async def _ordinary(layout: Layout, plan: LabPlan) -> AsyncIterator[None]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(layout.tls_certificate, layout.tls_key)
    server = OrdinaryServer(layout.maildir, tls)
    await server.start(plan.ordinary_port)
    try:
        yield
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def _processes(lab: Lab, *, restart: bool, tell: Callable[[str], None]) -> AsyncIterator[None]:
    tell(f"starting {', '.join(provider.name for provider in lab.plan.providers)}")
    keepers: list[asyncio.Task[None]] = []
    try:
        await asyncio.gather(*(process.start() for process in lab.processes.values()))
        if restart:
            keepers = [asyncio.create_task(process.keep_alive(lab.describe)) for process in lab.processes.values()]
        yield
    finally:
        for keeper in keepers:
            keeper.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)
        await asyncio.gather(*(process.stop() for process in lab.processes.values()))


def _lock(folder: Path) -> IO[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lab.lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise FolderInUse(f"{folder}: another lab runs here; stop it, or name another folder with --dir") from None
    return lock
