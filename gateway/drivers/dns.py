"""Questions to the DNS about who may send mail: a small protocol, and dnspython behind it."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, Final, Protocol

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
import dns.reversename

__all__ = ["Dns", "DnsUnavailable", "NameServers"]

CACHE_ENTRIES: Final = 10_000
MAX_STRINGS: Final = 64
"""TXT records of one name that are looked at."""


class DnsUnavailable(Exception):
    """Nobody can tell now: no answer in time, or SERVFAIL. A name that does not exist is an empty answer."""


class Dns(Protocol):
    """Each method raises DnsUnavailable; a name that does not exist, or has no such record, gives an empty answer."""

    async def texts(self, name: str) -> Sequence[bytes]:
        """TXT records, each with its strings joined."""
        ...

    async def addresses(self, name: str, *, six: bool) -> Sequence[str]:
        """AAAA records, or A records."""
        ...

    async def exchangers(self, name: str) -> Sequence[str]:
        """Host names of MX records, best first."""
        ...

    async def names(self, address: str) -> Sequence[str]:
        """PTR records of a network address."""
        ...


class NameServers:
    """The DNS by way of these servers ("address" or "address:port"); those of the machine if there are none.

    Args:
        seconds: for one question, all tries included.
    """

    def __init__(self, servers: Sequence[tuple[str, int]] = (), *, seconds: float = 5.0) -> None:
        self._servers = tuple(servers)
        self._seconds = seconds
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def texts(self, name: str) -> Sequence[bytes]:
        found = await self._resolve(name, dns.rdatatype.TXT)
        return [b"".join(record.strings) for record in found[:MAX_STRINGS]]

    async def addresses(self, name: str, *, six: bool) -> Sequence[str]:
        found = await self._resolve(name, dns.rdatatype.AAAA if six else dns.rdatatype.A)
        return [record.address for record in found]

    async def exchangers(self, name: str) -> Sequence[str]:
        found = await self._resolve(name, dns.rdatatype.MX)
        ordered = sorted(found, key=lambda record: record.preference)
        return [record.exchange.to_text(omit_final_dot=True) for record in ordered]

    async def names(self, address: str) -> Sequence[str]:
        found = await self._resolve(dns.reversename.from_address(str(ip_address(address))), dns.rdatatype.PTR)
        return [record.target.to_text(omit_final_dot=True) for record in found]

    async def _resolve(self, name: str | dns.name.Name, kind: dns.rdatatype.RdataType) -> list[Any]:
        try:
            asked = dns.name.from_text(name) if isinstance(name, str) else name
            return list(await self._ready().resolve(asked, kind, lifetime=self._seconds, search=False))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, dns.name.BadEscape, UnicodeError):
            return []  # no such name can exist
        except (dns.exception.DNSException, OSError) as error:
            raise DnsUnavailable(type(error).__name__) from error

    def _ready(self) -> dns.asyncresolver.Resolver:
        """Made on first use: the machine's own settings may be unreadable, which is no reason not to start."""
        if self._resolver is None:
            resolver = dns.asyncresolver.Resolver(configure=not self._servers)
            if self._servers:
                resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in self._servers]
            resolver.cache = dns.resolver.LRUCache(CACHE_ENTRIES)
            self._resolver = resolver
        return self._resolver
