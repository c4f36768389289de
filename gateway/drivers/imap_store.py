"""A mail server that keeps boxes of ours: a message is looked for there, and put there, byte for byte."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.drivers.imap_client import ImapAccount, ImapRefused, ImapUnavailable, RemoteMailbox, signed_in
from gateway.drivers.keyfiles import KeyRefused, refuse_readable_by_others
from gateway.points.handing_over import Places
from receipts.identifiers import address_key, domain_of
from receipts.octets import Octets
from receipts.scanner import scan_header

__all__ = ["Kept", "Passwords", "Store", "StoreSession", "from_many", "from_one_file"]

LARGE: Final = 1_000_000
"""Bytes of a message of which only one at a time is in memory, as the library wants them whole."""
MOST_ALIKE: Final = 100
"""Messages with the same Message-ID that are compared."""
LONGEST_ID: Final = 900
LONGEST_FILE: Final = 10_000_000

Passwords = Callable[[str], str]
"""The password of a box, by its address. Raises KeyRefused if there is none."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Where the server keeps a message."""

    folder: str
    uid_validity: int | None  # of both: None if it does not say (no UIDPLUS)
    uid: int | None

    def __str__(self) -> str:
        if self.uid is None:
            return self.folder
        return f"{self.folder};UIDVALIDITY={self.uid_validity}/;UID={self.uid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """One server.

    Args:
        user: with {address}, {local} and {domain}.
        answer_seconds: how long one answer may take.
    """

    name: str
    host: str
    port: int
    user: str
    passwords: Passwords
    context: ssl.SSLContext
    places: Places
    connections: int
    patience: timedelta
    answer_seconds: float
    one_large: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    def url(self, kept: Kept) -> str:
        """A message there, nearly as RFC 5092 writes it."""
        return f"imaps://{self.host}:{self.port}/{kept}"

    @asynccontextmanager
    async def entered(self, address: str) -> AsyncIterator["StoreSession"]:
        """A session with the box of an address.

        Raises:
            ImapUnavailable: no connection, no certificate that holds, no answer; or no password for that box.
            ImapRefused: user name or password is wrong.
        """
        try:
            password = await asyncio.to_thread(self.passwords, address)
        except KeyRefused as error:
            raise ImapUnavailable(str(error)) from error
        local, _, domain = address.rpartition("@")
        user = self.user.format(address=address, local=local, domain=domain)
        account = ImapAccount(
            host=self.host,
            port=self.port,
            user=user,
            password=password,
            context=self.context,
            timeout=self.answer_seconds,
        )
        async with signed_in(account) as remote:
            yield StoreSession(remote, self.one_large)


class StoreSession:
    """A box of the server, open. Methods raise ImapUnavailable and ImapRefused."""

    def __init__(self, remote: RemoteMailbox, one_large: asyncio.Semaphore) -> None:
        self._remote = remote
        self._one_large = one_large

    async def find(self, folder: str, message: Octets) -> Kept | None:
        """Where this very message is in a folder; None: it is not. A folder that is missing is made."""
        try:
            validity, uids = await self._remote.look_for(folder, *_criteria(message))
        except ImapRefused:
            if folder.upper() == "INBOX":
                raise
            await self._remote.create(folder)
            return None
        digest = await asyncio.to_thread(message.sha256) if uids else b""
        for uid in reversed(uids[-MOST_ALIKE:]):
            if await self._digest(uid, message.size) == digest:
                return Kept(folder, validity, uid)
        return None

    async def put(self, folder: str, message: Octets, flags: Sequence[str], at: datetime) -> Kept:
        """Add it; returns with the server's OK."""
        if message.size <= LARGE:
            told = await self._remote.append(folder, message.read(), flags, at)
        else:
            async with self._one_large:
                whole = await asyncio.to_thread(message.read)
                told = await self._remote.append(folder, whole, flags, at)
        return Kept(folder, *(told or (None, None)))

    async def _digest(self, uid: int, most: int) -> bytes:
        """Of a message of the open folder, if it is not longer than that or gone."""
        digest, size = hashlib.sha256(), 0
        try:
            async for piece in self._remote.read(uid):
                size += len(piece)
                if size > most:
                    return b""
                digest.update(piece)
        except ImapRefused:
            return b""
        return digest.digest()


def from_one_file(file: Path) -> Passwords:
    """The same for every box: the first line of a file that only its owner can read."""

    def password(_address: str) -> str:
        found = _lines(file)[:1]
        if not found or not found[0]:
            raise KeyRefused(f"{file}: its first line is empty")
        return found[0]

    return password


def from_many(file: Path) -> Passwords:
    """Those of a file with a line ``address:password`` for each box, that only its owner can read."""

    def password(address: str) -> str:
        key = address_key(address)
        for line in _lines(file):
            name, colon, found = line.partition(":")
            if colon and found and domain_of(name) and address_key(name) == key:
                return found
        raise KeyRefused(f"{file}: holds no password for {address}")

    return password


def _lines(file: Path) -> list[str]:
    refuse_readable_by_others(file)
    try:
        with file.open("rb") as opened:
            text = opened.read(LONGEST_FILE).decode("utf-8")
    except OSError as error:
        raise KeyRefused(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise KeyRefused(f"{file}: is not UTF-8") from None
    return text.splitlines()


def _criteria(message: Octets) -> tuple[str, ...]:
    """By which the server finds a message: its Message-ID, or its size if it has none that can be asked for."""
    found = scan_header(message).first("Message-ID")
    value = "" if found is None else found.text.strip()
    if value and len(value) <= LONGEST_ID and value.isascii() and value.isprintable() and not set(value) & set('"\\'):
        return "HEADER", "Message-ID", f'"{value}"'
    return "LARGER", str(message.size - 1), "SMALLER", str(message.size + 1)
