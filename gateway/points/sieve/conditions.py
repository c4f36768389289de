"""Tests of a Sieve script, understood: what is compared, how, and with which texts (RFC 5228 section 5)."""

import re
from collections.abc import Sequence
from typing import Final

from gateway.points.rules import KINDS
from gateway.points.sieve.dates import PARTS, is_zone
from gateway.points.sieve.grammar import Command
from gateway.points.sieve.limits import MAX_KEY
from gateway.points.sieve.methods import notified_address
from gateway.points.sieve.script import (
    Address,
    AddressPart,
    AllOf,
    Always,
    AnyOf,
    Certified,
    Comparator,
    Date,
    Envelope,
    Exists,
    Facet,
    HasFlag,
    Header,
    MailboxExists,
    Match,
    MatchType,
    Not,
    Relation,
    Size,
    Test,
    Words,
)
from gateway.points.sieve.shapes import TESTS, Given, given
from gateway.points.sieve.tokens import Place
from receipts.wire import MessageKind

__all__ = ["condition"]

_FIELD_NAME: Final = re.compile(r"[!-9;-~]{1,200}")
_MATCH_TYPES: Final = {
    "is": MatchType.IS,
    "contains": MatchType.CONTAINS,
    "matches": MatchType.MATCHES,
    "value": MatchType.VALUE,
    "count": MatchType.COUNT,
}
_PARTS: Final = {
    "all": AddressPart.ALL,
    "localpart": AddressPart.LOCAL,
    "domain": AddressPart.DOMAIN,
    "user": AddressPart.USER,
    "detail": AddressPart.DETAIL,
}
_WITH_ADDRESSES: Final = frozenset(
    """from to cc bcc sender reply-to resent-from resent-to resent-cc resent-bcc resent-sender resent-reply-to
    return-path delivered-to x-original-to disposition-notification-to mail-followup-to mail-reply-to
    errors-to""".split()  # noqa: SIM905
)
"""Fields that hold addresses: the test ``address`` looks at no other (RFC 5228 section 5.1)."""
_EVERY_KIND: Final = frozenset({*KINDS, *(kind.value for kind in MessageKind)})


def condition(command: Command, required: frozenset[str]) -> Test:
    """The test that is written there. Raises ScriptRefused."""
    shape = TESTS.get(command.name)
    if shape is None:
        raise command.place.refuse(f"{command.name[:40]}: there is no such test")
    asked = given(command, shape, required)
    match command.name:
        case "true" | "false":
            return Always(command.name == "true")
        case "not":
            return Not(condition(command.tests[0], required))
        case "allof":
            return AllOf(tuple(condition(one, required) for one in command.tests))
        case "anyof":
            return AnyOf(tuple(condition(one, required) for one in command.tests))
    return _single(asked, required)


def _single(asked: Given, required: frozenset[str]) -> Test:
    match asked.command.name:
        case "size":
            return _size(asked)
        case "exists":
            return Exists(_field_names(asked))
        case "header":
            return Header(_field_names(asked), _match(asked, 1, required))
        case "address":
            return Address(_address_fields(asked), _part(asked), _match(asked, 1, required))
        case "envelope":
            return Envelope(_envelope_parts(asked), _part(asked), _match(asked, 1, required))
        case "date" | "currentdate":
            return _date(asked, required)
        case "hasflag":
            return HasFlag(_match(asked, 0, required))
        case "mailboxexists":
            return MailboxExists(asked.texts(0))
        case "certified":
            return _certified(asked, required)
        case "valid_notify_method":
            return Always(all(notified_address(uri) is not None for uri in asked.texts(0)))
        case _:
            return _capability(asked, required)


def _size(asked: Given) -> Size:
    for name, argument in asked.tags.items():
        assert argument is not None
        assert isinstance(argument.value, int)
        return Size(name == "over", argument.value)
    raise asked.command.place.refuse("size: :over or :under is missing")


