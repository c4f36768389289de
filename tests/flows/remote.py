"""A mail server that keeps boxes, in memory: it does what it is told, and fails when it is told to."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.drivers.imap_store import Kept
from gateway.flows.hand_over import HandOver, HandOverSettings
from gateway.points.handing_over import Places
from gateway.points.relay import Pauses
from gateway.storage import handovers, stores
from gateway.storage.handovers import Handover
from receipts.octets import Octets
from tests.flows.house import LEASE, Provider

__all__ = ["NAME", "Killed", "Remote", "bind", "hand_over", "waiting"]

NAME = "sede"


class Killed(BaseException):
    """Stands for kill -9: nothing that the process would do after it happens."""


@dataclass
class Remote:
    """``fails`` is raised at one of the steps "enter", "find", "put" (before it is kept) and "answer" (after)."""

    name: str = NAME
    places: Places = field(default_factory=lambda: Places("INBOX", "Ricevute"))
    patience: timedelta = timedelta(hours=18)
    kept: dict[tuple[str, str], list[bytes]] = field(default_factory=dict)  # by address and folder
    flags: list[tuple[str, ...]] = field(default_factory=list)
    dates: list[datetime] = field(default_factory=list)
    fails: dict[str, BaseException] = field(default_factory=dict)
    steps: list[str] = field(default_factory=list)

    def url(self, kept: Kept) -> str:
        return f"imaps://remote:993/{kept}"

    @asynccontextmanager
    async def entered(self, address: str) -> AsyncIterator["_Session"]:
        self.step("enter")
        yield _Session(self, address)

    def step(self, name: str) -> None:
        self.steps.append(name)
        if name in self.fails:
            raise self.fails[name]

    def of(self, address: str, folder: str = "INBOX") -> list[bytes]:
        return self.kept.get((address, folder), [])


@dataclass
class _Session:
    remote: Remote
    address: str

    async def find(self, folder: str, message: Octets) -> Kept | None:
        self.remote.step("find")
        there = self.remote.of(self.address, folder)
        whole = message.read()
        return Kept(folder, 1, there.index(whole) + 1) if whole in there else None

    async def put(self, folder: str, message: Octets, flags: Sequence[str], at: datetime) -> Kept:
        self.remote.step("put")
        there = self.remote.kept.setdefault((self.address, folder), [])
        there.append(message.read())
        self.remote.flags.append(tuple(flags))
        self.remote.dates.append(at)
        self.remote.step("answer")
        return Kept(folder, 1, len(there))


class Bells:
    """A bell that remembers what stands."""

    def __init__(self) -> None:
        self.standing: dict[str, str] = {}

    async def raised(self, name: str, detail: str, *, everywhere: bool = False) -> None:
        self.standing[name] = detail

    async def over(self, name: str, *, everywhere: bool = False) -> None:
        self.standing.pop(name, None)


def bind(provider: Provider, *names: str, store: str | None = NAME) -> None:
    """Let a server keep boxes of the provider."""
    boxes = [provider.people[name].mailbox_id for name in names]
    provider.storage.write_now(lambda connection: stores.bind_boxes(connection, boxes, store))


def waiting(provider: Provider) -> list[Handover]:
    return provider.storage.read_now(handovers.list_rows)


async def hand_over(provider: Provider, *remotes: Remote, bell: Bells | None = None) -> Bells:
    """Hand over all that is due now, as the worker does."""
    bell = bell or Bells()
    flow = HandOver(
        storage=provider.storage,
        keepers={remote.name: remote for remote in remotes},
        issuer=provider.issuer,
        clock=provider.clock,
        legal_clock=provider.clock,
        ids=provider.ids,
        handover=provider.leaving.extend,
        bell=bell,
        settings=HandOverSettings(lease=LEASE, pauses=Pauses()),
    )
    now = provider.clock.now()
    rows = await provider.storage.write(
        lambda connection: handovers.claim(connection, LEASE.owner, now, limit=100, lease=LEASE.length)
    )
    for box in dict.fromkeys(row.box for row in rows):
        await flow(box, [row for row in rows if row.box == box])
    return bell
