"""Which of two indexes is to be used: never one that was signed before the one in use.

An old index has a good signature for ever. Whoever could put it back would bring back providers and certificates that
have been struck off since.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from providers.directory import Directory, IndexRefused

__all__ = ["AHEAD", "refuse_older"]

AHEAD: Final = timedelta(days=1)
"""How far a clock may be off. An index signed in the far future would make every later one an older one."""


def refuse_older(new: Directory, held: Directory | None, now: datetime) -> None:
    """Raises IndexRefused if ``new`` was signed before ``held``, in the future, or without saying when."""
    if new.signed_at is not None and new.signed_at > now + AHEAD:
        raise IndexRefused(f"it says that it was signed at {_shown(new.signed_at)}, which is in the future")
    if held is None or held.signed_at is None or held.version == new.version:
        return
    if new.signed_at is None:
        raise IndexRefused("it does not say when it was signed, and the one in use does")
    if new.signed_at < held.signed_at:
        raise IndexRefused(
            f"it is older than the one in use: signed at {_shown(new.signed_at)}, not {_shown(held.signed_at)}"
        )


def _shown(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
