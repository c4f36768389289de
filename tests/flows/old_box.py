"""A box at another provider, in memory: it does what its holder does there, and lies when it is told to."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

from gateway.drivers.imap_client import ImapRefused, RemoteFolder, RemoteMailbox, RemoteMessage, RemoteState

__all__ = ["OldBox"]

AT = datetime(2020, 5, 4, 10, tzinfo=UTC)


@dataclass
class _Message:
    octets: bytes
    flags: set[str]
    modseq: int


@dataclass
class OldBox:
    """``folders`` by name; those of a special use bear its name."""

    counts: bool = True  # it has CONDSTORE
    folders: dict[str, dict[int, _Message]] = field(default_factory=lambda: {"INBOX": {}, "Pratiche": {}, "Trash": {}})
    validity: dict[str, int] = field(default_factory=dict)
    modseq: int = 1
    next_uid: int = 1
    asked: list[str] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)  # folders, and "SEARCH MODSEQ"
    unread: set[int] = field(default_factory=set)  # UIDs that are listed and never told of
    lies: Callable[[dict[int, tuple[str, ...]]], dict[int, tuple[str, ...]]] = lambda told: told
    on_look: Callable[[str], None] = lambda _folder: None  # as a folder is opened
    fails_at: int | None = None  # reading this UID, once

    @property
    def remote(self) -> RemoteMailbox:
        return cast(RemoteMailbox, _Session(self))

    def arrives(self, octets: bytes, *flags: str, folder: str = "INBOX") -> int:
        self.modseq, uid = self.modseq + 1, self.next_uid
        self.next_uid += 1
        self.folders.setdefault(folder, {})[uid] = _Message(octets, set(flags), self.modseq)
        return uid

    def flag(self, uid: int, *, give: Iterable[str] = (), take: Iterable[str] = (), folder: str = "INBOX") -> None:
        message = self.folders[folder][uid]
        self.modseq = message.modseq = self.modseq + 1
        message.flags = (message.flags | set(give)) - set(take)

    def move(self, uid: int, to: str, folder: str = "INBOX") -> int:
        message = self.folders[folder].pop(uid)
        return self.arrives(message.octets, *message.flags, folder=to)

    def new_life(self, folder: str) -> None:
        """All get new UIDs, under another UIDVALIDITY."""
        self.validity[folder] = self.validity.get(folder, 1) + 1
        old, self.folders[folder] = self.folders[folder], {}
        for message in old.values():
            self.arrives(message.octets, *message.flags, folder=folder)


@dataclass
class _Session:
    box: OldBox
    opened: str = ""

    async def folders(self) -> list[RemoteFolder]:
        special = {"Trash": frozenset({"\\trash"})}
        return [
            RemoteFolder(name=name, wire_name=name, separator="/", attributes=special.get(name, frozenset()))
            for name in self.box.folders
        ]

    async def examine(self, folder: RemoteFolder) -> RemoteState:
        self.box.on_look(folder.name)
        if folder.name in self.box.refuses:
            raise ImapRefused("NO [NOPERM] not yours")
        self.opened = folder.name
        modseq = self.box.modseq if self.box.counts else None
        return RemoteState(uid_validity=self.box.validity.get(folder.name, 1), modseq=modseq)

    async def uids(self) -> list[int]:
        return sorted(self._here)

    async def changed_since(self, modseq: int) -> list[int]:
        if "SEARCH MODSEQ" in self.box.refuses:
            raise ImapRefused("BAD what?")
        return sorted(uid for uid, message in self._here.items() if message.modseq > modseq)

    async def flags(self, uids: Sequence[int]) -> AsyncIterator[dict[int, tuple[str, ...]]]:
        self.box.asked += [f"{self.opened} {uid}" for uid in uids]
        yield self.box.lies({uid: tuple(sorted(self._here[uid].flags)) for uid in uids if uid in self._here})

    async def messages(self, uids: Sequence[int]) -> AsyncIterator[RemoteMessage]:
        for uid in uids:
            if uid not in self.box.unread:
                message = self._here[uid]
                yield RemoteMessage(uid=uid, size=len(message.octets), at=AT, flags=tuple(sorted(message.flags)))

    async def read(self, uid: int) -> AsyncIterator[bytes]:
        if self.box.fails_at == uid:
            self.box.fails_at = None
            raise ConnectionResetError
        yield self._here[uid].octets

    @property
    def _here(self) -> dict[int, _Message]:
        return self.box.folders[self.opened]
