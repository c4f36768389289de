"""Another organisation's IMAP server, as a client sees it: folders, messages in slices, bytes in pieces; APPEND.

aioimaplib carries the protocol, over TLS alone. It keeps each answer whole and takes its lines one in the other, so
what is asked for is cut small: a hundred messages of metadata, a megabyte of a message at a time.
"""

import asyncio
import contextlib
import logging
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import aioimaplib

from gateway.points.folder_names import from_utf7, to_utf7
from gateway.points.marks import is_flag
from receipts.errors import GatewayError, TemporaryError

__all__ = [
    "ImapAccount",
    "ImapRefused",
    "ImapUnavailable",
    "RemoteFolder",
    "RemoteMailbox",
    "RemoteMessage",
    "RemoteState",
    "signed_in",
]

logging.getLogger("aioimaplib").setLevel(logging.CRITICAL)  # it writes what was sent

_PATIENCE_LEAVING: Final = 0.1
_PATIENCE_APPENDING: Final = 5  # times what any other answer may take
_SLICE: Final = 100  # messages asked for at once
_PIECE: Final = 1_000_000  # bytes of a message asked for at once
_LARGEST: Final = 1_000_000_000  # bytes of a message
_LONGEST_ANSWER: Final = 12_000_000  # bytes: a million UIDs fit in
_MOST_LINES: Final = 100  # that the library gets at once, as it takes them one in the other
_MAX_FOLDERS: Final = 10_000
_MOST_FLAGS: Final = 100  # of a message
_HIGHEST_UID: Final = (1 << 32) - 1
_HIGHEST_MODSEQ: Final = (1 << 63) - 1  # RFC 7162 section 7
_FLAGS: Final = re.compile(rb"FLAGS \(([^)]*)\)")
_UID: Final = re.compile(rb"\bUID (\d{1,10})\b")
_SIZE: Final = re.compile(rb"RFC822\.SIZE (\d{1,18})\b")
_DATE: Final = re.compile(rb'INTERNALDATE "([^"]{20,40})"')
_LISTED: Final = re.compile(rb'\(([^)]*)\) (?:"((?:\\.|[^"\\]))"|NIL) (.*)', re.DOTALL)
_VALIDITY: Final = re.compile(rb"\[UIDVALIDITY (\d{1,10})\]", re.IGNORECASE)
_MODSEQ: Final = re.compile(rb"\[HIGHESTMODSEQ (\d{1,19})\]", re.IGNORECASE)
_APPENDED: Final = re.compile(rb"\[APPENDUID (\d{1,10}) (\d{1,10})\]", re.IGNORECASE)
_NO_DATE: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_YEAR: Final = 9999
_NO_SELECT: Final = frozenset({"\\noselect", "\\nonexistent"})


class ImapUnavailable(TemporaryError):
    """The server does not answer, or not as IMAP servers do; it may be tried again."""


