"""Boxes in memory, as an IMAP session wants them: the shape of ``Box`` with nothing behind it."""

import asyncio
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from gateway.flows.outcomes import Holder
from gateway.points.boxes import (
    Addition,
    Age,
    And,
    BoxRefused,
    Changed,
    Changes,
    Copied,
    Day,
    Details,
    FlagChange,
    Folder,
    Found,
    HasFlag,
    HeaderHas,
    Known,
    Not,
    Opened,
    Or,
    Query,
    Quota,
    Row,
    Section,
    SizeIs,
    SpecialUse,
    Status,
    Stored,
    TextHas,
    TextIn,
    Uids,
    Want,
    Why,
)
from receipts.choice import USUAL, FieldChooser
from receipts.octets import Octets, Source

VALIDITY = 1700000000
NOON = datetime(2026, 3, 5, 12, 0, tzinfo=UTC)


@dataclass
class Kept:
    uid: int
    modseq: int
    folder: int
    message: Octets
    flags: frozenset[str] = frozenset()
    at: datetime = NOON

    @property
    def row(self) -> Row:
        return Row(self.uid, self.modseq, self.flags)

    @property
    def data(self) -> bytes:
        return self.message.read()

    @property
    def header(self) -> bytes:
        head, empty, _ = self.message.read(0, 100_000).partition(b"\r\n\r\n")
        return head + empty


@dataclass
class Room:
    """A folder."""

    id: int
    name: str
    use: SpecialUse | None = None
    recent_from: int = 1


@dataclass
class Bytes:
    """A sink that keeps what it gets."""

    data: bytearray = field(default_factory=bytearray)
    portions: list[int] = field(default_factory=list)
    aborted: bool = False

    async def write(self, data: bytes, /) -> None:
        self.portions.append(len(data))
        self.data += data

    async def finish(self) -> Source:
        return _Held(bytes(self.data))

    async def abort(self) -> None:
        self.aborted = True


@dataclass(frozen=True)
class _Held:
    data: bytes

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.data).digest()

    @property
    def size(self) -> int:
        return len(self.data)

    def pieces(self, start: int, stop: int):  # type: ignore[no-untyped-def]
        for at in range(start, stop, 65536):
            yield self.data[at : min(at + 65536, stop)]


