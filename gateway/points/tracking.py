"""What is known of each certified recipient of a sent message: its states, and what changes them (spec: section 14).

``accepted -> taken -> delivered | failed | timed-out``; a final state is final (promise 3).
"""

from collections.abc import Mapping
from enum import StrEnum

from receipts.facts import CertificationData
from receipts.wire import MessageKind

__all__ = ["CHANGES", "FINAL", "OPEN", "RecipientState", "reported_on"]


class RecipientState(StrEnum):
    ACCEPTED = "accepted"
    TAKEN = "taken"
    DELIVERED = "delivered"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    EXTERNAL = "external"  # ordinary mail: handed over, nothing more is ever known


OPEN = frozenset({RecipientState.ACCEPTED, RecipientState.TAKEN})
FINAL = frozenset({RecipientState.DELIVERED, RecipientState.FAILED, RecipientState.TIMED_OUT})

CHANGES: Mapping[MessageKind, tuple[RecipientState, frozenset[RecipientState]]] = {
    MessageKind.TAKE_CHARGE: (RecipientState.TAKEN, frozenset({RecipientState.ACCEPTED})),
    MessageKind.DELIVERY: (RecipientState.DELIVERED, OPEN),
    MessageKind.NON_DELIVERY: (RecipientState.FAILED, OPEN),
    MessageKind.VIRUS: (RecipientState.FAILED, OPEN),
}
"""Which state a receipt leads to, and from which states it may: a later or second one changes nothing."""


def reported_on(kind: MessageKind, data: CertificationData) -> tuple[str, ...]:
    """The recipients a receipt speaks of: ``ricezione`` of a take-charge receipt, ``consegna`` of all others."""
    if kind is MessageKind.TAKE_CHARGE:
        return data.taken_for
    return () if data.delivered_to is None else (data.delivered_to,)
