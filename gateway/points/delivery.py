"""Which form of delivery receipt the delivery point owes the sender (RFC 6109 section 3.3.2)."""

from collections.abc import Collection
from enum import Enum, auto

from receipts.wire import ReceiptForm

__all__ = ["Role", "delivery_receipt_form", "role_of"]


class Role(Enum):
    """Whether a recipient was written to, or only kept informed (3.3.2.1)."""

    PRIMARY = auto()
    COPY = auto()


def role_of(address_key: str, to: Collection[str], cc: Collection[str]) -> Role:
    """A recipient named in Cc alone is a copy; in doubt a recipient is primary (DP-10, DP-11).

    All three arguments are address keys (``receipts.identifiers.address_key``).
    """
    return Role.COPY if address_key in cc and address_key not in to else Role.PRIMARY


def delivery_receipt_form(requested: ReceiptForm, role: Role) -> ReceiptForm:
    """Give primary recipients the form the sender asked for, copies the concise one (3.3.2.1, 3.3.2.3)."""
    return requested if role is Role.PRIMARY else ReceiptForm.CONCISE