class ImapRefused(GatewayError):
    """The server says no; the text holds its words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapAccount:
    """Where and as whom to sign in."""

    host: str
    port: int
    user: str
    password: str
    context: ssl.SSLContext
    timeout: float = 60.0  # seconds for one answer

    def __repr__(self) -> str:
        return f"ImapAccount({self.user!r} at {self.host}:{self.port})"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFolder:
    """A folder of the other server."""

    name: str  # with the separator of that server
    wire_name: str  # as the server writes it
    separator: str | None
    attributes: frozenset[str]  # lower case, "\\sent" and so on


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteState:
    """What the server says of a folder as it is opened."""

    uid_validity: int
    modseq: int | None  # the highest of a message in it; None: it counts none (CONDSTORE, RFC 7162)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteMessage:
    """What the server says of a message."""

    uid: int
    size: int
    at: datetime  # internal date, in its zone
    flags: tuple[str, ...]  # without \\Recent, and what is no flag


@asynccontextmanager
async def signed_in(account: ImapAccount) -> AsyncIterator["RemoteMailbox"]:
    """A session with the server, signed in.

    Raises:
        ImapUnavailable: no connection, no TLS with a certificate that holds, or no answer.
        ImapRefused: the user name or the password is wrong.
    """
    client = aioimaplib.IMAP4_SSL(account.host, account.port, timeout=account.timeout, ssl_context=account.context)
    remote = RemoteMailbox(client, account.timeout)
    try:
        await remote.begin(account.user, account.password)
        yield remote
    finally:
        await remote.end()


class RemoteMailbox:
    """One session. Methods raise ImapUnavailable and ImapRefused."""

    def __init__(self, client: aioimaplib.IMAP4_SSL, timeout: float) -> None:
        self._client = client
        self._timeout = timeout
        self._waits: asyncio.Future[Any] | None = None  # for the answer that comes in
        self._came = 0  # bytes of that answer
        self._held: list[bytes] = []  # the beginning of a line
        self._feed = client.protocol.data_received
        client.protocol.data_received = self._take

    async def begin(self, user: str, password: str) -> None:
        await self._guarded(self._client.wait_hello_from_server)
        await self._asked(lambda: self._client.login(user, password))
        await self._guarded(self._client.protocol.capability)

    async def end(self) -> None:
        """Say goodbye if the server still listens, and close."""
        transport = self._client.protocol.transport
        if transport is None or not transport.is_closing():
            with contextlib.suppress(ImapUnavailable):  # it was the last word anyway
                await self._guarded(self._client.logout, patience=_PATIENCE_LEAVING)
            transport = self._client.protocol.transport
        if transport is not None:
            transport.abort()

    def can(self, capability: str) -> bool:
        return bool(self._client.has_capability(capability))

    async def folders(self) -> list[RemoteFolder]:
        """All folders that hold messages. Those with names that no server should have are left out."""
        lines = await self._asked(lambda: self._client.list('""', "*"))
        found = (_folder(line, lines[number + 1 : number + 2]) for number, line in enumerate(lines[: 2 * _MAX_FOLDERS]))
        return [folder for folder in found if folder is not None and not folder.attributes & _NO_SELECT]

    async def examine(self, folder: RemoteFolder) -> RemoteState:
        """Open a folder to read it alone."""
        return await self._examine(folder.wire_name)

    async def _examine(self, wire_name: str) -> RemoteState:
        counts = self.can("CONDSTORE")
        asked = _quoted(wire_name) + (" (CONDSTORE)" if counts else "")
        lines = await self._asked(lambda: self._client.examine(asked))
        self._client.protocol.state = aioimaplib.SELECTED  # which the library forgets after EXAMINE
        validity, modseq = _named(_VALIDITY, lines), _named(_MODSEQ, lines)
        if validity is None:
            raise ImapUnavailable("the server names no UIDVALIDITY")
        counted = counts and modseq is not None and 0 < modseq <= _HIGHEST_MODSEQ
        return RemoteState(uid_validity=validity, modseq=modseq if counted else None)

    async def uids(self) -> list[int]:
        """UIDs of all messages of the open folder, ascending."""
        return await self._found("ALL")

    async def changed_since(self, modseq: int) -> list[int]:
        """UIDs of what came or changed in the open folder after ``modseq`` (RFC 7162 section 3.1.5), ascending."""
        return await self._found("MODSEQ", str(modseq + 1))

    async def flags(self, uids: Sequence[int]) -> AsyncIterator[dict[int, tuple[str, ...]]]:
        """The flags of those of these messages that are in the open folder; in slices."""
        for first in range(0, len(uids), _SLICE):
            wanted = uids[first : first + _SLICE]
            lines = await self._fetched(wanted, "(UID FLAGS)")
            told = dict(found for found in map(_flags, lines) if found is not None)
            yield {uid: told[uid] for uid in wanted if uid in told}

    async def messages(self, uids: Sequence[int]) -> AsyncIterator[RemoteMessage]:
        """What the server says of these; in slices, so that a folder of any size is walked in little memory."""
        for first in range(0, len(uids), _SLICE):
            wanted = uids[first : first + _SLICE]
            lines = await self._fetched(wanted, "(UID FLAGS INTERNALDATE RFC822.SIZE)")
            known = {message.uid: message for message in map(_message, lines) if message is not None}
            for uid in wanted:
                if uid in known:
                    yield known[uid]

    async def read(self, uid: int) -> AsyncIterator[bytes]:
        """The bytes of a message of the open folder. What the server said of its size does not count: some guess it.

        Raises:
            ImapRefused: it is gone, or larger than any message should be.
        """
        done = 0
        while True:
            asked = f"(BODY.PEEK[]<{done}.{_PIECE}>)"
            lines = await self._asked(lambda asked=asked: self._client.uid("FETCH", str(uid), asked))  # type: ignore[misc]
            piece = next((bytes(line) for line in lines if isinstance(line, bytearray)), b"")
            done += len(piece)
            if not done:
                raise ImapRefused("the message is gone")
            if done > _LARGEST:
                raise ImapRefused(f"the message is larger than {_LARGEST} bytes")
            yield piece
            if len(piece) < _PIECE:
                return

    async def append(self, folder: str, message: bytes, flags: Sequence[str], at: datetime) -> tuple[int, int] | None:
        """Add a message; UIDVALIDITY and UID if the server tells them (UIDPLUS)."""
        name = _quoted(to_utf7(folder))
        lines = await self._asked(
            lambda: self._client.append(message, name, " ".join(flags) or None, at), patience=_PATIENCE_APPENDING
        )
        for line in lines:
            if told := _APPENDED.search(bytes(line)):
                return int(told[1]), int(told[2])
        return None

    async def create(self, folder: str) -> None:
        """Make a folder, and those above it where the server does."""
        await self._asked(lambda: self._client.create(_quoted(to_utf7(folder))))

    async def search_header(self, folder: str, name: str, value: str) -> list[int]:
        """UIDs of messages of a folder with a header field that contains ``value``, in ASCII; it is open then."""
        return (await self.look_for(folder, "HEADER", name, _quoted(value)))[1]

    async def look_for(self, folder: str, *criteria: str) -> tuple[int, list[int]]:
        """UIDVALIDITY of a folder, and the UIDs of its messages that meet the criteria; it is open then, to be read."""
        state = await self._examine(to_utf7(folder))
        return state.uid_validity, await self._found(*criteria)

    async def _fetched(self, uids: Sequence[int], items: str) -> list[Any]:
        asked = ",".join(map(str, uids))
        return await self._asked(lambda: self._client.uid("FETCH", asked, items))

    async def _found(self, *criteria: str) -> list[int]:
        lines = await self._asked(lambda: self._client.uid_search(*criteria, charset=None))
        return await asyncio.to_thread(_uids, lines[:-1])  # there may be a million

    async def _asked(self, ask: Callable[[], Awaitable[Any]], *, patience: float = 1) -> list[Any]:
        response = await self._guarded(ask, patience=patience)
        if response.result != "OK":
            last = bytes(response.lines[-1]) if response.lines else b""
            raise ImapRefused(_printable(last) or "the server refuses")
        return list(response.lines)

    async def _guarded(self, ask: Callable[[], Awaitable[Any]], *, patience: float = 1) -> Any:
        self._came = 0
        asked = self._waits = asyncio.ensure_future(ask())
        try:
            await asyncio.wait({asked}, timeout=self._timeout * patience)
            if self._came > _LONGEST_ANSWER:
                raise EOFError("the answer is longer than any should be")
            if not asked.done():
                raise TimeoutError
            return asked.result()
        except (OSError, TimeoutError, ssl.SSLError, EOFError) as error:
            raise ImapUnavailable(str(error) or "no answer in time") from error
        except (aioimaplib.AioImapException, RecursionError, ValueError, IndexError, AttributeError) as error:
            raise ImapUnavailable(f"the server talks strangely: {type(error).__name__}") from error
        finally:
            if not asked.done():
                self._let_go(asked)

    def _take(self, data: bytes) -> None:
        """What the server sends, on its way to the library."""
        self._came += len(data)
        if self._came > _LONGEST_ANSWER:
            self._client.protocol.transport.abort()
            if self._waits is not None:
                self._waits.cancel()
            return
        self._held.append(data)
        unfinished = self._client.protocol.current_command
        if b"\n" in data or (unfinished is not None and unfinished.wait_literal_data()):
            whole, self._held = b"".join(self._held), []  # the library would join a long line anew with each part of it
            for piece in _pieces(whole):
                self._feed(piece)

    def _let_go(self, asked: asyncio.Future[Any]) -> None:
        """End what will not end by itself: a task of the library's own may hold the lock that ``asked`` waits for."""
        for task in (*self._client.protocol.tasks, asked):
            task.cancel()


