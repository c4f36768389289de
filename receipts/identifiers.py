"""What names people and messages: addresses, domains, message ids, and when two of them are the same (D15)."""

import re
from enum import StrEnum

import idna

from receipts.fields import unfold, without_comments
from receipts.records import record

__all__ = [
    "AddressFault",
    "AddressList",
    "address_key",
    "domain_of",
    "is_msgid",
    "is_smtp_address",
    "parse_address_list",
    "parse_mailbox",
    "to_a_labels",
    "to_u_labels",
]

MAX_ADDRESS = 254  # RFC 5321 4.5.3.1.3: a path of 256 octets has two angle brackets
MAX_LOCAL_PART = 64  # 4.5.3.1.1
MAX_DOMAIN = 255  # 4.5.3.1.2
MAX_MSGID = 900  # D15

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LOCAL_PART = re.compile(rf"{_ATOM}(?:\.{_ATOM})*|\"(?:[ !#-\[\]-~]|\\[ -~])*\"")
_DOT_ATOM = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_MSGID = re.compile(r"<[!-;=?-~]+>")
_TOKEN = re.compile(
    r"""[ \t]*+(?:
        ([^\x00- ()<>\[\]:;@\\,"\x7f]++)  # 1 an atom; dots and bytes above 127 too, as display names hold them
      | ("(?:[^"\\]|\\.)*+")  # 2 a quoted string
      | (\[[^\[\]\\]*+\])  # 3 an address literal
      | (@)  # 4
      | ([<>:;,])  # 5 a divider
    )[ \t]*+""",
    re.VERBOSE,
)
_LITERAL, _AT, _DIVIDER = 3, 4, 5
_Token = tuple[int, str]
_QUOTED_PAIR = re.compile(r"\\(.)")
_SPECIAL = re.compile(r'["\\]')


class AddressFault(StrEnum):
    """Why an address list is not what RFC 5322 section 3.4 asks for."""

    EMPTY = "it holds no address"
    MISSING = "an address is missing between two commas"
    BAD_ADDRESS = "an address is not well formed"
    LITERAL = "an address names a host by its number"
    UNCLOSED_COMMENT = "a comment does not end"
    UNCLOSED_ANGLE = "an angle bracket does not close"
    UNCLOSED_GROUP = "a group does not end"
    BAD_CHARACTER = "a character or a quoted string stands where it may not"


@record()
class AddressList:
    """The addresses of a From, To, Cc or Reply-To field, in order, and what is wrong with the field."""

    addresses: tuple[str, ...]
    faults: tuple[AddressFault, ...] = ()


def address_key(address: str) -> str:
    """What two spellings of one address have in common: to compare and to store, not to show or to send to (D15)."""
    local, at, domain = address.rpartition("@")
    if len(local) > 1 and local[0] == local[-1] == '"':
        local = _bare_local_part(local)
    return local.casefold() + at + _a_label(domain)


def domain_of(address: str) -> str:
    """The domain of an address as lower-case A-label; empty if there is none."""
    return _a_label(address.rpartition("@")[2]) if "@" in address else ""


def to_a_labels(domain: str) -> str | None:
    """A domain as it travels, lower case, by IDNA 2008 and the mapping of UTS 46; None if it is none."""
    if len(domain) > MAX_DOMAIN:
        return None
    if domain.isascii():
        return domain.lower() if _DOMAIN.fullmatch(domain) else None
    try:
        return idna.encode(domain, uts46=True).decode("ascii").lower()
    except UnicodeError:
        return None


def to_u_labels(domain: str) -> str:
    """A domain as people write it, lower case; as it is where its labels stand for no letters."""
    if "xn--" not in domain.lower() or len(domain) > MAX_DOMAIN:
        return domain.lower()
    try:
        return idna.decode(domain.lower())
    except UnicodeError:
        return domain.lower()


def is_smtp_address(text: str) -> bool:
    """Whether we take this as a forward or reverse path: a dot-atom or quoted local part and a domain (RFC 5321)."""
    local, _, domain = text.rpartition("@")
    return (
        len(text) <= MAX_ADDRESS
        and len(local) <= MAX_LOCAL_PART
        and _LOCAL_PART.fullmatch(local) is not None
        and _DOMAIN.fullmatch(domain) is not None
    )


def is_msgid(value: str) -> bool:
    """Whether this is a Message-ID with its angle brackets, without spaces and not over 900 bytes (D15)."""
    return len(value) <= MAX_MSGID and _MSGID.fullmatch(value) is not None


