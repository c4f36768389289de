"""A fault, in words that a person can act on, in both languages."""

from collections.abc import Iterable

from receipts.records import record

__all__ = ["Fault", "in_english", "in_italian"]


@record()
class Fault:
    """Why a message is not accepted, or not taken as certified. Holds no content of the message but addresses."""

    italian: str
    english: str


def in_italian(faults: Iterable[Fault]) -> str:
    return "; ".join(fault.italian for fault in faults)


def in_english(faults: Iterable[Fault]) -> str:
    return "; ".join(fault.english for fault in faults)
