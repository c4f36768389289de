"""Signing in: a user name and a password to the holder of an account, for every protocol alike (D16).

Checking a chosen password costs 30 ms of a core, so it happens in as many threads as there are cores, with a bounded
queue before them; a success is remembered for a while, so that programs that poll cost nothing. Accounts are read
at each sign-in: a changed password or a disabled account counts at once.
"""

import asyncio
import hmac
import os
import secrets
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Final
from typing import Protocol as Interface

from gateway.drivers import passwords
from gateway.drivers.sources import Clock
from gateway.flows.failures import FailureLimits, Failures, network_of
from gateway.flows.outcomes import Holder, Peer, Protocol, SignInFailure, Visit
from gateway.flows.outcomes import SignIn as SignInBy
from gateway.points.sharing import Right
from gateway.storage.people import NOT_SHARED, Sharing
from gateway.storage.signins import CHOSEN

__all__ = ["Credentials", "ReadCredentials", "SignIn", "SignInDiary", "SignInLimits"]

_LONGEST_USER: Final = 320  # RFC 5321 4.5.3.1: 64 + 1 + 255
_LONGEST_PASSWORD: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An account as sign-in sees it."""

    holder: Holder
    active: bool
    password: str | None = field(repr=False)
    """What ``hash_password`` made; None when only devices sign in."""
    devices: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Digests of the device passwords by their lookup ids."""
    protocols: Collection[Protocol] = frozenset(Protocol)
    """By which it may be used."""
    devices_only: bool = False
    """Whether the chosen password opens nothing for mail programs."""
    sharing: Sharing = NOT_SHARED
    """Whose the device passwords are, where the box is not its holder's alone."""