def _folder(line: bytes, following: Sequence[Any]) -> RemoteFolder | None:
    match = _LISTED.match(bytes(line))
    if match is None:
        return None
    attributes, separator, name = match.groups()
    if name.startswith(b"{") and following:  # the name comes as a literal
        name = bytes(following[0])
    elif name.startswith(b'"'):
        name = re.sub(rb"\\(.)", rb"\1", name[1:-1])
    try:
        wire_name = name.decode("ascii")
        readable = from_utf7(wire_name)
    except ValueError:
        return None
    return RemoteFolder(
        name=readable,
        wire_name=wire_name,
        separator=None if separator is None else separator.decode("ascii", "replace")[-1],
        attributes=frozenset(attributes.decode("ascii", "replace").lower().split()),
    )


def _uids(lines: Sequence[Any]) -> list[int]:
    numbers = b" ".join(bytes(line) for line in lines).split()
    found = {int(number) for number in numbers if number.isdigit() and len(number) <= 10}
    return sorted(uid for uid in found if 0 < uid <= _HIGHEST_UID)


def _named(number: re.Pattern[bytes], lines: Sequence[Any]) -> int | None:
    found = next((match for match in (number.search(bytes(line)) for line in lines) if match), None)
    return None if found is None else int(found[1])


def _pieces(data: bytes) -> Iterator[bytes]:
    """The same bytes, no more than some lines at a time."""
    if data.count(b"\n") <= _MOST_LINES:
        yield data
        return
    lines = data.splitlines(keepends=True)
    for first in range(0, len(lines), _MOST_LINES):
        yield b"".join(lines[first : first + _MOST_LINES])


