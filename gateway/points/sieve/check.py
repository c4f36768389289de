"""From commands to a script that is understood: everything that can be known of it beforehand is checked here."""

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.points.box import is_folder_name
from gateway.points.marks import Mark
from gateway.points.rules import mark_called
from gateway.points.sieve.conditions import condition
from gateway.points.sieve.grammar import Command, commands
from gateway.points.sieve.methods import notified_address
from gateway.points.sieve.script import (
    EXTENSIONS,
    Always,
    Discard,
    FileInto,
    Flags,
    FlagsAct,
    If,
    Keep,
    Notify,
    Redirect,
    Script,
    Step,
    Stop,
    Test,
)
from gateway.points.sieve.shapes import ACTIONS, Given, given
from gateway.points.sieve.tokens import Place
from receipts.identifiers import is_smtp_address

__all__ = ["understood"]

_NO_REFUSAL: Final = "certified mail cannot be refused or sent back once it is here: its delivery receipt has been sent"
_NO_REPLY: Final = "a reply from a certified mailbox is an act of its holder: none is written by itself"
_UNAVAILABLE: Final[Mapping[str, str]] = {
    "reject": _NO_REFUSAL,
    "ereject": _NO_REFUSAL,
    "vacation": _NO_REPLY,
    "vacation-seconds": _NO_REPLY,
    "regex": "regular expressions can take for ever; use :matches",
    "editheader": "mail lies in a certified mailbox as it was delivered: its bytes do not change",
    "replace": "mail lies in a certified mailbox as it was delivered: its bytes do not change",
    "imapflags": 'this is the old word for "imap4flags"',
    "notify": 'this is the old word for "enotify"',
}
"""What people may look for, and why it is not here."""
_FLAG_ACTS: Final = {"setflag": FlagsAct.SET, "addflag": FlagsAct.ADD, "removeflag": FlagsAct.REMOVE}


def understood(script: bytes) -> Script:
    """The script in these bytes.

    Raises:
        ScriptRefused: the first thing that is wrong with it, by line and column.
    """
    required: set[str] = set()
    rest = list(commands(script))
    while rest and rest[0].name == "require":
        required |= _required(rest.pop(0))
    return Script(_steps(rest, frozenset(required)))


def _required(command: Command) -> frozenset[str]:
    asked = given(command, ACTIONS["require"], frozenset())
    for name in asked.texts(0):
        if name not in EXTENSIONS:
            raise asked.place(0).refuse(f'"{name[:80]}" is not available' + _because(name))
    return frozenset(asked.texts(0))


def _because(name: str) -> str:
    reason = _UNAVAILABLE.get(name)
    return f": {reason}" if reason else ""


def _steps(block: Sequence[Command], required: frozenset[str]) -> tuple[Step, ...]:
    steps: list[Step] = []
    rest = list(reversed(block))
    while rest:
        command = rest.pop()
        if command.name == "if":
            branches = [command]
            while rest and rest[-1].name in ("elsif", "else") and branches[-1].name != "else":
                branches.append(rest.pop())
            steps.append(If(tuple(_branch(one, required) for one in branches)))
        else:
            steps.append(_step(command, required))
    return tuple(steps)


def _branch(command: Command, required: frozenset[str]) -> tuple[Test, tuple[Step, ...]]:
    given(command, ACTIONS[command.name], required)
    test: Test = Always(True) if command.name == "else" else condition(command.tests[0], required)
    assert command.block is not None
    return test, _steps(command.block, required)


def _step(command: Command, required: frozenset[str]) -> Step:
    name = command.name
    if name in ("elsif", "else"):
        raise command.place.refuse(f"{name}: no if stands before it")
    if name == "require":
        raise command.place.refuse("require stands before everything else")
    if name not in ACTIONS:
        raise command.place.refuse(f"{name[:40]}: there is no such command" + _because(name))
    return _action(given(command, ACTIONS[name], required))


def _action(asked: Given) -> Step:
    match asked.command.name:
        case "keep":
            return Keep(_tagged_marks(asked))
        case "fileinto":
            return FileInto(
                _folder(asked.text(0), asked.place(0)),
                copy="copy" in asked.tags,
                create="create" in asked.tags,
                marks=_tagged_marks(asked),
            )
        case "redirect":
            return Redirect(_address(asked.text(0), asked.place(0)))
        case "notify":
            return Notify(_notified(asked))
        case "discard":
            return Discard()
        case "stop":
            return Stop()
        case flags:
            return Flags(_FLAG_ACTS[flags], _marks(asked.texts(0), asked.place(0)))


def _tagged_marks(asked: Given) -> Mark | None:
    texts = asked.tagged("flags")
    return None if texts is None else _marks(texts, asked.command.place)


def _marks(texts: Sequence[str], place: Place) -> Mark:
    """Marks by their names, several in a text with spaces between them (RFC 5232 section 2)."""
    marks = Mark(0)
    for name in (name for text in texts for name in text.split(" ") if name):
        mark = mark_called(name)
        if mark is None:
            raise place.refuse(f"{name[:80]}: no mark that a script may set")
        marks |= mark
    return marks


def _folder(name: str, place: Place) -> str:
    name = "INBOX" if name.upper() == "INBOX" else name
    if not is_folder_name(name):
        raise place.refuse(f"{name[:80]!r}: no folder can be called so")
    return name


def _address(text: str, place: Place) -> str:
    if not is_smtp_address(text):
        raise place.refuse(f"{text[:80]!r}: no address")
    return text


def _notified(asked: Given) -> str:
    address = notified_address(asked.text(0))
    if address is None:
        raise asked.place(0).refuse('a notice goes to one address, as in "mailto:anna@example.org"')
    importance = asked.tagged("importance")
    if importance is not None and importance[0] not in ("1", "2", "3"):
        raise asked.command.place.refuse(":importance is 1, 2 or 3")
    return address
