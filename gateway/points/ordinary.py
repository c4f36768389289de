"""What happens to ordinary mail in one box: the provider's policy of RFC 6109 section 2.2.2 (B7), decided per mailbox.

Nothing here is ever asked about what a certified provider signed: that is propagated to the inbox, whatever a box
says of ordinary mail (B1, B3, B5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from receipts.identifiers import address_key
from receipts.scanner import Header

__all__ = ["INBOX", "JUNK", "LOOP_MARK", "TAKEN", "Ordinary", "OrdinaryPolicy", "effective", "may_forward"]

INBOX = "INBOX"
JUNK = "Junk"
LOOP_MARK = "X-Ceralacca-Forwarded"
"""Stands on everything we forward, with the address of the box that it comes from (D34)."""


class Ordinary(StrEnum):
    """What a box does with ordinary mail."""

    WRAP = "wrap"  # into an anomaly envelope in the inbox
    REFUSE = "refuse"  # 550 after the last byte, when the signature has been looked at
    FOLDER = "folder"  # into an anomaly envelope in a folder
    FORWARD = "forward"  # as WRAP, and a copy to an address outside (D34)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrdinaryPolicy:
    """What one box does with ordinary mail."""

    ordinary: Ordinary
    folder: str = INBOX  # where the anomaly envelope goes
    forward_to: str | None = None

    @property
    def refuses(self) -> bool:
        return self.ordinary is Ordinary.REFUSE


TAKEN = OrdinaryPolicy(ordinary=Ordinary.WRAP)


def effective(own: OrdinaryPolicy | None, default: Ordinary, *, of_a_holder: bool) -> OrdinaryPolicy:
    """The policy of one box: its own, else the provider's.

    Args:
        of_a_holder: False for the operator's box, which may refuse nobody (RFC 5321 section 4.5.1), and for the
            service mailbox, whose strays are kept for the operator to see.
    """
    if not of_a_holder:
        return TAKEN
    if own is not None:
        return own
    return OrdinaryPolicy(ordinary=default, folder=JUNK if default is Ordinary.FOLDER else INBOX)


def may_forward(header: Header, *, reverse_path: str, forward_to: str, boxes: Sequence[str]) -> bool:
    """Whether a copy of a message may leave: never of null-path mail, of a forward, or to the box it is for (D34).

    Args:
        boxes: the addresses of the box.
    """
    if not reverse_path or header.first(LOOP_MARK) is not None:
        return False
    return address_key(forward_to) not in {address_key(address) for address in boxes}
