"""When senders are told that a message is overdue."""

from typing import Annotated

from pydantic import Field

from config.section import Section

__all__ = ["DeadlineSettings"]


class DeadlineSettings(Section):
    """When a sender is told that nothing was heard of a message, counted from its acceptance, recipient by recipient.

    The law leaves little room: see RFC 6109 3.1.6.
    """

    first_notice_minutes: Annotated[int, Field(ge=720, le=780)] = 720
    """The first notice, if neither take-charge nor delivery receipt came: from 12 hours on."""

    second_notice_minutes: Annotated[int, Field(ge=1_320, le=1_430)] = 1_380
    """The second notice, if no delivery receipt came; it ends the message. From 22 hours on, and before 24.
    The time that is left until then is a reserve for a stop of the provider, or of its key."""
