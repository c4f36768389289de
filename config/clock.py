"""How the clock is watched."""

from typing import Annotated

from pydantic import AfterValidator, Field

from config.section import Section
from config.values import Endpoint, Listeners

__all__ = ["ClockSettings"]


def _named(value: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    if any(not endpoint.host or not endpoint.port for endpoint in value):
        raise ValueError('must name servers as "host:port", as in "ntp1.example:123"')
    return value


class ClockSettings(Section):
    """Whether the machine's clock tells the time: receipts and register may not be more than a second off."""

    watched: bool = True
    """Whether the offset from UTC is watched. Known to be too large: every legal act is put off (451) until it
    is good again. Not known: an alarm, and nothing else. Only networks for tests do without."""

    servers: Annotated[Listeners, AfterValidator(_named)] = ()
    """NTP servers ("host:123") that are asked how far the clock is off; three are better than one, since the middle
    answer counts. None: the kernel's word alone, whether chrony or the like keeps the clock."""

    check_seconds: Annotated[int, Field(ge=10, le=3_600)] = 60
    """How often it is looked at."""

    max_offset_milliseconds: Annotated[int, Field(ge=1, le=1_000)] = 1_000
    """The largest offset with which legal acts go on. The law's ceiling is a second."""
