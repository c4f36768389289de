"""The grammar of SMTP commands (RFC 5321 4.1): lines to words, paths and parameters, or to the reply they earn."""

import re

from gateway.smtp import replies
from gateway.smtp.replies import Reply
from receipts.records import record

__all__ = ["Chunk", "ForwardPath", "MailFrom", "chunk", "command", "forward_path", "mail_from"]

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_QUOTED = r'"(?:[ !#-\[\]-~]|\\[ -~])*"'
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
_LOCAL = rf"(?:{_ATOM}(?:\.{_ATOM})*|{_QUOTED})"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Za-z.:-]+\])"
_PATH = re.compile(rf"(?P<route>(?:@{_DOMAIN},?)+:)?(?P<address>{_LOCAL}@{_DOMAIN})\Z")
_BRACKETED = re.compile(r"<((?:\"(?:[^\"\\]|\\.)*\"|[^<>\"])*)>(.*)\Z", re.DOTALL)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~]+))?\Z")

_LONGEST_PATH = 254  # RFC 5321 4.5.3.1.3, without its angle brackets; longer local parts than 64 do occur
_LONGEST_NUMBER = 18


@record()
class MailFrom:
    """What MAIL says: where notices go, and what the message will be like."""

    reverse_path: str  # empty for the null reverse path
    declared_bytes: int = 0  # RFC 1870; 0 if it does not say
    eight_bit: bool = False  # RFC 6152


@record()
class ForwardPath:
    """What RCPT says."""

    address: str
    routed: bool = False  # a source route stood before it (RFC 5321 4.1.1.3, appendix C)


@record()
class Chunk:
    """What BDAT says (RFC 3030)."""

    size: int
    last: bool


def command(line: bytes) -> tuple[str, str] | Reply:
    """Verb in upper case and its argument without white space around it."""
    try:
        text = line.decode("ascii")
    except UnicodeDecodeError:
        beyond_ascii = line[:5].upper() in {b"MAIL ", b"RCPT "}
        return replies.NOT_ASCII_PATH if beyond_ascii else replies.LINE_NOT_ASCII
    verb, _, argument = text.partition(" ")
    return verb.upper(), argument.strip()


def mail_from(argument: str, *, max_bytes: int, takes_auth: bool) -> MailFrom | Reply:
    """Read ``FROM:<path> [parameters]``.

    Args:
        argument: what follows ``MAIL``.
        max_bytes: a larger SIZE is refused (D14).
        takes_auth: whether the AUTH parameter of RFC 4954 5 is understood; its value is never believed.
    """
    split = _split(argument, "FROM:")
    if split is None:
        return replies.BAD_ARGUMENT
    path, parameters = split
    if path:
        found = _path(path)
        if found is None:
            return replies.BAD_SENDER_PATH
        path = found.address
    size, eight_bit = 0, False
    for name, value in parameters:
        if name == "SIZE":
            if not value.isdecimal() or len(value) > _LONGEST_NUMBER:
                return replies.BAD_ARGUMENT
            size = int(value)
        elif name == "BODY" and value.upper() in {"7BIT", "8BITMIME"}:
            eight_bit = value.upper() == "8BITMIME"
        elif name == "BODY":
            return replies.BAD_ARGUMENT
        elif not (name == "AUTH" and takes_auth and value):
            return replies.UNKNOWN_PARAMETER
    if size > max_bytes:
        return replies.TOO_BIG
    return MailFrom(path, size, eight_bit)


def forward_path(argument: str, *, domain: str) -> ForwardPath | Reply:
    """Read ``TO:<path>``; the bare name postmaster is the one of ``domain`` (RFC 5321 4.5.1)."""
    split = _split(argument, "TO:")
    if split is None:
        return replies.BAD_ARGUMENT
    path, parameters = split
    if path.lower() == "postmaster":
        path = f"{path}@{domain}"
    found = _path(path)
    if found is None:
        return replies.BAD_PATH
    return replies.UNKNOWN_PARAMETER if parameters else found


def chunk(argument: str) -> Chunk | None:
    """Read the argument of BDAT."""
    size, *rest = argument.split(" ")
    if not size.isdecimal() or len(size) > _LONGEST_NUMBER or len(rest) > 1:
        return None
    last = bool(rest)
    if last and rest[0].upper() != "LAST":
        return None
    return Chunk(int(size), last)


def _split(argument: str, keyword: str) -> tuple[str, list[tuple[str, str]]] | None:
    """The path between the angle brackets and the parameters after them; None if it reads otherwise."""
    if argument[: len(keyword)].upper() != keyword:
        return None
    bracketed = _BRACKETED.match(argument[len(keyword) :].lstrip())
    if bracketed is None:
        return None
    path, rest = bracketed.groups()
    if rest and rest[0] != " ":
        return None
    parameters: list[tuple[str, str]] = []
    for word in rest.split():
        parameter = _PARAMETER.match(word)
        if parameter is None:
            return None
        parameters.append((parameter[1].upper(), parameter[2] or ""))
    if len({name for name, _ in parameters}) < len(parameters):
        return None
    return path, parameters


def _path(path: str) -> ForwardPath | None:
    if len(path) > _LONGEST_PATH:
        return None
    matched = _PATH.match(path)
    if matched is None:
        return None
    return ForwardPath(matched["address"], matched["route"] is not None)
