"""The index, fetched daily: judged, kept for every process, put in place; the last good one stays whatever comes."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from gateway.drivers.http_client import Fetched, FetchFailed
from gateway.flows.alarms import Alarms
from gateway.flows.index_update import INDEX, IndexUpdate, Updated, UpdateOutcome, UpdateSettings
from gateway.flows.index_watch import IndexWatch, WatchSettings
from gateway.lab.authority import Authority
from gateway.storage import alarms as rows
from gateway.storage import downloads
from gateway.storage.downloads import Download
from gateway.storage.engine import Storage
from providers.directory import sign_index, write_ldif
from providers.sync import IndexFile
from tests.flows.credentials import START, authority, credential, trust
from tests.flows.house import HandClock

URL = "https://index.example/index.ldif.p7m"
DAY = timedelta(hours=24)


def signed(*domains: str, at: datetime = START, by: Authority | None = None) -> bytes:
    """An index of these providers."""
    ldif = write_ldif([credential(domain).record for domain in domains], URL)
    return sign_index(ldif, (by or authority()).index_signer().signer(), at)


@dataclass
class Centre:
    """Who gives the index out."""

    index: bytes = b""
    down: str | None = None
    asked: list[str | None] = field(default_factory=list)

    async def fetch(self, tag: str | None) -> Fetched:
        self.asked.append(tag)
        if self.down is not None:
            raise FetchFailed(self.down)
        own = f'"{hash(self.index)}"'
        return Fetched(None, own) if tag == own else Fetched(self.index, own)


class Node:
    """One process of a provider, with an index file of its own."""

    def __init__(self, storage: Storage, folder: Path, centre: Centre, clock: HandClock) -> None:
        folder.mkdir()
        self.storage, self.clock = storage, clock
        self.file = folder / "index.ldif.p7m"
        self.index = IndexFile(self.file, trust().anchors, clock.now)
        self.update = IndexUpdate(
            storage=storage,
            index=self.index,
            fetch=centre.fetch,
            bell=Alarms(storage, clock, place="node", provider="Alfa PEC"),
            clock=clock,
            chance=lambda: 0.5,
            settings=UpdateSettings(url=URL, period=DAY),
        )

    def knows(self, domain: str) -> bool:
        return self.index.loaded and self.index.directory().is_certified(domain)

    @property
    def state(self) -> Download:
        found = self.storage.read_now(lambda connection: downloads.state_of(connection, INDEX))
        assert found is not None
        return found


@pytest.fixture
def centre() -> Centre:
    return Centre(signed("alfa.example"))


@pytest.fixture
def node(storage: Storage, tmp_path: Path, centre: Centre, clock: HandClock) -> Node:
    return Node(storage, tmp_path / "node", centre, clock)


@pytest.fixture
def sqlite_node(sqlite_storage: Storage, tmp_path: Path, centre: Centre, clock: HandClock) -> Node:
    return Node(sqlite_storage, tmp_path / "node", centre, clock)


def alarms(node: Node) -> list[str]:
    """Those that stand."""
    found = node.storage.read_now(rows.list_since)
    return [alarm.name for alarm in found if alarm.over_at is None]


@pytest.mark.req("DIR-06")
async def test_the_whole_index_is_fetched_every_day_and_worked_from(
    node: Node, centre: Centre, clock: HandClock
) -> None:
    await node.update.look()
    assert node.knows("alfa.example")
    assert not node.knows("beta.example")
    assert node.file.read_bytes() == centre.index
    centre.index = signed("alfa.example", "beta.example", at=START + timedelta(hours=12))
    for _ in range(23):
        await node.update.look()
        clock.pass_(hours=1)
    assert len(centre.asked) == 1
    clock.pass_(hours=1)
    await node.update.look()
    assert len(centre.asked) == 2
    assert node.knows("beta.example")
    assert node.file.read_bytes() == centre.index


async def test_an_index_that_has_not_changed_is_not_sent_again(node: Node, centre: Centre, clock: HandClock) -> None:
    await node.update.look()
    clock.pass_(hours=24)
    await node.update.look()
    assert centre.asked[0] is None
    assert centre.asked[1] is not None
    assert node.state.good_at == clock.now()
    assert node.state.failure is None
    assert await node.update.now() == UpdateOutcome(Updated.SAME)


def _gone(centre: Centre) -> None:
    centre.down = "the server answered 503"


def _cut(centre: Centre) -> None:
    centre.index = signed("alfa.example", "beta.example", at=START + DAY)[:-20]


def _nonsense(centre: Centre) -> None:
    centre.index = b"<html>Please sign in</html>"


def _empty(centre: Centre) -> None:
    centre.index = b""


def _of_a_stranger(centre: Centre) -> None:
    stranger = Authority.create([], START - timedelta(days=1))
    centre.index = signed("alfa.example", "beta.example", at=START + DAY, by=stranger)


def _changed_under_the_signature(centre: Centre) -> None:
    whole = signed("alfa.example", "beta.example", at=START + DAY)
    centre.index = whole.replace(b"studio.beta.example", b"studio.beto.example", 1)
    assert centre.index != whole


def _without_providers(centre: Centre) -> None:
    centre.index = sign_index(write_ldif([]), authority().index_signer().signer(), START + DAY)


def _older(centre: Centre) -> None:
    centre.index = signed("alfa.example", "beta.example", at=START - timedelta(days=1))


def _of_the_future(centre: Centre) -> None:
    centre.index = signed("alfa.example", "beta.example", at=START + timedelta(days=900))


@pytest.mark.req("DIR-08")
@pytest.mark.parametrize(
    "failing",
    [
        _gone,
        _cut,
        _nonsense,
        _empty,
        _of_a_stranger,
        _changed_under_the_signature,
        _without_providers,
        _older,
        _of_the_future,
    ],
)
async def test_whatever_fails_the_last_good_index_stays_and_an_alarm_says_why(
    sqlite_node: Node, centre: Centre, clock: HandClock, failing: object
) -> None:
    node, good = sqlite_node, centre.index
    await node.update.look()
    clock.pass_(hours=24)
    failing(centre)  # type: ignore[operator]
    await node.update.look()
    assert node.file.read_bytes() == good
    assert node.knows("alfa.example")
    assert not node.knows("beta.example")
    assert alarms(sqlite_node) == ["index update"]
    assert node.state.failure
    outcome = await node.update.now()
    assert outcome == UpdateOutcome(Updated.FAILED, node.state.failure)
    assert node.storage.read_now(lambda connection: downloads.copy_of(connection, INDEX)) == good


async def test_after_a_failure_it_is_tried_again_soon_and_the_alarm_ends(
    sqlite_node: Node, centre: Centre, clock: HandClock
) -> None:
    node = sqlite_node
    centre.down = "the server answered 503"
    asked = []
    for _ in range(600):
        await node.update.look()
        asked.append(len(centre.asked))
        clock.pass_(seconds=15)
    assert asked[9] >= 2  # within minutes
    assert 6 < asked[-1] < 15  # and then ever more seldom: two and a half hours
    centre.down = None
    clock.pass_(minutes=30)
    await node.update.look()
    assert node.knows("alfa.example")
    assert alarms(node) == []


async def test_an_older_index_is_taken_back_by_nobody(sqlite_node: Node, centre: Centre, clock: HandClock) -> None:
    """It has a good signature for ever, and may list a provider or a certificate that was struck off since."""
    node, old = sqlite_node, signed("alfa.example", "beta.example", at=START)
    centre.index = signed("alfa.example", at=START + timedelta(hours=1))
    await node.update.look()
    centre.index = old
    outcome = await node.update.now()
    assert outcome.result is Updated.FAILED
    assert "older than the one in use" in outcome.reason
    node.index.place(old)
    assert not node.index.refresh()
    assert not node.knows("beta.example")


@pytest.mark.req("DIR-06")
async def test_several_processes_fetch_once_and_all_have_it(
    storage: Storage, tmp_path: Path, centre: Centre, clock: HandClock
) -> None:
    nodes = [Node(storage, tmp_path / name, centre, clock) for name in ("one", "two", "three")]
    for node in nodes:
        await node.update.look()
    assert len(centre.asked) == 1
    assert all(node.knows("alfa.example") for node in nodes)
    centre.index = signed("alfa.example", "beta.example", at=START + timedelta(hours=1))
    await nodes[1].update.now()
    for node in nodes:
        await node.update.look()
    assert len(centre.asked) == 2
    assert all(node.knows("beta.example") for node in nodes)
    late = Node(storage, tmp_path / "four", centre, clock)
    await late.update.look()
    assert late.knows("beta.example")
    assert len(centre.asked) == 2


async def test_while_one_process_fetches_the_others_do_not(node: Node, centre: Centre, clock: HandClock) -> None:
    await node.update.look()
    now = clock.now()
    claim = partial(downloads.claim, name=INDEX, at=now, until=now + timedelta(minutes=5), at_once=True)
    assert node.storage.write_now(claim)
    assert (await node.update.now()).result is Updated.ELSEWHERE
    clock.pass_(minutes=5)  # it has died
    assert (await node.update.now()).result is Updated.SAME


async def test_a_damaged_file_is_mended_from_what_is_kept(
    storage: Storage, tmp_path: Path, centre: Centre, clock: HandClock
) -> None:
    first = Node(storage, tmp_path / "first", centre, clock)
    await first.update.look()
    again = Node(storage, tmp_path / "again", centre, clock)
    again.file.write_bytes(b"half an ind")
    await again.update.look()
    assert again.file.read_bytes() == centre.index
    assert again.knows("alfa.example")


async def test_a_newer_file_that_an_operator_puts_in_place_is_not_replaced(
    sqlite_node: Node, centre: Centre, clock: HandClock
) -> None:
    node = sqlite_node
    await node.update.look()
    newer = signed("alfa.example", "gamma.example", at=START + timedelta(hours=3))
    node.index.place(newer)
    node.index.refresh()
    clock.pass_(hours=24)
    await node.update.look()
    assert node.file.read_bytes() == newer
    assert node.knows("gamma.example")


async def test_an_address_that_changed_is_asked_at_once(sqlite_node: Node, centre: Centre, clock: HandClock) -> None:
    await sqlite_node.update.look()
    moved = IndexUpdate(
        storage=sqlite_node.storage,
        index=sqlite_node.index,
        fetch=centre.fetch,
        bell=Alarms(sqlite_node.storage, clock, place="node", provider="Alfa PEC"),
        clock=clock,
        chance=lambda: 0.5,
        settings=UpdateSettings(url="https://elsewhere.example/", period=DAY),
    )
    await moved.look()
    assert centre.asked == [None, None]


class Watched:
    """A watch over a node's index."""

    def __init__(self, node: Node, clock: HandClock) -> None:
        self.good_at: datetime | None = None
        settings = WatchSettings(
            most_unseen=timedelta(hours=48),
            most_signed=timedelta(days=30),
            certificate=credential("alfa.example").issued.der,
        )
        bell = Alarms(node.storage, clock, place="node", provider="Alfa PEC")
        self.watch = IndexWatch(node.index, self._good_at, bell, clock, settings)

    async def _good_at(self) -> datetime | None:
        return self.good_at


