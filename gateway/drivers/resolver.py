"""Where a domain's mail goes: the configured route, else the DNS (RFC 5321 section 5.1, RFC 7505; D10, D29)."""

import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver

from gateway.drivers.dialer import Target, is_public
from gateway.drivers.smtp_client import Destination
from gateway.drivers.tls import TlsPolicy
from gateway.drivers.transmission import Permanent, Stage, Temporary

__all__ = ["MailResolver", "Route", "RouteTable"]

SMTP_PORT = 25
MAX_HOSTS = 10  # mail hosts of one domain that are looked at
LIFETIME = 15.0  # seconds for one question to the DNS, all tries included
CACHE_ENTRIES = 10_000

AnswerT = TypeVar("AnswerT")
Finding = Destination | Temporary | Permanent
Names = tuple[tuple[int, str], ...]
"""Preference and host name of each MX."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A domain's mail goes to this host, whatever the DNS says."""

    domain: str
    host: str  # a name or an address literal; with TLS "verify" the certificate must bear it
    port: int = SMTP_PORT
    tls: TlsPolicy | None = None  # None: by the kind of domain (D10)
    ca_file: str | None = None


class RouteTable:
    """The configured routes. A closed table knows every domain there is (the lab, D29)."""

    def __init__(self, routes: Iterable[Route] = (), *, closed: bool = False) -> None:
        self._routes = {route.domain.lower(): route for route in routes}
        self.closed = closed

    def find(self, domain: str) -> Route | None:
        return self._routes.get(domain.lower())


class MailResolver:
    """Answers for a domain with a destination, or with why there is none.

    ``own_names`` are the host names and addresses under which this gateway itself takes mail.
    """

    def __init__(
        self,
        routes: RouteTable,
        *,
        own_names: Iterable[str] = (),
        ca_file: str | None = None,
        resolver: dns.asyncresolver.Resolver | None = None,
        port: int = SMTP_PORT,
        shuffle: Callable[[list[tuple[int, str]]], None] = random.shuffle,
        lifetime_seconds: float = LIFETIME,
    ) -> None:
        self.routes = routes
        self._own = frozenset(name.lower().rstrip(".") for name in own_names)
        self._ca_file = ca_file
        self._dns = resolver
        self._port = port
        self._shuffle = shuffle
        self._lifetime = lifetime_seconds

    async def find(self, domain: str, *, certified: bool) -> Finding:
        """Where mail for ``domain`` (A-labels) goes; to certified domains never in clear (D10)."""
        default = TlsPolicy.VERIFY if certified else TlsPolicy.OPPORTUNISTIC
        if (route := self.routes.find(domain)) is not None:
            policy = route.tls or default
            return Destination((Target(route.host, route.port),), policy, route.ca_file or self._ca_file)
        if self.routes.closed:
            return Permanent("5.1.2", "no route to this domain", Stage.ROUTE)
        hosts = await self._hosts(domain)
        if not isinstance(hosts, tuple):
            return hosts
        targets = await self._targets(hosts)
        return targets if not isinstance(targets, tuple) else Destination(targets, default, self._ca_file)

    async def _hosts(self, domain: str) -> tuple[str, ...] | Temporary | Permanent:
        """The mail hosts in the order to try, ourselves and all behind us left out."""
        found = await _asked(self._mail_exchangers(domain))
        if not isinstance(found, tuple):
            return found
        if not found:
            return (domain,)  # no MX: the domain itself (RFC 5321 section 5.1)
        if any(not name for _, name in found):
            return Permanent("5.1.10", "the domain takes no mail (null MX)", Stage.ROUTE, 556)
        mixed = list(found)
        self._shuffle(mixed)
        ours = [preference for preference, name in mixed if name in self._own]
        mixed = [pair for pair in mixed if not ours or pair[0] < min(ours)]
        if not mixed:
            return Permanent("5.4.6", "the domain's mail exchanger is this host, which does not know it", Stage.ROUTE)
        return tuple(name for _, name in sorted(mixed, key=lambda pair: pair[0]))[:MAX_HOSTS]

    async def _targets(self, hosts: Sequence[str]) -> tuple[Target, ...] | Temporary | Permanent:
        targets: list[Target] = []
        fault: Temporary | Permanent | None = None
        refused = False
        for host in hosts:
            addresses = await _asked(self._addresses(host))
            if not isinstance(addresses, tuple):
                fault = addresses if fault is None or isinstance(addresses, Temporary) else fault
                continue
            if self._own.intersection(addresses):
                fault = Permanent("5.4.6", "the domain's mail host is this host, which does not know it", Stage.ROUTE)
                break
            public = tuple(address for address in addresses if is_public(address))
            refused = refused or len(public) < len(addresses)
            if public:
                targets.append(Target(host, self._port, public))
        if targets:
            return tuple(targets)
        if refused:
            return Temporary("4.4.4", "the domain's mail hosts have no public address", Stage.ROUTE)
        if fault is None:
            return Permanent("5.4.4", "the domain's mail hosts have no address", Stage.ROUTE)
        if isinstance(fault, Permanent) and len(hosts) > 1:
            return Temporary("4.4.4", "none of the domain's mail hosts exists", Stage.ROUTE)
        return fault

    async def _mail_exchangers(self, domain: str) -> Names:
        answer = await self._resolve(domain, dns.rdatatype.MX)
        return tuple(
            (record.preference, record.exchange.to_text(omit_final_dot=True).lower().strip(".")) for record in answer
        )

    async def _addresses(self, host: str) -> tuple[str, ...]:
        found: list[str] = []
        for kind in (dns.rdatatype.AAAA, dns.rdatatype.A):
            found.extend(record.address for record in await self._resolve(host, kind))
        return tuple(found)

    async def _resolve(self, name: str, kind: dns.rdatatype.RdataType) -> Sequence[Any]:
        if self._dns is None:
            self._dns = dns.asyncresolver.Resolver()
            self._dns.cache = dns.resolver.LRUCache(CACHE_ENTRIES)
        try:
            asked = dns.name.from_text(name)
            return list(await self._dns.resolve(asked, kind, lifetime=self._lifetime, search=False))
        except dns.resolver.NoAnswer:
            return ()


async def _asked(question: Awaitable[AnswerT]) -> AnswerT | Temporary | Permanent:
    """The answer, or what it means for the mail that there is none."""
    try:
        return await question
    except (dns.resolver.NXDOMAIN, dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel):
        return Permanent("5.1.2", "no such domain", Stage.ROUTE)
    except (dns.exception.DNSException, OSError) as error:
        return Temporary("4.4.3", f"the DNS does not answer ({type(error).__name__})", Stage.ROUTE)
