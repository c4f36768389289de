"""Counting failed sign-ins: who has to wait, by (account, address) and by address (D16).

No account is ever locked as such: a stranger who guesses shuts out himself, never the holder. An address from which
the account signed in lately is never shut out of it, whatever others at that address do.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from typing import TypeVar

__all__ = ["FailureLimits", "Failures", "network_of"]

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureLimits:
    per_account_and_address: int = 10
    per_address: int = 100
    window: timedelta = timedelta(minutes=15)
    """Failures are forgotten this long after the last one."""
    trusted: timedelta = timedelta(days=1)
    """How long a success keeps an address welcome to an account."""
    tracked: int = 50_000
    """Entries kept of each kind; beyond, the one that changed longest ago is forgotten."""


@dataclass(slots=True)
class _Tally:
    count: int
    until: float


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, the /64 of an IPv6 one, as one line of a customer holds it."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped is not None else str(IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)


class Failures:
    """The counts of one process. Instants are seconds of one clock, given by the caller."""

    def __init__(self, limits: FailureLimits) -> None:
        self._limits = limits
        self._pairs: OrderedDict[tuple[str, str], _Tally] = OrderedDict()
        self._addresses: OrderedDict[str, _Tally] = OrderedDict()
        self._trusted: OrderedDict[tuple[str, str], float] = OrderedDict()

    def shut_out(self, account: str, network: str, now: float) -> bool:
        """Whether ``network`` failed too often to try ``account`` now."""
        if self._trusted.get((account, network), 0.0) > now:
            return False
        return (
            _count(self._pairs, (account, network), now) >= self._limits.per_account_and_address
            or _count(self._addresses, network, now) >= self._limits.per_address
        )

    def suspect(self, network: str, now: float) -> bool:
        """Whether ``network`` failed at all within the window."""
        return _count(self._addresses, network, now) > 0

    def failed(self, account: str, network: str, now: float) -> None:
        until = now + self._limits.window.total_seconds()
        self._raise(self._pairs, (account, network), now, until)
        self._raise(self._addresses, network, now, until)

    def succeeded(self, account: str, network: str, now: float) -> None:
        """The holder is here: the pair's failures were his own; those of the address stay."""
        key = (account, network)
        self._pairs.pop(key, None)
        self._trusted[key] = now + self._limits.trusted.total_seconds()
        self._trusted.move_to_end(key)
        self._bound(self._trusted)

    def _raise(self, tallies: OrderedDict[K, _Tally], key: K, now: float, until: float) -> None:
        tallies[key] = _Tally(_count(tallies, key, now) + 1, until)
        tallies.move_to_end(key)
        self._bound(tallies)

    def _bound(self, entries: OrderedDict[K, V]) -> None:
        while len(entries) > self._limits.tracked:
            entries.popitem(last=False)


def _count(tallies: OrderedDict[K, _Tally], key: K, now: float) -> int:
    tally = tallies.get(key)
    if tally is None:
        return 0
    if tally.until <= now:
        del tallies[key]
        return 0
    return tally.count
