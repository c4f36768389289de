"""When a sender is told that a message is overdue, recipient by recipient: the truth table of RFC 6109 section 3.1.6.

A take-charge receipt silences the first notice, never the second. When both are due at once, because nobody was there
to send the first, the second alone goes out: the first would announce what stands right beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Final

from gateway.points.faults import Fault
from receipts.facts import Deadline

__all__ = ["DECISIONS", "END", "Age", "Deadlines", "Heard", "Standing", "overdue", "reason"]

END: Final = timedelta(hours=24)
"""By then the second notice has gone out; a message that leaves nothing idle for longer (2.2.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """When the notices go out, from the acceptance on: the first not before 12 hours, the second from 22 to 24.

    Raises:
        ValueError: they lie outside of what the law allows.
    """

    first: timedelta = timedelta(hours=12)
    second: timedelta = timedelta(hours=23)

    def __post_init__(self) -> None:
        if not timedelta(hours=12) <= self.first < timedelta(hours=22) <= self.second < END:
            raise ValueError("the first notice is due from 12 hours on, the second from 22 hours on and before 24")


class Age(Enum):
    """How long ago a message was accepted."""

    YOUNG = auto()
    FIRST_PASSED = auto()
    SECOND_PASSED = auto()


class Heard(Enum):
    """What was heard of a message for one recipient."""

    NOTHING = auto()
    TAKEN = auto()  # its provider has taken charge of it
    END = auto()  # delivered, failed, or timed out


DECISIONS: Mapping[tuple[Age, Heard], Deadline | None] = {
    (Age.YOUNG, Heard.NOTHING): None,
    (Age.YOUNG, Heard.TAKEN): None,
    (Age.YOUNG, Heard.END): None,
    (Age.FIRST_PASSED, Heard.NOTHING): Deadline.FIRST,  # TIM-11
    (Age.FIRST_PASSED, Heard.TAKEN): None,  # TIM-13
    (Age.FIRST_PASSED, Heard.END): None,  # TIM-14
    (Age.SECOND_PASSED, Heard.NOTHING): Deadline.SECOND,  # TIM-12
    (Age.SECOND_PASSED, Heard.TAKEN): Deadline.SECOND,  # TIM-13
    (Age.SECOND_PASSED, Heard.END): None,  # TIM-14, TIM-15
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a message stands for one certified recipient; ordinary ones have no timers."""

    accepted_at: datetime
    heard: Heard
    told: bool  # the first notice has gone out


def overdue(standing: Standing, deadlines: Deadlines, now: datetime) -> Deadline | None:
    """The deadline whose notice is to go out now, if any."""
    found = DECISIONS[_age(standing.accepted_at, deadlines, now), standing.heard]
    return None if found is Deadline.FIRST and standing.told else found


def reason(deadline: Deadline, provider: str) -> Fault:
    """The detail in the form that Italian providers agreed on; X.4.1 is "no answer from host" (RFC 3463)."""
    if deadline is Deadline.FIRST:
        return Fault(
            f"4.4.1 - {provider} - nessuna conferma dal gestore del destinatario nelle prime 12 ore",
            f"4.4.1 - {provider} - no confirmation from the recipient's provider in the first 12 hours",
        )
    return Fault(
        f"5.4.1 - {provider} - nessuna conferma di consegna entro 24 ore",
        f"5.4.1 - {provider} - no confirmation of delivery within 24 hours",
    )


def _age(accepted_at: datetime, deadlines: Deadlines, now: datetime) -> Age:
    """Aware instants of different zones are subtracted in UTC; of one zone, Python subtracts what its walls show."""
    passed = now.astimezone(UTC) - accepted_at.astimezone(UTC)
    if passed >= deadlines.second:
        return Age.SECOND_PASSED
    return Age.FIRST_PASSED if passed >= deadlines.first else Age.YOUNG