class MemoryBox:
    """One box, the same for all its sessions; ``broken`` holds what its storage raises."""

    def __init__(self) -> None:
        self.rooms: dict[int, Room] = {}
        self.subscriptions: set[str] = set()
        self.kept: dict[int, Kept] = {}
        self.gone: list[tuple[int, int, int]] = []  # modseq, folder, UID
        self.forgotten = 0  # removals up to this modseq are no longer known
        self.last_uid = 0
        self.count = 1
        self.broken: Exception | None = None
        self.may_write = True
        self.limit: int | None = None
        self.sinks: list[Bytes] = []
        self.closed = 0
        self.at_once: int | None = None  # messages of which it gives the details at once
        self.sections: dict[int, Sequence[Section]] = {}
        self._news = asyncio.Event()
        for name, use in (("INBOX", None), ("Sent", SpecialUse.SENT), ("Trash", SpecialUse.TRASH)):
            self._make(name, use)

    # What tests do behind the sessions' backs.

    def add(self, message: bytes | Octets, name: str = "INBOX", flags: Collection[str] = ()) -> int:
        octets = Octets.of(message) if isinstance(message, bytes) else message
        self.last_uid += 1
        self.kept[self.last_uid] = Kept(self.last_uid, self._tick(), self._room(name).id, octets, frozenset(flags))
        return self.last_uid

    def flag(self, uid: int, *flags: str) -> None:
        self.kept[uid].flags = frozenset(flags)
        self.kept[uid].modseq = self._tick()

    def remove(self, *uids: int) -> None:
        tick = self._tick()
        for uid in uids:
            self.gone.append((tick, self.kept.pop(uid).folder, uid))

    # What sessions do.

    async def folders(self) -> Sequence[Folder]:
        self._check()
        there = [
            Folder(name=room.name, special_use=room.use, subscribed=room.name in self.subscriptions)
            for room in self.rooms.values()
        ]
        names = {room.name for room in self.rooms.values()}
        ghosts = [Folder(name=name, subscribed=True, exists=False) for name in self.subscriptions - names]
        return [*there, *ghosts]

    async def create(self, names: Sequence[str], use: SpecialUse | None, /) -> None:
        self._check()
        known = {room.name for room in self.rooms.values()}
        if names[-1] in known:
            raise BoxRefused(Why.EXISTS)
        for name in names:
            if name not in known:
                self._make(name, use if name == names[-1] else None)

    async def delete(self, name: str, /) -> None:
        room = self._room(name)
        self.remove(*[kept.uid for kept in self._in(room.id)])
        del self.rooms[room.id]

    async def rename(self, old: str, new: str, above: Sequence[str], /) -> None:
        room = self._room(old)
        if any(each.name == new for each in self.rooms.values()):
            raise BoxRefused(Why.EXISTS)
        if old == "INBOX":
            self._make(new, None)
            await self.move(room.id, [kept.uid for kept in self._in(room.id)], new)
            return
        for each in self.rooms.values():
            if each.name == old or each.name.startswith(old + "/"):
                each.name = new + each.name[len(old) :]
        for name in above:
            if not any(each.name == name for each in self.rooms.values()):
                self._make(name, None)

    async def subscribe(self, name: str, on: bool, /) -> None:
        self._check()
        (self.subscriptions.add if on else self.subscriptions.discard)(name)

    async def status(self, names: Sequence[str], /) -> Mapping[str, Status]:
        self._check()
        return {room.name: self._status(room) for room in self.rooms.values() if room.name in names}

    async def quota(self) -> Quota:
        return Quota(sum(kept.message.size for kept in self.kept.values()), self.limit)

    async def open(self, name: str, /, *, read_only: bool) -> Opened:
        room = self._room(name)
        inside = self._in(room.id)
        recent = room.recent_from
        if not read_only:
            room.recent_from = self.last_uid + 1
        return Opened(
            folder_id=room.id,
            name=room.name,
            uid_validity=VALIDITY,
            uid_next=self.last_uid + 1,
            modseq=self.count,
            uids=[kept.uid for kept in inside],
            first_unseen=next((kept.uid for kept in inside if "\\Seen" not in kept.flags), None),
            recent_from=recent,
            flags=sorted({flag for kept in self.kept.values() for flag in kept.flags if flag[0] != "\\"}),
            may_write=self.may_write,
        )

    async def take_recent(self, folder_id: int, /) -> int:
        room = self.rooms.get(folder_id)
        if room is None:
            return self.last_uid + 1
        recent, room.recent_from = room.recent_from, self.last_uid + 1
        return recent

    async def changes(self, folder_id: int, since: int, /) -> Changes:
        self._check()
        rows = [kept.row for kept in self._in(folder_id) if kept.modseq > since]
        vanished = sorted(uid for modseq, folder, uid in self.gone if modseq > since and folder == folder_id)
        known = since >= self.forgotten
        return Changes(modseq=self.count, rows=rows, vanished=vanished if known else None)

    async def details(self, folder_id: int, uids: Sequence[int], want: Want, /) -> Details:
        self._check()
        wanted = frozenset(uids)
        here = [kept for kept in self._in(folder_id) if kept.uid in wanted][: self.at_once]
        columns = {"uids": [kept.uid for kept in here], "modseqs": [kept.modseq for kept in here]}
        made = {name: [make(self, kept) for kept in here] for each in want for name, make in [_COLUMNS[each]]}
        return Details(**columns, flags=[kept.flags for kept in here], **made)

    async def bodies(self, folder_id: int, uids: Sequence[int], /) -> Mapping[int, Octets]:
        self._check()
        return {kept.uid: kept.message for kept in self._in(folder_id) if kept.uid in set(uids)}

    async def store(
        self,
        folder_id: int,
        uids: Sequence[int],
        change: FlagChange,
        flags: Collection[str],
        /,
        *,
        unchanged_since: int | None = None,
        known: Known | None = None,
    ) -> Stored:
        self._check()
        here = [kept for kept in self._in(folder_id) if kept.uid in set(uids)]
        late = [kept for kept in here if unchanged_since is not None and kept.modseq > unchanged_since]
        stored = [kept for kept in here if kept not in late]
        tick = self._tick()
        for kept in stored:
            after = _after(kept.flags, change, frozenset(flags))
            if after != kept.flags:
                kept.flags, kept.modseq = after, tick
        rows = [kept.row for kept in stored]
        there = Details(
            uids=[row.uid for row in rows], modseqs=[row.modseq for row in rows], flags=[row.flags for row in rows]
        )
        if known is not None and known.modseq == tick - 1:
            assert [row.uid for row in known.messages.rows()] == [kept.uid for kept in here]
        return Stored(there, [kept.uid for kept in late], tick)

    async def copy(self, folder_id: int, uids: Sequence[int], target: str, /) -> Copied:
        room = self._room(target)
        pairs = []
        for kept in self._in(folder_id):
            if kept.uid in set(uids):
                self.last_uid += 1
                self.kept[self.last_uid] = replace(kept, uid=self.last_uid, modseq=self._tick(), folder=room.id)
                pairs.append((kept.uid, self.last_uid))
        return Copied(VALIDITY, pairs)

    async def move(self, folder_id: int, uids: Sequence[int], target: str, /) -> Copied:
        copied = await self.copy(folder_id, uids, target)
        self.remove(*[old for old, _ in copied.pairs])
        return copied

    async def expunge(self, folder_id: int, uids: Sequence[int] | None, /) -> Sequence[int]:
        self._check()
        gone = [
            kept.uid
            for kept in self._in(folder_id)
            if "\\Deleted" in kept.flags and (uids is None or kept.uid in set(uids))
        ]
        if gone:
            self.remove(*gone)
        return gone

    async def search(self, folder_id: int, query: Query, /) -> Found:
        self._check()
        found = [kept for kept in self._in(folder_id) if _fits(kept, query)]
        return Found([kept.uid for kept in found], max((kept.modseq for kept in found), default=0))

    def open_sink(self) -> Bytes:
        self.sinks.append(Bytes())
        return self.sinks[-1]

    async def append(self, name: str, added: Sequence[Addition], /) -> tuple[int, Sequence[int]]:
        self._check()
        uids = []
        for each in added:
            uids.append(self.add(each.message, name, each.flags))
            self.kept[uids[-1]].at = each.at or NOON
        return VALIDITY, uids

    @property
    def modseq(self) -> int:
        return self.count

    async def changed(self, since: int, /) -> int:
        while self.count <= since:
            self._news.clear()
            await self._news.wait()
        return self.count

    async def close(self) -> None:
        self.closed += 1

    def _make(self, name: str, use: SpecialUse | None) -> None:
        number = max(self.rooms, default=0) + 1
        self.rooms[number] = Room(number, name, use, self.last_uid + 1)

    def _tick(self) -> int:
        self.count += 1
        self._news.set()
        return self.count

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken

    def _room(self, name: str) -> Room:
        self._check()
        for room in self.rooms.values():
            if room.name == name:
                return room
        raise BoxRefused(Why.NO_FOLDER)

    def _in(self, folder_id: int) -> list[Kept]:
        return [kept for uid, kept in sorted(self.kept.items()) if kept.folder == folder_id]

    def _status(self, room: Room) -> Status:
        inside = self._in(room.id)
        return Status(
            messages=len(inside),
            unseen=sum("\\Seen" not in kept.flags for kept in inside),
            deleted=sum("\\Deleted" in kept.flags for kept in inside),
            size=sum(kept.message.size for kept in inside),
            recent=sum(kept.uid >= room.recent_from for kept in inside),
            uid_validity=VALIDITY,
            uid_next=self.last_uid + 1,
            modseq=self.count,
        )

    def _sections(self, kept: Kept) -> Sequence[Section]:
        """The parts of a plain message, unless a test has put others into ``sections``."""
        body, size = len(kept.header), kept.message.size
        plain = (Section((), 0, body, size, -1), Section((1,), 0, body, size, -1))
        return self.sections.get(kept.uid, plain)


