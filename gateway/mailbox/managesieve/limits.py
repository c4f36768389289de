"""What one ManageSieve client may take, beside what any client of a mailbox may (D17)."""

from dataclasses import dataclass

from gateway.mailbox.limits import MailboxLimits
from gateway.points.sieve.limits import MAX_SCRIPT

__all__ = ["SieveLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SieveLimits(MailboxLimits):
    idle_seconds: float = 1_800.0
    """How long a session waits for a command; never below half an hour in service (RFC 5804 section 1.2)."""
    stranger_bytes: int = 8_192
    """Longest command, literals included, of a client that has not signed in."""
    command_bytes: int = MAX_SCRIPT + 8_192
    """The same of one that has."""
    drained_bytes: int = 1_000_000
    """A script too large is read to its end for nothing up to this size; beyond it the connection ends."""
