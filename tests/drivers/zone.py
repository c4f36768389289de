"""The DNS as tests want it: records in a table, asked directly or over a real socket on loopback."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.reversename
import dns.rrset

from gateway.drivers.dns import DnsUnavailable

__all__ = ["Records", "Zone", "serving"]

Records = Mapping[str, Sequence[str]]
"""``"NAME TYPE"`` -> values; an MX is "10 host"."""


@dataclass
class Zone:
    """Answers from ``records``; ``broken`` names answer SERVFAIL, and every question is remembered."""

    records: Records
    broken: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)

    async def texts(self, name: str) -> Sequence[bytes]:
        return [value.encode() for value in self.look(name, "TXT")]

    async def addresses(self, name: str, *, six: bool) -> Sequence[str]:
        return self.look(name, "AAAA" if six else "A")

    async def exchangers(self, name: str) -> Sequence[str]:
        ordered = sorted(value.split() for value in self.look(name, "MX"))
        return [host for _, host in ordered]

    async def names(self, address: str) -> Sequence[str]:
        return self.look(str(dns.reversename.from_address(address)), "PTR")

    def look(self, name: str, kind: str) -> Sequence[str]:
        name = name.lower().rstrip(".")
        self.asked.append(f"{name} {kind}")
        if name in self.broken:
            raise DnsUnavailable(name)
        return self.records.get(f"{name} {kind}", ())

    def knows(self, name: str) -> bool:
        return any(key.partition(" ")[0] == name for key in self.records)


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, zone: Zone) -> None:
        self.zone = zone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        question = dns.message.from_wire(data)
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.RA
        asked = question.question[0]
        name, kind = str(asked.name).rstrip(".").lower(), dns.rdatatype.to_text(asked.rdtype)
        try:
            values = self.zone.look(name, kind)
        except DnsUnavailable:
            answer.set_rcode(dns.rcode.SERVFAIL)
            values = ()
        if values:
            written = [_written(kind, value) for value in values]
            answer.answer.append(dns.rrset.from_text_list(asked.name, 60, "IN", kind, written))
        elif not self.zone.knows(name) and name not in self.zone.broken:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(answer.to_wire(), address)  # type: ignore[attr-defined]


def _written(kind: str, value: str) -> str:
    """As a zone file has it; a long text in strings of at most 255 characters."""
    if kind == "TXT":
        return " ".join(f'"{value[start : start + 250]}"' for start in range(0, len(value), 250))
    return f"{value}." if kind in ("MX", "PTR") else value


@asynccontextmanager
async def serving(zone: Zone) -> AsyncIterator[int]:
    """A name server on loopback; its port."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Protocol(zone), local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
