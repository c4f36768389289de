"""What a holder asks of the page that helps to set a mail program up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.web.setup.languages import LANGUAGES, preferred
from receipts.identifiers import domain_of, is_smtp_address, to_a_labels

__all__ = ["Asked", "Finding", "Program", "asked"]

_SHOWN: Final = 254  # characters of what was typed that are shown again


class Program(StrEnum):
    """As they are named in the address of the page and in docs/clients."""

    THUNDERBIRD = "thunderbird"
    OUTLOOK = "outlook"
    APPLE_MAIL = "apple-mail"
    IOS = "ios"
    ANDROID = "android"
    OTHER = "other"


class Finding(StrEnum):
    """What can be said of an address without looking at a single box: nobody learns here which ones exist."""

    NOTHING = "nothing"  # none was given
    MALFORMED = "malformed"
    FOREIGN = "foreign"  # its domain is none of ours
    OURS = "ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question."""

    address: str = ""  # as it travels if it is one; else what was typed, which may be anything printable
    finding: Finding = Finding.NOTHING
    program: Program | None = None
    language: str = LANGUAGES[0]
    insisted: bool = False  # the language was chosen on the page; the browser may ask for another


def asked(fields: Mapping[str, str], accept_language: str, is_ours: Callable[[str], bool]) -> Asked:
    """The question in the fields ``address``, ``program`` and ``language``; what is none of ours counts as left out.

    Args:
        is_ours: whether a domain, as a lower-case A-label, is one of ours.
    """
    typed = fields.get("address", "").strip()
    address = _as_it_travels(typed)
    chosen = fields.get("language")
    return Asked(
        address=address or _printable(typed),
        finding=_finding(typed, address, is_ours),
        program=next((program for program in Program if program == fields.get("program")), None),
        language=chosen if chosen in LANGUAGES else preferred(accept_language),
        insisted=chosen in LANGUAGES,
    )


def _finding(typed: str, address: str | None, is_ours: Callable[[str], bool]) -> Finding:
    if not typed:
        return Finding.NOTHING
    if address is None:
        return Finding.MALFORMED
    return Finding.OURS if is_ours(domain_of(address)) else Finding.FOREIGN


def _as_it_travels(typed: str) -> str | None:
    """The address with its domain as A-label, as mail programs need it; None if it is none."""
    local, _, domain = typed.rpartition("@")
    address = f"{local}@{to_a_labels(domain) or ''}"
    return address if is_smtp_address(address) else None


def _printable(typed: str) -> str:
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in typed[:_SHOWN])