_COLUMNS: Mapping[Want, tuple[str, Callable[[MemoryBox, Kept], Any]]] = {
    Want.DATE: ("dates", lambda _, kept: kept.at),
    Want.SIZE: ("sizes", lambda _, kept: kept.message.size),
    Want.ENVELOPE: ("envelopes", lambda _, kept: b"(envelope)"),
    Want.BODY: ("bodies", lambda _, kept: b"(body)"),
    Want.STRUCTURE: ("structures", lambda _, kept: b"(structure)"),
    Want.FIELDS: ("fields", lambda _, kept: FieldChooser(USUAL, others=False)(kept.header)),
    Want.HEADER: ("headers", lambda _, kept: kept.header),
    Want.SECTIONS: ("sections", lambda box, kept: box._sections(kept)),
}


class Boxes:
    """The boxes of all holders, by address."""

    def __init__(self, *addresses: str) -> None:
        self.boxes = {address: MemoryBox() for address in addresses}

    async def open(self, holder: Holder) -> MemoryBox:
        box = self.boxes[holder.address]
        box._check()
        return box


def _after(before: frozenset[str], change: FlagChange, flags: frozenset[str]) -> frozenset[str]:
    if change is FlagChange.ADD:
        return before | flags
    return before - flags if change is FlagChange.REMOVE else flags


def _fits(kept: Kept, query: Query) -> bool:
    match query:
        case And(terms):
            return all(_fits(kept, term) for term in terms)
        case Or(one, other):
            return _fits(kept, one) or _fits(kept, other)
        case Not(term):
            return not _fits(kept, term)
        case Uids(ranges):
            return any(low <= kept.uid <= high for low, high in ranges)
        case HasFlag(flag):
            return flag.lower() in {each.lower() for each in kept.flags}
        case SizeIs(larger, size):
            return kept.message.size > size if larger else kept.message.size < size
        case Changed(modseq):
            return kept.modseq >= modseq
        case TextHas(where, text):
            data = kept.data if where in (TextIn.TEXT, TextIn.BODY) else kept.header
            return text.lower() in data.decode("utf-8", "replace").lower()
        case HeaderHas(name, text):
            head = kept.header.decode("utf-8", "replace").lower()
            return f"{name.lower()}:" in head and text.lower() in head
        case Day() | Age():
            return True
