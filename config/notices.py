"""Notices to the ordinary mailboxes of holders."""

from typing import Annotated

from pydantic import Field

from config.section import Section

__all__ = ["NoticeSettings"]


class NoticeSettings(Section):
    """Notices to the ordinary mailboxes of holders that certified mail has come (`ceralacca account notice`)."""

    daily_at: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "08:00"
    """When the daily digest leaves, by the clock of `provider.time_zone`."""

    read_at: Annotated[str, Field(pattern=r"^https://[!-~]{1,500}$")] | None = None
    """Address of the page where holders read their mail, told in each notice.
    Left out: notices speak of the mail program."""
