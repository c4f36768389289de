"""What one IMAP client may take, beside what any client of a mailbox may (D17)."""

from dataclasses import dataclass

from gateway.mailbox.limits import MailboxLimits

__all__ = ["ImapLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapLimits(MailboxLimits):
    idle_seconds: float = 1_860.0
    """How long a session waits for a command; never below half an hour in service (RFC 3501 section 5.4)."""
    session_seconds: float | None = None
    stranger_bytes: int = 8_192
    """Longest command, literals included, of a client that has not signed in."""
    command_bytes: int = 1_000_000
    """The same of one that has: people select a hundred thousand messages one by one."""
    message_bytes: int = 100_000_000
    """Largest message that a client may put into a folder."""
    copied_messages: int = 20_000
    """Messages that one command copies, all or none of them: others wait until it is done."""
    memory_bytes: int = 256 * 1024
    """Up to this size a message stays in memory while it comes in."""
    still_here_seconds: float = 120.0
    """How often a client that waits for news hears that it is connected still."""
