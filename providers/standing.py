"""Whether certificates still stand: what all sources say about one, and about every certificate above it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from providers.revocation import Answer, Word

__all__ = ["Standing", "Standings", "Status", "standing_of", "worst"]

ASSUMED: Final = timedelta(hours=24)
"""How long a word counts that does not say when the next one comes."""


class Status(StrEnum):
    """How a certificate stands."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"  # it names places where one may ask, and none has an answer of today
    UNSTATED = "unstated"  # it names no place, so nobody can know


@dataclass(frozen=True, slots=True)
class Standing:
    """How one certificate stands, and how long that is known."""

    status: Status
    until: datetime | None = None  # of GOOD: after it the status is unknown
    revoked_at: datetime | None = None

    def at(self, moment: datetime) -> Status:
        """How it stands then, by what is known now. What was taken back stays so, however old the word."""
        if self.status is Status.REVOKED:
            return Status.GOOD if self.revoked_at is not None and moment < self.revoked_at else Status.REVOKED
        if self.status is Status.GOOD and self.until is not None and moment > self.until:
            return Status.UNKNOWN
        return self.status


@dataclass(frozen=True, slots=True)
class Standings:
    """What is known now, by the SHA-256 of the certificate, hexadecimal."""

    known: Mapping[str, Standing] = field(default_factory=dict)

    def of(self, sha256: str) -> Standing:
        return self.known.get(sha256, Standing(Status.UNKNOWN))


def standing_of(answers: Iterable[Answer | None]) -> Standing:
    """What several sources say together; None stands for one that has not answered. No source: unstated."""
    heard = list(answers)
    if not heard:
        return Standing(Status.UNSTATED)
    said = [answer for answer in heard if answer is not None]
    taken_back = [answer for answer in said if answer.word is Word.REVOKED]
    if taken_back:
        moments = [answer.revoked_at for answer in taken_back if answer.revoked_at is not None]
        return Standing(Status.REVOKED, revoked_at=min(moments, default=None))
    good = [answer.until or answer.said_at + ASSUMED for answer in said if answer.word is Word.GOOD]
    return Standing(Status.GOOD, max(good)) if good else Standing(Status.UNKNOWN)


def worst(path: Iterable[Standing]) -> Standing:
    """How a certificate stands when it and those above it stand so."""
    whole = list(path)
    for status in (Status.REVOKED, Status.UNKNOWN):
        bad = next((each for each in whole if each.status is status), None)
        if bad is not None:
            return bad
    good = [each for each in whole if each.status is Status.GOOD]
    never = datetime.max.replace(tzinfo=UTC)
    return min(good, key=lambda each: each.until or never, default=Standing(Status.UNSTATED))
