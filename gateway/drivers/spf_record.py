"""An SPF record taken apart: mechanisms, modifiers, macros (RFC 7208 sections 4.6 to 7). Asks nobody anything."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final
from urllib.parse import quote

from gateway.points.authentication import Result

__all__ = ["BadRecord", "Directive", "Letters", "Record", "expanded", "parse_record"]

IPAddress = IPv4Address | IPv6Address
Letters = Mapping[str, str]
"""What the macro letters stand for: ``s l o d i v h``."""

QUALIFIERS: Final = {"+": Result.PASS, "-": Result.FAIL, "~": Result.SOFTFAIL, "?": Result.NEUTRAL}
MAX_RECORD: Final = 2_000  # bytes that are looked at
MAX_NAME: Final = 253

_MACRO = r"%\{[slodiphcrtvSLODIPHCRTV][0-9]{0,3}[rR]?[-.+,/_=]{0,20}\}"
_MACRO_STRING = re.compile(rf"(?:{_MACRO}|%[%_-]|[!-$&-~])*+")
_LAST_MACRO = re.compile(rf".*{_MACRO}")
_TOP_LABEL = re.compile(r"(?![0-9]+\Z)[A-Za-z0-9](?:[A-Za-z0-9-]*+(?<!-))?")
_DIRECTIVE = re.compile(r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?![A-Za-z0-9_.=-])(.*)", re.IGNORECASE)
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)")
_CIDR = re.compile(r"(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?\Z")
_LONGEST_CIDR = len("/32//128")
_ONE_MACRO = re.compile(r"%(?:\{([A-Za-z])([0-9]{0,3})([rR]?)([-.+,/_=]*)\}|([%_-]))")


class BadRecord(ValueError):
    """The record breaks the grammar: permerror, whatever else it says (4.6)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directive:
    """A mechanism, and the result if it matches."""

    result: Result
    mechanism: str
    domain: str = ""  # a domain-spec with its macros; empty: the domain asked about
    network: IPv4Network | IPv6Network | None = None
    prefix4: int = 32
    prefix6: int = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    directives: tuple[Directive, ...]
    redirect: str | None


def parse_record(text: str) -> Record:
    """Raises BadRecord."""
    if len(text) > MAX_RECORD:
        raise BadRecord("too long")
    directives: list[Directive] = []
    modifiers: dict[str, str] = {}
    for term in text.split(" ")[1:]:
        if not term:
            continue
        found = _DIRECTIVE.fullmatch(term)
        if found is not None:
            directives.append(_directive(QUALIFIERS[found[1] or "+"], found[2].lower(), found[3]))
            continue
        modifier = _MODIFIER.fullmatch(term)
        if modifier is None:
            raise BadRecord(f"{term[:50]}: neither mechanism nor modifier")
        name = modifier[1].lower()
        known = name in ("redirect", "exp")
        if known and name in modifiers:
            raise BadRecord(f"{name} stands twice")
        if not (_is_domain_spec(modifier[2]) if known else _MACRO_STRING.fullmatch(modifier[2])):
            raise BadRecord(f"{name}: not a domain")
        modifiers[name] = modifier[2]
    return Record(directives=tuple(directives), redirect=modifiers.get("redirect"))


def expanded(spec: str, letters: Letters) -> str:
    """A domain-spec with its macros replaced, shortened from the left to what a name may have (7.3).

    Raises BadRecord for letters that may stand in explanations only.
    """
    name = "".join(_expand(spec, letters)).removesuffix(".")
    while len(name) > MAX_NAME and "." in name:
        name = name.partition(".")[2]
    return name


def _directive(result: Result, mechanism: str, rest: str) -> Directive:
    if mechanism == "all":
        if rest:
            raise BadRecord("all takes nothing")
        return Directive(result=result, mechanism=mechanism)
    if mechanism in ("ip4", "ip6"):
        return Directive(result=result, mechanism=mechanism, network=_network(mechanism, rest))
    if mechanism in ("a", "mx"):
        return _host(result, mechanism, rest)
    if not rest and mechanism == "ptr":
        return Directive(result=result, mechanism=mechanism)
    return Directive(result=result, mechanism=mechanism, domain=_domain(mechanism, rest))


def _host(result: Result, mechanism: str, rest: str) -> Directive:
    found = _CIDR.search(rest, max(0, len(rest) - _LONGEST_CIDR))
    assert found is not None  # it matches nothing at all at the end
    prefix4, prefix6 = int(found[1] or 32), int(found[2] or 128)
    if prefix4 > 32 or prefix6 > 128:
        raise BadRecord(f"{mechanism}: prefix too long")
    spec = rest[: found.start()]
    domain = _domain(mechanism, spec) if spec else ""
    return Directive(result=result, mechanism=mechanism, domain=domain, prefix4=prefix4, prefix6=prefix6)


def _domain(mechanism: str, rest: str) -> str:
    if not rest.startswith(":") or not _is_domain_spec(rest[1:]):
        raise BadRecord(f"{mechanism}: not a domain")
    return rest[1:]


def _is_domain_spec(text: str) -> bool:
    """A macro-string that ends in a macro or in a label that can be the last of a name (7.1)."""
    if not _MACRO_STRING.fullmatch(text):
        return False
    before, dot, last = text.removesuffix(".").rpartition(".")
    return _LAST_MACRO.fullmatch(text) is not None or bool(before and dot and _TOP_LABEL.fullmatch(last))


def _network(mechanism: str, rest: str) -> IPv4Network | IPv6Network:
    address, slash, prefix = rest.removeprefix(":").partition("/")
    if not rest.startswith(":") or (slash and not re.fullmatch(r"0|[1-9][0-9]{0,2}", prefix)) or "%" in address:
        raise BadRecord(f"{mechanism}: not a network")
    try:
        return (IPv4Network if mechanism == "ip4" else IPv6Network)(f"{address}{slash}{prefix}", strict=False)
    except ValueError as error:
        raise BadRecord(f"{mechanism}: not a network") from error


def _expand(spec: str, letters: Letters) -> Iterator[str]:
    at = 0
    for macro in _ONE_MACRO.finditer(spec):
        yield spec[at : macro.start()]
        at = macro.end()
        letter, digits, reverse, delimiters, escape = macro.groups()
        if letter is None:
            yield {"%": "%", "_": " ", "-": "%20"}[escape]
            continue
        value = letters.get(letter.lower())
        if value is None or (digits and int(digits) == 0):
            raise BadRecord(f"the macro {letter} may not stand here")
        if digits or reverse or delimiters:
            pieces = re.split(f"[{re.escape(delimiters)}]", value) if delimiters else value.split(".")
            if reverse:
                pieces.reverse()
            value = ".".join(pieces[-int(digits) :] if digits else pieces)
        yield quote(value, safe="") if letter.isupper() else value
    yield spec[at:]
