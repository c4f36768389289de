"""Who could not be reached, and whose mail waits for that: it shall leave soon after, not each when its pause ends."""

from collections import OrderedDict
from collections.abc import Collection, Hashable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from gateway.drivers.smtp_client import Destination

__all__ = ["Outages"]

MOST_OUTAGES: Final = 1_000
MOST_DOMAINS: Final = 500  # of one outage; the mail of others waits its own time
REST: Final = timedelta(seconds=2)
LONGEST_REST: Final = timedelta(minutes=15)


@dataclass(slots=True)
class _Outage:
    domains: set[str] = field(default_factory=set)
    rest_until: datetime | None = None
    rest: timedelta = REST

    def resting(self, now: datetime) -> bool:
        return self.rest_until is not None and timedelta(0) < self.rest_until - now <= LONGEST_REST


class Outages:
    """Outages as this process knows them, by mail hosts: a provider may manage a thousand domains behind one host.

    A host that works and fails by turns, or fails over one message only, makes its mail try again ever more seldom:
    after an outage that follows another closely the next end of it counts only after a rest, which doubles.
    """

    def __init__(self) -> None:
        self._outages: OrderedDict[Hashable, _Outage] = OrderedDict()

    def began(self, domain: str, destination: Destination | None, now: datetime) -> None:
        """Mail of ``domain`` waits because ``destination`` could not be reached, or could not be found out."""
        outage = self._outage(_key(domain, destination))
        if outage.rest_until is not None and now - outage.rest_until > outage.rest:
            outage.rest_until, outage.rest = None, REST
        if len(outage.domains) < MOST_DOMAINS:
            outage.domains.add(domain)

    def over(self, domain: str, destination: Destination, now: datetime) -> frozenset[str]:
        """A message of ``domain`` was carried to ``destination``: the domains whose mail may follow it now."""
        domains: set[str] = set()
        if not self._outages:
            return frozenset()
        for key in (_key(domain, destination), _key(domain, None)):
            outage = self._outages.get(key)
            if outage is None or not outage.domains or outage.resting(now):
                continue
            domains |= outage.domains
            outage.domains.clear()
            outage.rest_until, outage.rest = now + outage.rest, min(2 * outage.rest, LONGEST_REST)
        return frozenset(domains)

    def goes_on(self, domains: Collection[str], destination: Destination, now: datetime) -> None:
        """``over`` was right, but more mail of ``domains`` waits than could be moved at once: say so again soon."""
        outage = self._outage(_key("", destination))
        outage.domains.update(domains)
        outage.rest_until, outage.rest = now + REST, REST

    def _outage(self, key: Hashable) -> _Outage:
        outage = self._outages.setdefault(key, _Outage())
        self._outages.move_to_end(key)
        while len(self._outages) > MOST_OUTAGES:
            self._outages.popitem(last=False)
        return outage


def _key(domain: str, destination: Destination | None) -> Hashable:
    """Destinations with the same hosts are the same, in whatever order the DNS names them."""
    if destination is None:
        return domain
    return frozenset((target.host.lower(), target.port) for target in destination.targets)
