"""Whether a host may send for a domain: the ``check_host`` of RFC 7208, with its bounds on questions to the DNS.

Written here because the one library that is free for all uses asks the DNS one question after the other in a thread,
and has not been released for years; it serves the tests as a second opinion.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from gateway.drivers.dns import Dns, DnsUnavailable
from gateway.drivers.spf_record import BadRecord, Directive, Letters, Record, expanded, parse_record
from gateway.points.authentication import Result, Spf

__all__ = ["check_spf"]

MAX_LOOKUPS: Final = 10  # 4.6.4: terms that ask the DNS
MAX_VOID: Final = 2  # 4.6.4: answers that hold nothing
MAX_HOSTS: Final = 10  # 4.6.4: of one MX or PTR answer
MAX_ADDRESSES: Final = 100


async def check_spf(dns: Dns, *, address: str, helo: str, reverse_path: str) -> Spf:
    """The verdict on MAIL FROM, or on HELO where that is null (2.3, 2.4).

    Args:
        address: network address of the peer.
    """
    by_helo = not reverse_path
    sender = reverse_path or f"postmaster@{helo}"
    local, _, domain = sender.rpartition("@")
    domain = domain.lower().removesuffix(".")
    try:
        peer = ip_address(address.partition("%")[0])
    except ValueError:
        return Spf(result=Result.NONE, domain=domain, by_helo=by_helo)
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped is not None:
        peer = peer.ipv4_mapped
    check = _Check(dns, peer, helo, f"{local or 'postmaster'}@{domain}")
    try:
        result = await check.host(domain)
    except DnsUnavailable:
        result = Result.TEMPERROR
    except BadRecord:
        result = Result.PERMERROR
    return Spf(result=result, domain=domain, by_helo=by_helo)


class _Check:
    """One evaluation. Raises DnsUnavailable for temperror, BadRecord for permerror."""

    def __init__(self, dns: Dns, peer: IPv4Address | IPv6Address, helo: str, sender: str) -> None:
        self._dns = dns
        self._peer = peer
        self._helo = helo
        self._sender = sender
        self._lookups = self._void = 0

    async def host(self, domain: str) -> Result:
        """check_host (4.1)."""
        if not _is_name(domain):
            return Result.NONE
        record = await self._record(domain)
        if record is None:
            return Result.NONE
        letters = self._letters(domain)
        for directive in record.directives:
            if await self._matches(directive, domain, letters):
                return directive.result
        if record.redirect is None:
            return Result.NEUTRAL
        self._count()
        result = await self.host(expanded(record.redirect, letters))
        if result is Result.NONE:
            raise BadRecord("redirected to a domain without a record")
        return result

    async def _record(self, domain: str) -> Record | None:
        found = [text for text in await self._dns.texts(domain) if text[:6].lower() == b"v=spf1" and text[6:7] in b" "]
        if not found:
            return None
        if len(found) > 1:
            raise BadRecord("more than one record")
        try:
            return parse_record(found[0].decode("ascii"))
        except UnicodeDecodeError as error:
            raise BadRecord("not ASCII") from error

    async def _matches(self, directive: Directive, domain: str, letters: Letters) -> bool:
        mechanism = directive.mechanism
        if mechanism == "all":
            return True
        if directive.network is not None:
            return self._peer in directive.network
        self._count()
        target = expanded(directive.domain, letters) if directive.domain else domain
        match mechanism:
            case "include":
                return await self._included(target)
            case "a":
                return self._is_among(await self._addresses(target), directive)
            case "mx":
                return await self._exchanges(target, directive)
            case "ptr":
                return await self._is_named(target)
            case _:  # exists: an A record, whatever the peer speaks (5.7)
                return bool(self._void_counted(await self._dns.addresses(target, six=False)))

    async def _included(self, target: str) -> bool:
        result = await self.host(target)
        if result is Result.NONE:
            raise BadRecord("includes a domain without a record")
        return result is Result.PASS

    async def _exchanges(self, target: str, directive: Directive) -> bool:
        hosts = self._void_counted(await self._dns.exchangers(target))
        if len(hosts) > MAX_HOSTS:
            raise BadRecord("too many mail exchangers")
        for host in hosts:
            if host and self._is_among(await self._addresses(host), directive):
                return True
        return False

    async def _is_named(self, target: str) -> bool:
        """Whether a name of the peer that leads back to it lies in ``target`` (5.5)."""
        try:
            names = self._void_counted(await self._dns.names(str(self._peer)))
        except DnsUnavailable:
            return False
        wanted = target.lower()
        for name in list(names)[:MAX_HOSTS]:
            if name.lower() != wanted and not name.lower().endswith(f".{wanted}"):
                continue
            try:
                if str(self._peer) in await self._dns.addresses(name, six=self._is_six):
                    return True
            except DnsUnavailable:
                continue
        return False

    async def _addresses(self, name: str) -> Sequence[str]:
        return self._void_counted(await self._dns.addresses(name, six=self._is_six))[:MAX_ADDRESSES]

    @property
    def _is_six(self) -> bool:
        return self._peer.version == 6

    def _is_among(self, addresses: Sequence[str], directive: Directive) -> bool:
        prefix = directive.prefix6 if self._is_six else directive.prefix4
        return any(self._peer in ip_network(f"{address}/{prefix}", strict=False) for address in addresses)

    def _count(self) -> None:
        self._lookups += 1
        if self._lookups > MAX_LOOKUPS:
            raise BadRecord("too many lookups")

    def _void_counted(self, answer: Sequence[str]) -> Sequence[str]:
        if not answer:
            self._void += 1
            if self._void > MAX_VOID:
                raise BadRecord("too many lookups that find nothing")
        return answer

    def _letters(self, domain: str) -> Letters:
        """What the macros stand for (7.2). ``p`` would cost lookups nobody should ask for; "unknown" is allowed."""
        local, _, sender_domain = self._sender.rpartition("@")
        dotted = ".".join(self._peer.exploded.replace(":", "")) if self._is_six else str(self._peer)
        return {
            "s": self._sender,
            "l": local,
            "o": sender_domain,
            "d": domain,
            "i": dotted,
            "p": "unknown",
            "v": "ip6" if self._is_six else "in-addr",
            "h": self._helo,
        }


def _is_name(domain: str) -> bool:
    """Whether this can be a fully qualified domain name (4.3)."""
    labels = domain.removesuffix(".").split(".")
    return len(labels) > 1 and len(domain) <= 253 and all(0 < len(label) <= 63 for label in labels)