def _flags(line: bytes) -> tuple[int, tuple[str, ...]] | None:
    """UID and flags, if the line tells both."""
    text = bytes(line)
    uid, flags = _UID.search(text), _FLAGS.search(text)
    return None if uid is None or flags is None else (int(uid[1]), _flag_names(flags[1]))


def _flag_names(text: bytes) -> tuple[str, ...]:
    named = text.decode("ascii", "replace").split()[:_MOST_FLAGS]
    return tuple(flag for flag in named if is_flag(flag) and flag.lower() != "\\recent")


def _message(line: bytes) -> RemoteMessage | None:
    text = bytes(line)
    uid, size, date, flags = (pattern.search(text) for pattern in (_UID, _SIZE, _DATE, _FLAGS))
    if uid is None or size is None or date is None:
        return None
    kept = _flag_names(flags[1]) if flags else ()
    return RemoteMessage(uid=int(uid[1]), size=int(size[1]), at=_instant(date[1]), flags=kept)


def _instant(text: bytes) -> datetime:
    """Of an internal date; the first one of Unix if there is no such date, or none that every zone has."""
    try:
        at = datetime.strptime(text.decode("ascii").strip(), "%d-%b-%Y %H:%M:%S %z")
    except ValueError:
        return _NO_DATE
    return at if 1 < at.year < _LAST_YEAR else _NO_DATE


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _printable(line: bytes) -> str:
    return "".join(character for character in line.decode("ascii", "replace")[:200] if character.isprintable())
