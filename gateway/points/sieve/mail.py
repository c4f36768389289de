"""What a script sees of a message: its header as it lies in the box, its envelope, and what rules know of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gateway.points.rules import KINDS, Facts
from gateway.points.sieve.script import AddressPart, Facet
from receipts.fields import decode_words
from receipts.identifiers import parse_address_list
from receipts.scanner import Header

__all__ = ["Mail", "part_of_address"]

_LONGEST: Final = 65_536
"""Characters of a field that are looked at, as many as the scanner takes for a field without a fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A message that is about to be filed."""

    header: Header
    reverse_path: str  # empty for the null reverse path
    forward_path: str
    at: datetime  # of its arrival, in legal time
    facts: Facts
    folders: Collection[str] = field(default=())  # that the box has, by name
    separator: str = "+"  # between user and detail of an address

    def has(self, name: str) -> bool:
        return bool(self.header.all(name))

    def length(self, name: str) -> int:
        """Bytes that are looked at in the fields of a name."""
        return sum(min(_LONGEST, len(one.value)) for one in self.header.all(name))

    def texts(self, name: str) -> Sequence[str]:
        """The fields of a name as people read them, without white space around them."""
        return [decode_words(one.value[:_LONGEST]).strip() for one in self.header.all(name)]

    def addresses(self, name: str) -> Sequence[str]:
        """The bare addresses in the fields of a name."""
        return [
            address for one in self.header.all(name) for address in parse_address_list(one.value[:_LONGEST]).addresses
        ]

    def facet(self, facet: Facet) -> Sequence[str]:
        """What rules know; for the kind its own name and those of the groups it is in."""
        facts = self.facts
        match facet:
            case Facet.KIND:
                return list(
                    dict.fromkeys([facts.kind, *(name for name, kinds in KINDS.items() if facts.kind in kinds)])
                )
            case Facet.SIGNER:
                return [facts.signer] if facts.signer else []
            case Facet.SENDER:
                return [facts.sender]
            case Facet.RECIPIENT:
                return facts.recipients
            case Facet.SUBJECT:
                return [facts.subject]


def part_of_address(address: str, part: AddressPart, separator: str) -> str | None:
    """A part of an address; None if it has none such (RFC 5228 section 2.7.4, RFC 5233 section 4)."""
    local, at, domain = address.rpartition("@")
    match part:
        case AddressPart.ALL:
            return address
        case AddressPart.LOCAL:
            return local if at else address
        case AddressPart.DOMAIN:
            return domain if at else None
        case AddressPart.USER:
            return local.partition(separator)[0]
        case AddressPart.DETAIL:
            _, found, detail = local.partition(separator)
            return detail if found else None