def _date(asked: Given, required: frozenset[str]) -> Date:
    current = asked.command.name == "currentdate"
    zone, part = asked.tagged("zone"), asked.text(0 if current else 1).lower()
    if zone is not None and not is_zone(zone[0]):
        raise asked.command.place.refuse('a zone is written as in "+0100"')
    if part not in PARTS:
        raise asked.place(0 if current else 1).refuse(f"a part of a date is one of {', '.join(PARTS)}")
    return Date(
        header=None if current else _field_name(asked.text(0), asked.place(0)),
        zone=None if zone is None else zone[0],
        original="originalzone" in asked.tags,
        part=part,
        match=_match(asked, 1 if current else 2, required),
    )


def _certified(asked: Given, required: frozenset[str]) -> Certified:
    try:
        facet = Facet(asked.text(0).lower())
    except ValueError:
        raise asked.place(0).refuse(f"certified: the first text is one of {', '.join(Facet)}") from None
    match = _match(asked, 1, required)
    if facet is Facet.KIND and match.type is MatchType.IS:
        strange = [key for key in match.keys if key.lower() not in _EVERY_KIND]
        if strange:
            raise asked.place(1).refuse(f"{strange[0][:40]!r}: a kind is one of {', '.join(sorted(_EVERY_KIND))}")
    return Certified(facet, match)


def _capability(asked: Given, required: frozenset[str]) -> Words:
    """RFC 5435 section 6: nobody knows beforehand whether somebody reads his mail now."""
    known = notified_address(asked.text(0)) is not None and asked.text(1).lower() == "online"
    return Words(("maybe",) if known else (), _match(asked, 2, required))


def _part(asked: Given) -> AddressPart:
    return next((part for name, part in _PARTS.items() if name in asked.tags), AddressPart.ALL)


def _match(asked: Given, place: int, required: frozenset[str]) -> Match:
    """The comparison a test asks for; its texts stand at ``place``."""
    name = next((name for name in _MATCH_TYPES if name in asked.tags), "is")
    type_, comparator = _MATCH_TYPES[name], _comparator(asked, required)
    relation = _relation(name, asked)
    if comparator is Comparator.NUMERIC and type_ in (MatchType.CONTAINS, MatchType.MATCHES):
        raise asked.command.place.refuse(f":{name}: {comparator} compares whole numbers")
    keys = asked.texts(place)
    if any(len(key) > MAX_KEY for key in keys):
        raise asked.place(place).refuse(f"a text that is looked for has at most {MAX_KEY} characters")
    return Match(type_, comparator, keys, relation)


def _comparator(asked: Given, required: frozenset[str]) -> Comparator:
    texts = asked.tagged("comparator")
    if texts is None:
        return Comparator.CASEMAP
    try:
        comparator = Comparator(texts[0])
    except ValueError:
        raise asked.command.place.refuse(f"a comparator is one of {', '.join(Comparator)}") from None
    if comparator is Comparator.NUMERIC and f"comparator-{comparator}" not in required:
        raise asked.command.place.refuse(f'{comparator}: require "comparator-{comparator}" is missing')
    return comparator


def _relation(name: str, asked: Given) -> Relation | None:
    texts = asked.tagged(name)
    if texts is None:
        return None
    try:
        return Relation(texts[0].lower())
    except ValueError:
        raise asked.command.place.refuse(f":{name} is one of {', '.join(Relation)}") from None


def _field_names(asked: Given) -> tuple[str, ...]:
    return tuple(_field_name(name, asked.place(0)) for name in asked.texts(0))


def _field_name(name: str, place: Place) -> str:
    if _FIELD_NAME.fullmatch(name) is None:
        raise place.refuse(f"{name[:80]!r}: no name of a header field")
    return name.lower()


def _address_fields(asked: Given) -> tuple[str, ...]:
    names = _field_names(asked)
    _refuse_others(names, _WITH_ADDRESSES, asked.place(0), "address: no field that holds addresses; use header")
    return names


def _envelope_parts(asked: Given) -> tuple[str, ...]:
    names = tuple(name.lower() for name in asked.texts(0))
    _refuse_others(names, frozenset({"from", "to"}), asked.place(0), 'envelope: the parts are "from" and "to"')
    return names


def _refuse_others(names: Sequence[str], known: frozenset[str], place: Place, reason: str) -> None:
    strange = next((name for name in names if name not in known), None)
    if strange is not None:
        raise place.refuse(f"{strange[:80]!r}: {reason}")