ReadCredentials = Callable[[str], Awaitable[Credentials | None]]
"""User name -> account, read afresh. Raises TemporaryError when accounts cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInLimits:
    checkers: int = field(default_factory=lambda: os.cpu_count() or 1)
    queue: int = 64
    """Sign-ins that may wait for a checker; one more is told to come back."""
    queue_per_suspect: int = 4
    """The same for one address that failed lately."""
    remembered: timedelta = timedelta(minutes=10)
    remembered_entries: int = 10_000
    failures: FailureLimits = field(default_factory=FailureLimits)


class SignInDiary(Interface):
    """Is told of what happens at accounts that exist; never waits, never raises (``diary``)."""

    def used(self, holder: Holder, lookup: str, protocol: Protocol, peer: Peer, network: str) -> None: ...
    def failed(self, holder: Holder, peer: Peer) -> None: ...


class SignIn:
    """The sign-in of one process.

    Args:
        read: finds the account behind a user name.
        diary: see ``SignInDiary``.
        clock: the only clock; windows and memory run on it.
        key: for the memory of successes; 32 random bytes if not given, so that memory dies with the process.
    """

    def __init__(
        self,
        read: ReadCredentials,
        clock: Clock,
        limits: SignInLimits | None = None,
        *,
        diary: SignInDiary | None = None,
        key: bytes | None = None,
    ) -> None:
        self._read = read
        self._diary = diary
        self._clock = clock
        self._limits = limits or SignInLimits()
        self._failures = Failures(self._limits.failures)
        self._memory = _Memory(key or secrets.token_bytes(32), self._limits)
        self._checkers = ThreadPoolExecutor(self._limits.checkers, thread_name_prefix="password")
        self._checking: Counter[str] = Counter()
        self._in_check = 0

    def through(self, protocol: Protocol) -> SignInBy:
        """The sign-in of one protocol's servers."""
        return partial(self._sign_in, protocol)

    async def _sign_in(self, protocol: Protocol, user: str, password: str, peer: Peer) -> Holder | SignInFailure:
        """Who signs in. Raises TemporaryError when accounts cannot be read."""
        name, network = user.strip().lower(), network_of(peer.address)
        if not 0 < len(name) <= _LONGEST_USER or len(password) > _LONGEST_PASSWORD:
            name = password = ""
        if self._failures.shut_out(name, network, self._now()):
            return SignInFailure.TOO_MANY
        found = await self._read(name) if name else None
        proof = self._quick_proof(found, password)
        if proof is None:
            if self._crowded(network):
                return SignInFailure.BUSY
            proof = CHOSEN if await self._check(found, password, network) else None
        if found is None or proof is None or not found.active:
            self._failed(found, name, peer, network)
            return SignInFailure.WRONG
        self._failures.succeeded(name, network, self._now())
        if protocol not in found.protocols:
            return SignInFailure.CLOSED
        if found.devices_only and proof == CHOSEN:
            return SignInFailure.NEEDS_DEVICE
        holder = found.holder if not found.sharing.shared else _visiting(found, proof, protocol, peer)
        if self._diary is not None:
            self._diary.used(holder, proof, protocol, peer, network)
        return holder

    def _failed(self, found: Credentials | None, name: str, peer: Peer, network: str) -> None:
        self._failures.failed(name, network, self._now())
        if self._diary is not None and found is not None and found.active:
            self._diary.failed(found.holder, peer)

    def close(self) -> None:
        """Let the checkers go; sign-ins that still wait are cancelled."""
        self._checkers.shutdown(wait=False, cancel_futures=True)

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _quick_proof(self, found: Credentials | None, password: str) -> str | None:
        """A device's password by its lookup id, or the chosen one that was right not long ago with the same hash."""
        if found is None:
            return None
        lookup = passwords.device_lookup(password)
        device = found.devices.get(lookup) if lookup else None
        if lookup and device is not None and passwords.is_device(device, password):
            return lookup
        known = found.password is not None and self._memory.holds(found, password, self._now())
        return CHOSEN if known else None

    def _crowded(self, network: str) -> bool:
        if self._in_check >= self._limits.queue + self._limits.checkers:
            return True
        suspect = self._failures.suspect(network, self._now())
        return suspect and self._checking[network] >= self._limits.queue_per_suspect

    async def _check(self, found: Credentials | None, password: str, network: str) -> bool:
        """The slow proof. It costs the same for an account without a password and for no account at all."""
        kept = found.password if found is not None and found.password is not None else passwords.UNKNOWN
        self._in_check += 1
        self._checking[network] += 1
        try:
            loop = asyncio.get_running_loop()
            right = await loop.run_in_executor(self._checkers, passwords.is_password, kept, password)
        finally:
            self._in_check -= 1
            self._checking[network] -= 1
            if not self._checking[network]:
                del self._checking[network]
        if right and found is not None and found.active:
            self._memory.keep(found, password, self._now())
        return right


def _visiting(found: Credentials, proof: str, protocol: Protocol, peer: Peer) -> Holder:
    """The holder of a shared box, or a person who may do some of what the holder may (D35)."""
    access = found.sharing.by_password.get(proof)
    visit = Visit(
        person_id=None if access is None else access.person_id,
        person=None if access is None else access.name,
        right=Right.MANAGE if access is None else access.right,
        device=proof,
        protocol=protocol,
        address=peer.address,
    )
    return replace(found.holder, visit=visit)


class _Memory:
    """Successes of late, as digests under a key that never leaves the process.

    The digest covers the stored hash, so a changed password is forgotten by being changed.
    """

    def __init__(self, key: bytes, limits: SignInLimits) -> None:
        self._key = key
        self._seconds = limits.remembered.total_seconds()
        self._most = limits.remembered_entries
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def holds(self, found: Credentials, password: str, now: float) -> bool:
        return self._until.get(self._digest(found, password), 0.0) > now

    def keep(self, found: Credentials, password: str, now: float) -> None:
        digest = self._digest(found, password)
        self._until[digest] = now + self._seconds
        self._until.move_to_end(digest)
        while len(self._until) > self._most:
            self._until.popitem(last=False)

    def _digest(self, found: Credentials, password: str) -> bytes:
        subject = f"{found.holder.account_id}\0{found.password}\0{password}"
        return hmac.digest(self._key, subject.encode("utf-8", "surrogatepass"), "sha256")
