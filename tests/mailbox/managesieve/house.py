"""A ManageSieve server with scripts in memory, as tests want it."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.flows.outcomes import Holder, Peer, SignInFailure
from gateway.flows.scripts import Refusal, ScriptsRefused
from gateway.flows.sessions import LiveSessions
from gateway.mailbox.managesieve.limits import SieveLimits
from gateway.mailbox.managesieve.server import SieveServer
from gateway.points.sieve.check import understood
from tests.mailbox.house import PASSWORD, Client
from tests.throwaway import Throwaway

__all__ = ["ANNA", "LIMITS", "Drawer", "House", "Talker", "plain"]

ANNA = "anna@alfa.example"
LIMITS = SieveLimits(failure_pause_seconds=0.0, closing_seconds=60.0)


@dataclass
class Drawer:
    """The scripts of everybody, by address and name; ``broken`` is what its storage raises."""

    kept: dict[tuple[str, str], bytes] = field(default_factory=dict)
    active: set[tuple[str, str]] = field(default_factory=set)
    broken: Exception | None = None

    @dataclass(frozen=True)
    class Listed:
        name: str
        active: bool

    async def listed(self, holder: Holder) -> Sequence[Listed]:
        if self.broken:
            raise self.broken
        return [self.Listed(key[1], key in self.active) for key in sorted(self.kept) if key[0] == holder.address]

    async def get(self, holder: Holder, name: str) -> bytes:
        return self.kept[self._there(holder, name)]

    async def check(self, holder: Holder, script: bytes) -> Sequence[str]:
        understood(script)
        return ["attento"] if b"attento" in script else []

    async def put(self, holder: Holder, name: str, script: bytes) -> Sequence[str]:
        warnings = await self.check(holder, script)
        self.kept[holder.address, name] = script
        return warnings

    async def has_space(self, holder: Holder, name: str, size: int) -> None:
        if size > 65_536:
            raise ScriptsRefused(Refusal.TOO_LARGE)

    async def activate(self, holder: Holder, name: str) -> None:
        wanted = {self._there(holder, name)} if name else set[tuple[str, str]]()
        self.active = wanted

    async def remove(self, holder: Holder, name: str) -> None:
        key = self._there(holder, name)
        if key in self.active:
            raise ScriptsRefused(Refusal.ACTIVE)
        del self.kept[key]

    async def rename(self, holder: Holder, name: str, to: str) -> None:
        key = self._there(holder, name)
        if (holder.address, to) in self.kept:
            raise ScriptsRefused(Refusal.EXISTS)
        self.kept[holder.address, to] = self.kept.pop(key)

    def _there(self, holder: Holder, name: str) -> tuple[str, str]:
        if self.broken:
            raise self.broken
        if (holder.address, name) not in self.kept:
            raise ScriptsRefused(Refusal.MISSING)
        return holder.address, name


class House:
    """Accounts, their scripts, and a server before them."""

    def __init__(self, tls: Throwaway, limits: SieveLimits = LIMITS) -> None:
        self.tls = tls
        self.drawer = Drawer()
        self.failure: SignInFailure | None = None
        self.peers: list[Peer] = []
        self.active = {1, 2}
        self.live = LiveSessions(self._active_among)
        self.server = SieveServer(
            sign_in=self.sign_in, scripts=self.drawer, tls=tls.server(), limits=limits, live=self.live
        )
        self.port = 0

    async def start(self) -> None:
        self.port = await self.server.listen("localhost", 0, implicit_tls=False)

    async def sign_in(self, user: str, password: str, peer: Peer) -> Holder | SignInFailure:
        self.peers.append(peer)
        if self.failure is not None:
            return self.failure
        number = {ANNA: 1, "bruno@alfa.example": 2}.get(user, 0)
        if not number or password != PASSWORD:
            return SignInFailure.WRONG
        return Holder(account_id=number, mailbox_id=number, address=user, addresses=frozenset({user}), may_submit=True)

    async def _active_among(self, accounts: object) -> set[int]:
        return self.active


class Talker(Client):
    """A client that begins TLS and signs in as it is told."""

    async def answer(self) -> bytes:
        """Everything up to the line that says how it went."""
        lines = []
        while True:
            line = await self.hear()
            lines.append(line)
            if line.startswith((b"OK", b"NO", b"BYE")) or (not line and self.reader.at_eof()):
                return b"\r\n".join(lines)

    async def asked(self, line: bytes) -> bytes:
        self.say(line)
        return await self.answer()

    async def begin_tls(self, tls: Throwaway) -> bytes:
        """The capabilities that are said then."""
        assert (await self.asked(b"STARTTLS")).startswith(b"OK")
        await self.writer.start_tls(tls.client(), server_hostname="localhost")
        return await self.answer()

    async def inside(self, tls: Throwaway, user: str = ANNA) -> None:
        await self.answer()
        await self.begin_tls(tls)
        assert await self.asked(b'AUTHENTICATE "PLAIN" "' + plain(user) + b'"') == b"OK"


def plain(user: str = ANNA, password: str = PASSWORD) -> bytes:
    return base64.b64encode(f"\0{user}\0{password}".encode())
