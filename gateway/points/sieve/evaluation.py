"""A script asked about a message: what it wants done, in bounded work (RFC 5228 section 2.10, 4)."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from gateway.points.marks import NAMES, Mark
from gateway.points.sieve.dates import date_in, in_zone, part_of
from gateway.points.sieve.errors import ScriptFailed
from gateway.points.sieve.limits import MAX_COPIES, MAX_NOTICES, MAX_STEPS, READ_AT_ONCE
from gateway.points.sieve.mail import Mail, part_of_address
from gateway.points.sieve.matching import cost, matches
from gateway.points.sieve.script import (
    Address,
    AddressPart,
    AllOf,
    Always,
    AnyOf,
    Certified,
    Date,
    Discard,
    Envelope,
    Exists,
    FileInto,
    Flags,
    FlagsAct,
    HasFlag,
    Header,
    If,
    Keep,
    MailboxExists,
    Not,
    Notify,
    Redirect,
    Script,
    Size,
    Step,
    Stop,
    Test,
    Words,
)

__all__ = ["Wanted", "asked"]

_NO_MARKS = Mark(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a script wants done. It is for ``verdict`` to say what of that may be."""

    places: tuple[tuple[str | None, Mark], ...]  # folders in their order; None: where it would go anyway
    forwards: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def asked(script: Script, mail: Mail) -> Wanted:
    """Ask a script about a message.

    Raises:
        ScriptFailed: it does too much; nothing of what it wanted counts.
    """
    run = _Run(mail)
    with suppress(_Stopped):
        run.block(script.steps)
    return run.wanted()


class _Stopped(Exception):
    """The script said stop."""


@dataclass(slots=True)
class _Run:
    mail: Mail
    steps: int = 0
    marks: Mark = _NO_MARKS
    implicit: bool = True
    """Nothing has cancelled the implicit keep."""
    places: dict[str | None, Mark] = field(default_factory=dict)
    forwards: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    read: dict[tuple[str, bool], Sequence[str]] = field(default_factory=dict)
    """What stands in the fields of a name, as texts or as addresses: reading it is the dearest of all."""

    def wanted(self) -> Wanted:
        if self.implicit:
            self.place(None, self.marks)
        return Wanted(places=tuple(self.places.items()), forwards=tuple(self.forwards), notices=tuple(self.notices))

    def block(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self.spend(1)
            self.step(step)

    def step(self, step: Step) -> None:
        match step:
            case If():
                self.block(next((steps for test, steps in step.branches if self.holds(test)), ()))
            case Keep(marks):
                self.implicit = False
                self.place(None, self.marks if marks is None else marks)
            case FileInto():
                self.implicit = self.implicit and step.copy
                self.place(step.folder, self.marks if step.marks is None else step.marks)
            case Redirect(address):
                if address not in self.forwards:
                    self.forwards.append(address)
            case Notify(address):
                self.notify(address)
            case Flags(act, marks):
                self.flag(act, marks)
            case Discard():
                self.implicit = False
            case Stop():
                raise _Stopped

    def place(self, folder: str | None, marks: Mark) -> None:
        """One more folder, or more marks in one that has it already."""
        self.places[folder] = self.places.get(folder, _NO_MARKS) | marks
        if len(self.places) > MAX_COPIES:
            raise ScriptFailed(f"it puts a message into more than {MAX_COPIES} folders")

    def notify(self, address: str) -> None:
        if address not in self.notices:
            self.notices.append(address)
        if len(self.notices) > MAX_NOTICES:
            raise ScriptFailed(f"it sends more than {MAX_NOTICES} notices about a message")

    def flag(self, act: FlagsAct, marks: Mark) -> None:
        match act:
            case FlagsAct.SET:
                self.marks = marks
            case FlagsAct.ADD:
                self.marks |= marks
            case FlagsAct.REMOVE:
                self.marks &= ~marks

    def spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise ScriptFailed("it takes too many steps")

    def holds(self, test: Test) -> bool:
        self.spend(1)
        match test:
            case Always(holds):
                return holds
            case Not(inner):
                return not self.holds(inner)
            case AllOf(tests):
                return all(self.holds(inner) for inner in tests)
            case AnyOf(tests):
                return any(self.holds(inner) for inner in tests)
            case Size(over, limit):
                return self.mail.facts.size > limit if over else self.mail.facts.size < limit
            case Exists(names):
                self.spend(len(names))
                return all(self.mail.has(name) for name in names)
            case MailboxExists(names):
                return all(name in self.mail.folders for name in names)
            case _:
                found = self.found(test)
                self.spend(cost(test.match, found))
                return matches(test.match, found)

    def found(self, test: Header | Address | Envelope | Date | HasFlag | Certified | Words) -> Sequence[str]:
        """The texts that a test compares."""
        match test:
            case Header(names):
                return [text for name in self.each(names) for text in self.fields(name)]
            case Address(names, part):
                addresses = [text for name in self.each(names) for text in self.fields(name, addresses=True)]
                return self.parts(addresses, part)
            case Envelope(names, part):
                return self.envelope(names, part)
            case Date():
                return self.date(test)
            case HasFlag():
                return [name for mark, name in NAMES.items() if mark & self.marks]
            case Certified(facet):
                return self.mail.facet(facet)
            case Words(words):
                return words

    def fields(self, name: str, *, addresses: bool = False) -> Sequence[str]:
        """The texts or addresses in the fields of a name, read once. They count as often as they are asked for."""
        found = self.read.get((name, addresses))
        if found is None:
            self.spend(self.mail.length(name) // READ_AT_ONCE)
            found = self.mail.addresses(name) if addresses else self.mail.texts(name)
            self.read[name, addresses] = found
        self.spend(len(found))
        return found

    def each(self, names: Sequence[str]) -> Sequence[str]:
        self.spend(len(names))
        return names

    def parts(self, addresses: Sequence[str], part: AddressPart) -> Sequence[str]:
        found = (part_of_address(address, part, self.mail.separator) for address in addresses)
        return [one for one in found if one is not None]

    def envelope(self, names: Sequence[str], part: AddressPart) -> Sequence[str]:
        """The null reverse path is an empty text, whatever part of it is asked for (RFC 5228 section 5.4)."""
        found: list[str] = []
        for name in self.each(names):
            path = self.mail.forward_path if name == "to" else self.mail.reverse_path
            found += self.parts([path], part) if path else [""]
        return found

    def date(self, test: Date) -> Sequence[str]:
        """The part of one date: of the first field of that name, as RFC 5260 section 4 wants it."""
        if test.header is None:
            at = self.mail.at
        else:
            fields = self.fields(test.header)
            dated = date_in(fields[0]) if fields else None
            if dated is None:
                return []
            at = dated
        if test.zone is not None:
            at = in_zone(at, test.zone)
        elif not test.original:
            at = _legal(at, self.mail)
        return [part_of(at, test.part)]


def _legal(at: datetime, mail: Mail) -> datetime:
    """The moment in the zone of the arrival; one at the edge of the calendar stays where it is."""
    try:
        return at.astimezone(mail.at.tzinfo)
    except OverflowError:
        return at
