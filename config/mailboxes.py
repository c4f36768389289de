"""How much mailboxes hold."""

from typing import Annotated

from pydantic import Field

from config.section import Section
from config.values import MB

__all__ = ["MailboxSettings"]


class MailboxSettings(Section):
    """How much a mailbox holds. A content counts once; receipts and what the service files itself do not count."""

    quota_bytes: Annotated[int, Field(ge=0)] = 5_000 * MB
    """Size of a mailbox unless `ceralacca account quota` says otherwise; 0: no limit.
    Beyond it ordinary mail is put off (452)."""

    reserve_bytes: Annotated[int, Field(ge=0)] = 500 * MB
    """What a full mailbox still takes of certified mail. Beyond it the sender gets a notice of non-delivery."""

    expunged_days: Annotated[int, Field(ge=1, le=3_650)] = 30
    """How long mail programs can ask which messages have left a folder (QRESYNC)."""

    journal_days: Annotated[int, Field(ge=1, le=3_650)] = 730
    """How long the journal of a box that several people share is kept."""
