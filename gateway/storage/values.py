"""How values stand in the database: instants as microseconds of UTC, text without what databases refuse."""

from datetime import UTC, datetime, timedelta

__all__ = ["clean", "instant", "micros"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def micros(at: datetime) -> int:
    """Microseconds since 1970 of an aware instant.

    Raises:
        ValueError: ``at`` is naive.
    """
    if at.tzinfo is None:
        raise ValueError("storage needs an aware datetime")
    return (at - EPOCH) // MICROSECOND


def instant(value: int) -> datetime:
    """The instant, in UTC, that ``micros`` made ``value`` of."""
    return EPOCH + timedelta(microseconds=value)


def clean(text: str) -> str:
    """The text with each NUL and each half of a surrogate pair replaced: PostgreSQL and UTF-8 refuse them."""
    if "\0" in text:
        text = text.replace("\0", REPLACEMENT)
    if text.isascii():
        return text
    return "".join(REPLACEMENT if "\ud800" <= character <= "\udfff" else character for character in text)
