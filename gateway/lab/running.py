"""A lab that runs: its providers and its ordinary server, from start to stop."""

import asyncio
import contextlib
import fcntl
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

from gateway.lab.clamd import EICAR, LATE, ClamdProcess
from gateway.lab.description import description_file, write_description
from gateway.lab.network import Layout, prepare, prepare_keys
from gateway.lab.ordinary import OrdinaryServer
from gateway.lab.plan import LabPlan, load_or_draw
from gateway.lab.supervisor import ProviderProcess
from gateway.lab.timestamps import TimeStamper, TimeStampServer

__all__ = ["FolderInUse", "Lab", "locked", "running_lab"]

LOCK_FILE = "lab.lock"
CLAMD_POLL_SECONDS = 0.05


class FolderInUse(RuntimeError):
    """Another lab runs in this folder."""


class Lab:
    """A running lab."""

    def __init__(
        self,
        layout: Layout,
        plan: LabPlan,
        *,
        client_certificates: bool = False,
        antivirus: bool = False,
        timestamps: str | None = None,
    ) -> None:
        self.layout = layout
        self.plan = plan
        self._client_certificates = client_certificates
        self._antivirus = antivirus
        self._timestamps = timestamps
        self.processes = {
            provider.domain: ProviderProcess(
                provider.name,
                layout.provider(provider).config,
                layout.provider(provider).log,
                tuple(provider.ports.values()),
            )
            for provider in plan.providers
        }

        self._described = False

    @contextlib.contextmanager
    def described(self) -> Iterator[None]:
        """Keep ``lab.json`` while the block lasts."""
        self._described = True
        self.describe()
        try:
            yield
        finally:
            self._described = False
            description_file(self.layout).unlink(missing_ok=True)

    def describe(self) -> None:
        """Write ``lab.json`` anew, with the processes of the moment; nothing while the lab is starting or stopping."""
        if not self._described:
            return
        write_description(
            self.layout,
            self.plan,
            {domain: process.pid for domain, process in self.processes.items()},
            {domain: process.command for domain, process in self.processes.items()},
            client_certificates=self._client_certificates,
            antivirus=self._antivirus,
            timestamps=self._timestamps,
        )


@contextlib.asynccontextmanager
async def running_lab(
    folder: Path,
    *,
    providers: int,
    accounts: int,
    first_port: int | None = None,
    restart: bool = True,
    client_certificates: bool = False,
    antivirus: bool = False,
    timestamps: bool = False,
    storage_urls: Callable[[LabPlan], dict[str, str]] | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Lab]:
    """A lab in ``folder`` (absolute) for as long as the block lasts; ``lab.json`` is there while it does.

    Args:
        first_port: where the ports of providers that are new in this folder begin; free ones if left out.
        restart: start a provider again when it dies.
        client_certificates: the index is fetched with them.
        antivirus: all providers scan: the first one with a clamd that knows less than that of the others.
        timestamps: there is a time-stamp authority, and closed days of the registers are stamped by it.
        storage_urls: databases by domain for the plan; SQLite files if left out.
        tell: is told what happens, line by line.

    Raises:
        FolderInUse: see above.
        NoPlan, KeyRefused: the folder holds something that is no lab, or half of one.
        NotStarted: a provider did not start; the text ends with its log.
        ClamdMissing: clamd is not installed, or did not start.
        OSError: the folder cannot be used, or there is no free port.
    """
    layout = Layout(folder)
    with locked(layout.folder):
        description_file(layout).unlink(missing_ok=True)  # of a lab that was killed
        plan = load_or_draw(layout.folder, providers=providers, accounts=accounts, first_port=first_port)
        tell("making keys, certificates, index and accounts ...")
        urls = None if storage_urls is None else storage_urls(plan)
        scanners = _scanners(layout) if antivirus else ()
        async with _stamping(layout, plan, wanted=timestamps) as tsa:
            has = {"client_certificates": client_certificates, "antivirus": antivirus}
            await asyncio.to_thread(prepare, layout, plan, urls, **has, timestamps=tsa)
            lab = Lab(layout, plan, **has, timestamps=tsa)
            tell(f"starting {', '.join(provider.name for provider in plan.providers)} ...")
            async with (
                _scanning(scanners),
                _ordinary(layout, plan),
                _processes(lab, restart=restart, tell=tell),
            ):
                with lab.described():
                    yield lab


@contextlib.asynccontextmanager
async def _stamping(layout: Layout, plan: LabPlan, *, wanted: bool) -> AsyncIterator[str | None]:
    """A time-stamp authority under the lab's root: its URL; its port is another each time."""
    if not wanted:
        yield None
        return
    if not TimeStamper.is_possible():
        raise FileNotFoundError("the time-stamp authority needs the openssl command: apt-get install openssl")
    authority = await asyncio.to_thread(prepare_keys, layout, plan)
    server = TimeStampServer(TimeStamper(authority.time_stamper(), layout.folder / "timestamps"))
    port = await server.start("127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        await server.stop()


def _scanners(layout: Layout) -> tuple[ClamdProcess, ...]:
    first, others = layout.clamd_folders
    return ClamdProcess(first, knows=(EICAR,)), ClamdProcess(others, knows=(EICAR, LATE))


@contextlib.asynccontextmanager
async def _scanning(scanners: Sequence[ClamdProcess]) -> AsyncIterator[None]:
    """All of them, answering; whatever way the block ends, none is left."""
    try:
        for clamd in scanners:
            clamd.spawn()
        for clamd in scanners:
            while not clamd.answers():  # noqa: ASYNC110  (nobody tells when)
                await asyncio.sleep(CLAMD_POLL_SECONDS)
        yield
    finally:
        for clamd in scanners:
            clamd.stop()


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
    """All providers, answering; whatever way the block ends, none is left."""
    processes = lab.processes.values()
    keepers: list[asyncio.Task[None]] = []
    try:
        await asyncio.gather(*(process.start() for process in processes))
        if restart:
            keepers = [asyncio.create_task(process.keep_alive(lab.describe, tell)) for process in processes]
        yield
    finally:
        await asyncio.gather(*(process.stop() for process in processes))
        await asyncio.gather(*keepers)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder, made if it is missing, for this process alone. Raises FolderInUse, OSError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise NotADirectoryError(f"{folder}: this is no folder") from None
    with (folder / LOCK_FILE).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise FolderInUse(f"{folder}: another lab runs here; stop it, or name another folder with --dir") from None
        yield