@pytest.mark.req("DIR-06")
async def test_an_index_that_was_not_renewed_in_time_is_an_alarm_and_stays_in_use(
    sqlite_node: Node, clock: HandClock
) -> None:
    watched = Watched(sqlite_node, clock)
    await watched.watch.look()  # none yet: told by who would load it
    await sqlite_node.update.look()
    watched.good_at = clock.now()
    clock.pass_(hours=48)
    await watched.watch.look()
    assert alarms(sqlite_node) == []
    clock.pass_(minutes=1)
    for _ in range(3):
        await watched.watch.look()
    assert alarms(sqlite_node) == ["index age"]
    assert sqlite_node.knows("alfa.example")
    watched.good_at = clock.now()
    await watched.watch.look()
    assert alarms(sqlite_node) == []


async def test_the_same_old_index_for_ever_is_an_alarm_however_often_it_comes(
    sqlite_node: Node, clock: HandClock
) -> None:
    watched = Watched(sqlite_node, clock)
    await sqlite_node.update.look()
    clock.pass_(days=30, hours=1)
    watched.good_at = clock.now()
    await watched.watch.look()
    assert alarms(sqlite_node) == ["index signature"]


async def test_a_provider_whose_certificate_is_not_in_the_index_is_told(
    sqlite_node: Node, centre: Centre, clock: HandClock
) -> None:
    watched = Watched(sqlite_node, clock)
    centre.index = signed("beta.example")
    await sqlite_node.update.look()
    watched.good_at = clock.now()
    await watched.watch.look()
    assert alarms(sqlite_node) == ["own record"]
