"""What each Sieve command and test takes, as a table, and the taking of its arguments (RFC 5228 section 2.6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from gateway.points.sieve.grammar import Argument, Command, Tag
from gateway.points.sieve.script import CERTIFIED
from gateway.points.sieve.tokens import Place

__all__ = ["ACTIONS", "TAGS", "TESTS", "Given", "Kind", "Shape", "given"]


class Kind(Enum):
    """What an argument is."""

    NUMBER = auto()
    TEXT = auto()
    TEXTS = auto()


class Inner(Enum):
    """How many tests stand behind the arguments."""

    NONE = auto()
    ONE = auto()
    MANY = auto()  # in parentheses


@dataclass(frozen=True, slots=True)
class Shape:
    """One row: tags it may bear, what stands in place, and what must be required for it."""

    tags: frozenset[str] = frozenset()
    places: tuple[Kind, ...] = ()
    inner: Inner = Inner.NONE
    block: bool = False
    extension: str | None = None


@dataclass(frozen=True, slots=True)
class TagShape:
    """What follows a tag, and what must be required for it."""

    value: Kind | None = None
    extension: str | None = None
    group: str = ""
    """Of tags with one group only one may stand."""


_MATCH: Final = frozenset({"is", "contains", "matches", "value", "count", "comparator"})
_PART: Final = frozenset({"all", "localpart", "domain", "user", "detail"})

TAGS: Final[Mapping[str, TagShape]] = {
    "is": TagShape(group="match"),
    "contains": TagShape(group="match"),
    "matches": TagShape(group="match"),
    "value": TagShape(Kind.TEXT, "relational", "match"),
    "count": TagShape(Kind.TEXT, "relational", "match"),
    "comparator": TagShape(Kind.TEXT),
    "all": TagShape(group="part"),
    "localpart": TagShape(group="part"),
    "domain": TagShape(group="part"),
    "user": TagShape(extension="subaddress", group="part"),
    "detail": TagShape(extension="subaddress", group="part"),
    "over": TagShape(Kind.NUMBER, group="size"),
    "under": TagShape(Kind.NUMBER, group="size"),
    "copy": TagShape(extension="copy"),
    "create": TagShape(extension="mailbox"),
    "flags": TagShape(Kind.TEXTS, "imap4flags"),
    "zone": TagShape(Kind.TEXT, group="zone"),
    "originalzone": TagShape(group="zone"),
    "from": TagShape(Kind.TEXT),
    "importance": TagShape(Kind.TEXT),
    "options": TagShape(Kind.TEXTS),
    "message": TagShape(Kind.TEXT),
}
ACTIONS: Final[Mapping[str, Shape]] = {
    "require": Shape(places=(Kind.TEXTS,)),
    "if": Shape(inner=Inner.ONE, block=True),
    "elsif": Shape(inner=Inner.ONE, block=True),
    "else": Shape(block=True),
    "stop": Shape(),
    "keep": Shape(frozenset({"flags"})),
    "discard": Shape(),
    "redirect": Shape(frozenset({"copy"}), (Kind.TEXT,)),
    "fileinto": Shape(frozenset({"copy", "create", "flags"}), (Kind.TEXT,), extension="fileinto"),
    "setflag": Shape(places=(Kind.TEXTS,), extension="imap4flags"),
    "addflag": Shape(places=(Kind.TEXTS,), extension="imap4flags"),
    "removeflag": Shape(places=(Kind.TEXTS,), extension="imap4flags"),
    "notify": Shape(frozenset({"from", "importance", "options", "message"}), (Kind.TEXT,), extension="enotify"),
}
TESTS: Final[Mapping[str, Shape]] = {
    "true": Shape(),
    "false": Shape(),
    "not": Shape(inner=Inner.ONE),
    "allof": Shape(inner=Inner.MANY),
    "anyof": Shape(inner=Inner.MANY),
    "size": Shape(frozenset({"over", "under"})),
    "exists": Shape(places=(Kind.TEXTS,)),
    "header": Shape(_MATCH, (Kind.TEXTS, Kind.TEXTS)),
    "address": Shape(_MATCH | _PART, (Kind.TEXTS, Kind.TEXTS)),
    "envelope": Shape(_MATCH | _PART, (Kind.TEXTS, Kind.TEXTS), extension="envelope"),
    "date": Shape(_MATCH | {"zone", "originalzone"}, (Kind.TEXT, Kind.TEXT, Kind.TEXTS), extension="date"),
    "currentdate": Shape(_MATCH | {"zone"}, (Kind.TEXT, Kind.TEXTS), extension="date"),
    "hasflag": Shape(_MATCH, (Kind.TEXTS,), extension="imap4flags"),
    "mailboxexists": Shape(places=(Kind.TEXTS,), extension="mailbox"),
    "valid_notify_method": Shape(places=(Kind.TEXTS,), extension="enotify"),
    "notify_method_capability": Shape(_MATCH, (Kind.TEXT, Kind.TEXT, Kind.TEXTS), extension="enotify"),
    "certified": Shape(_MATCH, (Kind.TEXT, Kind.TEXTS), extension=CERTIFIED),
}


@dataclass(frozen=True, slots=True)
class Given:
    """The arguments of one command, each of the kind that its shape asks for."""

    command: Command
    tags: Mapping[str, Argument | None]  # by name; None: no value stands behind it
    places: tuple[Argument, ...]

    def texts(self, number: int) -> tuple[str, ...]:
        """What stands at this place, from 0."""
        value = self.places[number].value
        assert isinstance(value, tuple)
        return value

    def text(self, number: int) -> str:
        return self.texts(number)[0]

    def place(self, number: int) -> Place:
        return self.places[number].place

    def tagged(self, name: str) -> tuple[str, ...] | None:
        """The texts behind a tag; None if it does not stand there."""
        argument = self.tags.get(name)
        return argument.value if argument is not None and isinstance(argument.value, tuple) else None


def given(command: Command, shape: Shape, required: frozenset[str]) -> Given:
    """The arguments of a command. Raises ScriptRefused if they do not fit its shape."""
    name = command.name
    if shape.extension is not None and shape.extension not in required:
        raise command.place.refuse(f'{name}: require "{shape.extension}" is missing')
    tags: dict[str, Argument | None] = {}
    places: list[Argument] = []
    rest = iter(command.arguments)
    for argument in rest:
        if not isinstance(argument.value, Tag):
            places.append(argument)
            continue
        if places:
            raise argument.place.refuse(f"{name}: :{argument.value.name} must stand before what has no name")
        _check_tag(name, argument.value.name, argument.place, shape, tags, required)
        kind = TAGS[argument.value.name].value
        value = None if kind is None else next(rest, None)
        if kind is not None:
            _check_kind(f":{argument.value.name}", value, kind, argument.place)
        tags[argument.value.name] = value
    _check_places(command, shape, places)
    _check_inner(command, shape)
    return Given(command, tags, tuple(places))


def _check_tag(
    name: str,
    tag: str,
    place: Place,
    shape: Shape,
    before: Mapping[str, Argument | None],
    required: frozenset[str],
) -> None:
    if tag not in shape.tags:
        raise place.refuse(f"{name}: there is no :{tag[:40]}")
    wanted, group = TAGS[tag].extension, TAGS[tag].group
    if wanted is not None and wanted not in required:
        raise place.refuse(f':{tag}: require "{wanted}" is missing')
    rival = next((other for other in before if other == tag or (group and TAGS[other].group == group)), None)
    if rival is not None:
        raise place.refuse(f"{name}: :{rival} and :{tag} cannot stand together")


def _check_places(command: Command, shape: Shape, places: list[Argument]) -> None:
    if len(places) != len(shape.places):
        raise command.place.refuse(f"{command.name}: {len(shape.places)} arguments without a name, not {len(places)}")
    for argument, kind in zip(places, shape.places, strict=True):
        _check_kind(command.name, argument, kind, argument.place)


def _check_kind(name: str, argument: Argument | None, kind: Kind, place: Place) -> None:
    fits = argument is not None and (
        isinstance(argument.value, int)
        if kind is Kind.NUMBER
        else isinstance(argument.value, tuple) and (kind is Kind.TEXTS or not argument.listed)
    )
    if not fits:
        wanted = {Kind.NUMBER: "a number", Kind.TEXT: "one text", Kind.TEXTS: "a text or a list of texts"}[kind]
        raise (place if argument is None else argument.place).refuse(f"{name}: {wanted} is expected")


def _check_inner(command: Command, shape: Shape) -> None:
    if shape.inner is Inner.NONE and command.tests:
        raise command.tests[0].place.refuse(f"{command.name}: no test stands here")
    if shape.inner is Inner.ONE and (len(command.tests) != 1 or command.several):
        raise command.place.refuse(f"{command.name}: one test is expected")
    if shape.inner is Inner.MANY and not command.several:
        raise command.place.refuse(f"{command.name}: tests in parentheses are expected")
    if shape.block != (command.block is not None):
        raise command.place.refuse(f"{command.name}: {'a block' if shape.block else 'a semicolon'} is expected")
