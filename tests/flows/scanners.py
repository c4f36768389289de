"""Scanners for flow tests: one that knows the EICAR file in plain sight, and counts; what it says can be set."""

from dataclasses import dataclass, field

from gateway.drivers.antivirus import ScannerUnavailable
from gateway.flows.screening import Screen
from gateway.points.screening import Look, ScanPolicy, Verdict
from receipts.octets import Octets
from tests.flows.house import HandClock, Provider
from tests.scanner import EICAR

__all__ = ["Bells", "PlainSight", "screened"]

NAME = "Eicar-Test-Signature"


@dataclass
class PlainSight:
    """Finds what stands in the message as it is."""

    says: Verdict | None = None  # in place of looking
    away: bool = False
    scanned: list[bytes] = field(default_factory=list)

    async def scan(self, message: Octets) -> Verdict:
        if self.away:
            raise ScannerUnavailable("clamd cannot be reached: Connection refused")
        self.scanned.append(message.read())
        if self.says is not None:
            return self.says
        return Verdict(Look.INFECTED, NAME) if EICAR in self.scanned[-1] else Verdict(Look.CLEAN)

    async def version(self) -> str:
        if self.away:
            raise ScannerUnavailable("clamd cannot be reached: Connection refused")
        return "plain sight"


@dataclass
class Bells:
    """The alarms that stand, and everything that was said."""

    stand: dict[str, str] = field(default_factory=dict)

    async def raised(self, name: str, detail: str, *, everywhere: bool = False) -> None:
        assert not everywhere
        self.stand[name] = detail

    async def over(self, name: str, *, everywhere: bool = False) -> None:
        assert not everywhere
        self.stand.pop(name, None)


def screened(provider: Provider, scanner: PlainSight | None = None, policy: ScanPolicy | None = None) -> PlainSight:
    """Give a provider a scanner."""
    scanner = scanner or PlainSight()
    clock: HandClock = provider.clock
    provider.screening = Screen(scanner, policy or ScanPolicy(), alarms=Bells(), clock=clock)
    provider.wire()
    return scanner
