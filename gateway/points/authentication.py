"""What is known of the origin of ordinary mail: SPF, DKIM and DMARC, written for programs and for people.

Nothing of this is asked about certified mail, whose origin its seal proves; and nothing of it certifies anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.points.faults import Fault
from receipts.fields import without_comments
from receipts.headers import CRLF
from receipts.parts import Field, Header

__all__ = ["Authentication", "Dkim", "Dmarc", "Result", "Spf", "authentication_results", "forged_results", "told"]

FIELD: Final = "Authentication-Results"


class Result(StrEnum):
    """The outcome of one method (RFC 8601 section 2.7)."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    NONE = "none"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spf:
    """Whether the host may send for the domain of the reverse path, or for the name it gave in HELO (RFC 7208)."""

    result: Result
    domain: str = ""
    by_helo: bool = False  # the reverse path was null


@dataclass(frozen=True, slots=True, kw_only=True)
class Dkim:
    """One signature (RFC 6376); ``result`` NONE and no domain if there is none at all."""

    result: Result
    domain: str = ""
    selector: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dmarc:
    """Whether one of the two speaks for the author's domain (RFC 7489)."""

    result: Result
    domain: str = ""
    policy: str = ""  # what the domain asks for: "none", "quarantine", "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    spf: Spf
    dkim: Sequence[Dkim]
    dmarc: Dmarc


def authentication_results(authserv_id: str, found: Authentication) -> bytes:
    """The Authentication-Results field (RFC 8601 section 2.2), with its CRLF."""
    parts = [_spf_part(found.spf), *map(_dkim_part, found.dkim), _dmarc_part(found.dmarc)]
    return f"{FIELD}: {authserv_id};\r\n ".encode("ascii") + b";\r\n ".join(parts) + CRLF


def forged_results(header: Header, authserv_id: str) -> list[Field]:
    """Fields of an arrived message that pretend to be ours (RFC 8601 section 5): they must go."""
    return [field for field in header.all(FIELD) if _authserv_id(field) == authserv_id.lower()]


def told(found: Authentication) -> Fault:
    """One line for people, in both languages."""
    return Fault(_line(found, ITALIAN, "Verifica del mittente"), _line(found, ENGLISH, "Sender checks"))


ITALIAN: Final[Mapping[Result, str]] = {
    Result.PASS: "superata",
    Result.FAIL: "non superata",
    Result.SOFTFAIL: "non superata (il dominio non ne è certo)",
    Result.NEUTRAL: "senza esito",
    Result.NONE: "non prevista dal dominio",
    Result.TEMPERROR: "non eseguita (DNS non disponibile)",
    Result.PERMERROR: "non eseguita (dati del dominio errati)",
}
ENGLISH: Final[Mapping[Result, str]] = {
    Result.PASS: "passed",
    Result.FAIL: "failed",
    Result.SOFTFAIL: "failed (the domain is not sure)",
    Result.NEUTRAL: "without result",
    Result.NONE: "not provided by the domain",
    Result.TEMPERROR: "not done (DNS not available)",
    Result.PERMERROR: "not done (the domain's data are wrong)",
}
BEST_FIRST: Final = (
    Result.PASS,
    Result.FAIL,
    Result.SOFTFAIL,
    Result.TEMPERROR,
    Result.PERMERROR,
    Result.NEUTRAL,
    Result.NONE,
)


def _line(found: Authentication, words: Mapping[Result, str], title: str) -> str:
    best = min(found.dkim, key=lambda each: BEST_FIRST.index(each.result), default=Dkim(result=Result.NONE))
    methods = (
        ("SPF", found.spf.result, found.spf.domain, ""),
        ("DKIM", best.result, best.domain, ""),
        ("DMARC", found.dmarc.result, found.dmarc.domain, found.dmarc.policy),
    )
    said = []
    for name, result, domain, policy in methods:
        about = ", ".join(filter(None, (domain, f"p={policy}" if policy else "")))
        said.append(f"{name} {words[result]}" + (f" [{about}]" if about else ""))
    return f"{title}: {'; '.join(said)}"


def _spf_part(spf: Spf) -> bytes:
    return _part("spf", spf.result, [("smtp.helo" if spf.by_helo else "smtp.mailfrom", spf.domain)])


def _dkim_part(dkim: Dkim) -> bytes:
    reason = f' reason="{_plain(dkim.reason)}"' if dkim.reason else ""
    return _part("dkim", dkim.result, [("header.d", dkim.domain), ("header.s", dkim.selector)], reason)


def _dmarc_part(dmarc: Dmarc) -> bytes:
    comment = f" (p={dmarc.policy})" if dmarc.policy else ""
    return _part("dmarc", dmarc.result, [("header.from", dmarc.domain)], comment)


def _part(method: str, result: Result, properties: Iterable[tuple[str, str]], more: str = "") -> bytes:
    shown = "".join(f" {name}={_value(value)}" for name, value in properties if value)
    return f"{method}={result.value}{more}{shown}".encode("ascii", "replace")


def _value(value: str) -> str:
    """As a token if it is one, else quoted: a stranger wrote it."""
    plain = _plain(value)
    return plain if plain and all(each.isalnum() or each in "-._@" for each in plain) else f'"{plain}"'


def _plain(text: str) -> str:
    return "".join(each if " " <= each <= "~" and each not in '"\\' else "?" for each in text)[:255]


def _authserv_id(field: Field) -> str:
    """The first word of the value, without comments; a version may follow it (RFC 8601 section 2.2)."""
    plain = without_comments(field.text) or field.text
    return plain.partition(";")[0].strip().partition(" ")[0].strip('"').rstrip(".").lower()
