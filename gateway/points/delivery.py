"""What the delivery point owes the sender: which form of receipt, and which error it names (RFC 6109 section 3.3)."""

from collections.abc import Collection
from enum import Enum, auto

from receipts.wire import ReceiptForm

__all__ = ["Role", "delivery_receipt_form", "non_delivery_text", "role_of"]


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


def non_delivery_text(code: str, provider: str, reason: str) -> str:
    """``errore-esteso`` as today's providers write it: enhanced status code, provider, reason (spec note 12)."""
    return f"{code} - {provider} - {reason}"
