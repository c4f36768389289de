"""Rules of a box: what its holder wants done with what comes in (design: points/box).

Pure: facts of a message in, what is to be done out. A rule never keeps a message from being delivered: the receipt that
says so has its own law. Forwarding comes after delivery and never instead of it (D34).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.points.marks import CALLED, RESERVED, Mark
from receipts.wire import MessageKind

__all__ = [
    "FORWARDED",
    "KINDS",
    "MAX_RULES",
    "MAX_VALUE",
    "Action",
    "Condition",
    "Copy",
    "Facts",
    "Field",
    "Outcome",
    "Rule",
    "Verdict",
    "judge",
    "mark_called",
]

NO_MARKS: Final = Mark(0)
MAX_RULES: Final = 100
MAX_VALUE: Final = 500  # characters


class Field(StrEnum):
    """What a condition looks at; texts are found anywhere in it, without regard to case."""

    SENDER = "sender"
    RECIPIENT = "recipient"  # any of them
    SUBJECT = "subject"
    SIGNER = "signer"  # the provider that signed it
    KIND = "kind"  # one of KINDS, or of MessageKind
    LARGER = "larger"  # bytes
    SMALLER = "smaller"


class Outcome(StrEnum):
    FOLDER = "folder"
    COPY = "copy"  # one more copy, in this folder; the message goes where it would go anyway
    MARK = "mark"
    FORWARD = "forward"  # a copy to an address; the message stays
    NOTIFY = "notify"  # a word to the box's notice address, without content


@dataclass(frozen=True, slots=True)
class Condition:
    field: Field
    value: str


@dataclass(frozen=True, slots=True)
class Action:
    outcome: Outcome
    value: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """All conditions must hold; with none, it is for every message."""

    conditions: tuple[Condition, ...]
    actions: tuple[Action, ...]
    stop: bool = False  # ask no rule after this one, if it holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What rules know of a message."""

    sender: str
    recipients: Sequence[str]
    subject: str
    signer: str
    kind: str
    size: int


@dataclass(frozen=True, slots=True)
class Copy:
    """One more copy of a message in the same box."""

    folder: str | None  # the name of one; None: where the message would go anyway
    marks: Mark = NO_MARKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be done."""

    folder: str | None = None  # the name of one; None: where it would go anyway
    marks: Mark = NO_MARKS
    copies: tuple[Copy, ...] = ()
    forward: str | None = None
    notify: bool = False  # at the notice address
    tell: tuple[str, ...] = ()  # at these addresses
    last: bool = False  # nobody else is to be asked

    def then(self, other: "Verdict") -> "Verdict":
        """Both, the other one asked later: the first folder and the first address win, the rest adds up."""
        copies = (*self.copies, *other.copies)
        folder = self.folder or other.folder
        return Verdict(
            folder=folder,
            marks=self.marks | other.marks,
            copies=tuple({copy.folder: copy for copy in copies if copy.folder != folder}.values()),
            forward=self.forward or other.forward,
            notify=self.notify or other.notify,
            tell=tuple(dict.fromkeys((*self.tell, *other.tell))),
            last=self.last or other.last,
        )


_RECEIPTS: Final = frozenset({MessageKind.ACCEPTANCE.value, MessageKind.DELIVERY.value, MessageKind.TAKE_CHARGE.value})
_ORDINARY: Final = frozenset({MessageKind.ANOMALY.value, "ordinary"})
_CERTIFIED: Final = frozenset({MessageKind.ENVELOPE.value})
KINDS: Final = {
    "certified": _CERTIFIED,
    "ordinary": _ORDINARY,
    "receipt": _RECEIPTS,
    "notice": frozenset({kind.value for kind in MessageKind} - _RECEIPTS - _ORDINARY - _CERTIFIED),
}
"""Names for several kinds of message."""
FORWARDED: Final = _CERTIFIED | _ORDINARY
"""Kinds of which a copy may leave: never of receipts and notices (D34)."""


def judge(rules: Iterable[Rule], facts: Facts) -> Verdict:
    """Ask the rules in their order. The first that names a folder or an address wins; marks add up."""
    folder = forward = None
    marks, notify, last = NO_MARKS, False, False
    copies: dict[str, Copy] = {}
    for rule in rules:
        if not all(_holds(condition, facts) for condition in rule.conditions):
            continue
        for action in rule.actions:
            match action.outcome:
                case Outcome.FOLDER:
                    folder = folder or action.value
                case Outcome.COPY:
                    copies.setdefault(action.value, Copy(action.value))
                case Outcome.MARK:
                    marks |= mark_called(action.value) or NO_MARKS
                case Outcome.FORWARD:
                    forward = forward or action.value
                case Outcome.NOTIFY:
                    notify = True
        if rule.stop:
            last = True
            break
    return Verdict(
        folder=folder,
        marks=marks,
        copies=tuple(copy for copy in copies.values() if copy.folder != folder),
        forward=forward if facts.kind in FORWARDED else None,
        notify=notify,
        last=last,
    )


def mark_called(name: str) -> Mark | None:
    """A mark that a rule may set, by its name with or without the backslash; None if there is none."""
    found = CALLED.get(name.lower()) or CALLED.get(f"\\{name.lower()}")
    return None if found is None or found & (RESERVED | Mark.DELETED) else found


def _holds(condition: Condition, facts: Facts) -> bool:
    wanted = condition.value.casefold()
    match condition.field:
        case Field.SENDER:
            return wanted in facts.sender.casefold()
        case Field.RECIPIENT:
            return any(wanted in recipient.casefold() for recipient in facts.recipients)
        case Field.SUBJECT:
            return wanted in facts.subject.casefold()
        case Field.SIGNER:
            return wanted in facts.signer.casefold()
        case Field.KIND:
            return facts.kind in KINDS.get(wanted, {wanted})
        case Field.LARGER:
            return facts.size > int(condition.value)
        case Field.SMALLER:
            return facts.size < int(condition.value)
