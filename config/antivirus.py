"""The settings of the virus scanner."""

from typing import Literal

from config.section import Section
from config.values import Positive, ServerSocket

__all__ = ["AntivirusSettings"]


class AntivirusSettings(Section):
    """The virus scanner: clamd, ClamAV's daemon. The rules ask every provider for one."""

    socket: ServerSocket | None = None
    """Where clamd listens: `/path/of/its/socket`, or "host:port". Left out: no message is scanned."""

    timeout_seconds: Positive = 60
    """How long one message may wait for its verdict; then it is put off (451)."""

    encrypted: Literal["pass", "refuse"] = "pass"
    """Encrypted archives and documents, which clamd reports with `AlertEncrypted yes`: `pass` them, with a row in the
    register, or `refuse` them like a virus."""

    unscannable: Literal["defer", "pass", "refuse"] = "defer"
    """Messages larger than clamd takes (`StreamMaxLength`), or that it cannot look through whole, which it reports with
    `AlertExceedsMax yes`: `defer` them (451, with an alarm), `pass` them, with a row in the register, or `refuse` them
    like a virus."""
