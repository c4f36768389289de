"""What the word of a virus scanner means for a message, by the provider's policy (RFC 6109 2.2.1, 2.2.2, 5.4).

A scanner knows more than clean and infected: there is what it cannot open (encrypted archives and documents) and what
it cannot look through whole (beyond its size, depth or time). The rules say nothing of these; the policy does.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from gateway.points.faults import Fault
from gateway.points.incoming import Scan
from receipts.errors import TemporaryError

__all__ = ["CLEAN", "Finding", "Look", "NotScreened", "ScanPolicy", "Verdict", "finding"]


class NotScreened(TemporaryError):
    """Nobody can tell whether the message holds a virus, so it may not enter: it is put off (451)."""


class Look(Enum):
    """How far a scanner came, and with what result."""

    CLEAN = auto()
    INFECTED = auto()
    ENCRYPTED = auto()  # nothing found, but something inside is encrypted
    INCOMPLETE = auto()  # nothing found, but it is larger or deeper than the scanner looks


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a scanner says of one message."""

    look: Look
    name: str = ""  # of what was found or met, in the scanner's words; empty when clean


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPolicy:
    encrypted: Literal["pass", "refuse"] = "pass"
    unscannable: Literal["defer", "pass", "refuse"] = "defer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is done with the message: ``reason`` is set when it is infected, ``remark`` when a doubt remains."""

    scan: Scan
    reason: Fault | None = None
    remark: str = ""  # for the register


CLEAN = Finding(scan=Scan.CLEAN)
UNNAMED = "virus"
_WORDS = {
    Look.ENCRYPTED: Fault(
        "contenuto cifrato, che l'antivirus non può esaminare", "encrypted content that the scanner cannot examine"
    ),
    Look.INCOMPLETE: Fault(
        "contenuto che l'antivirus non può esaminare per intero", "content that the scanner cannot examine whole"
    ),
}


def finding(verdict: Verdict, policy: ScanPolicy) -> Finding:
    """What follows from a verdict.

    Raises:
        NotScreened: it could not be looked through, and the policy is to put such messages off.
    """
    if verdict.look is Look.CLEAN:
        return CLEAN
    if verdict.look is Look.INFECTED:
        name = verdict.name or UNNAMED
        return Finding(scan=Scan.INFECTED, reason=Fault(name, name))
    words = _WORDS[verdict.look]
    said = Fault(f"{verdict.name}: {words.italian}", f"{verdict.name}: {words.english}")
    choice = policy.encrypted if verdict.look is Look.ENCRYPTED else policy.unscannable
    if choice == "defer":
        raise NotScreened(f"{said.english}; antivirus.unscannable says what is done with it")
    if choice == "refuse":
        return Finding(scan=Scan.INFECTED, reason=said)
    return Finding(scan=Scan.CLEAN, remark=f"passed by policy: {said.english}")