def parse_mailbox(text: str) -> str | None:
    """The bare address of one mailbox, such as ``"Anna" <anna@alfa.example>``; None if it is not exactly one."""
    found = _parse(text)
    return found.addresses[0] if len(found.addresses) == 1 and not found.faults else None


def parse_address_list(value: bytes) -> AddressList:
    """The bare addresses of an address list: mailboxes and groups, with comments and quoted strings.

    Well-formed addresses are given even if others are not. A group without addresses holds no recipient (D15).
    """
    return _parse(unfold(value))


def _a_label(domain: str) -> str:
    if domain.isascii() or len(domain) > MAX_DOMAIN:
        return domain.lower()
    return to_a_labels(domain) or domain.lower()


def _bare_local_part(quoted: str) -> str:
    """``"anna"`` is ``anna``; what needs its quotes keeps them, without needless backslashes."""
    bare = _QUOTED_PAIR.sub(r"\1", quoted[1:-1])
    return bare if _DOT_ATOM.fullmatch(bare) else '"' + _SPECIAL.sub(r"\\\g<0>", bare) + '"'


def _parse(text: str) -> AddressList:
    if is_smtp_address(text):
        return AddressList((text,))
    plain = without_comments(text)
    if plain is None:
        return AddressList((), (AddressFault.UNCLOSED_COMMENT,))
    tokens, whole = _tokens(plain.strip(" \t"))
    reader = _ListReader(tokens)
    if not whole:
        reader.faults.append(AddressFault.BAD_CHARACTER)
    reader.read()
    return AddressList(tuple(reader.addresses), tuple(dict.fromkeys(reader.faults)))


def _tokens(text: str) -> tuple[list[_Token], bool]:
    """The tokens of a list, and whether they are all of it."""
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            return tokens, False
        kind = match.lastindex or 0
        tokens.append((kind, match[kind]))
        at = match.end()
    return tokens, True


class _ListReader:
    """Reads the tokens of an address list by the grammar of RFC 5322 section 3.4; after a fault it goes on."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.addresses: list[str] = []
        self.faults: list[AddressFault] = []
        self._tokens = tokens
        self._at = 0

    def read(self) -> None:
        if self._tokens:
            self._list(in_group=False)
        elif not self.faults:
            self.faults.append(AddressFault.EMPTY)

    def _list(self, *, in_group: bool) -> None:
        """Mailboxes, or outside a group mailboxes and groups, with a comma between two of them."""
        while True:
            self._element(in_group=in_group)
            if self._stray(in_group=in_group):
                self.faults.append(AddressFault.BAD_CHARACTER)
                while self._stray(in_group=in_group):
                    self._at += 1
            if not self._take(","):
                return

    def _element(self, *, in_group: bool) -> None:
        words = self._words()
        if self._take("<"):
            self._check_phrase(words)
            self._add(self._words())
            if not self._take(">"):
                self.faults.append(AddressFault.UNCLOSED_ANGLE)
        elif not in_group and words and self._take(":"):
            self._check_phrase(words)
            self._group()
        elif words:
            self._add(words)
        else:
            self.faults.append(AddressFault.MISSING)

    def _group(self) -> None:
        if self._take(";"):
            return
        self._list(in_group=True)
        if not self._take(";"):
            self.faults.append(AddressFault.UNCLOSED_GROUP)

    def _words(self) -> list[_Token]:
        """What stands here up to the next token that divides."""
        start = self._at
        while self._at < len(self._tokens) and self._tokens[self._at][0] != _DIVIDER:
            self._at += 1
        return self._tokens[start : self._at]

    def _take(self, divider: str) -> bool:
        taken = self._at < len(self._tokens) and self._tokens[self._at] == (_DIVIDER, divider)
        self._at += taken
        return taken

    def _stray(self, *, in_group: bool) -> bool:
        """Whether the token here can neither follow a mailbox nor end its list."""
        if self._at == len(self._tokens):
            return False
        kind, text = self._tokens[self._at]
        return kind != _DIVIDER or not (text == "," or (in_group and text == ";"))

    def _check_phrase(self, words: list[_Token]) -> None:
        if any(kind in {_LITERAL, _AT} for kind, _ in words):
            self.faults.append(AddressFault.BAD_CHARACTER)

    def _add(self, words: list[_Token]) -> None:
        address = "".join(text for _, text in words)
        if [kind for kind, _ in words[1:]] == [_AT, _LITERAL]:
            self.faults.append(AddressFault.LITERAL)
        elif len(words) == 3 and is_smtp_address(address):  # more words would have been joined over white space
            self.addresses.append(address)
        else:
            self.faults.append(AddressFault.BAD_ADDRESS)
