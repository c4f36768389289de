"""Address lists and encoded words: nothing raises, and what is found is what was written."""

from email.header import Header

from hypothesis import given
from hypothesis import strategies as st

from receipts.fields import MAX_TEXT, decode_words, parse_parameters
from receipts.identifiers import (
    AddressList,
    address_key,
    domain_of,
    is_msgid,
    is_smtp_address,
    parse_address_list,
    parse_mailbox,
)

__all__ = ["address_lists", "addresses", "mailboxes", "words"]

FRAGMENTS = (
    *(b"a", b"b.c", b"@", b"x.it", b"<", b">", b",", b";", b":", b'"', b"\\", b"(", b")", b" ", b"\t", b"[", b"]"),
    *(b"1.2.3.4", b"\r\n ", b"\xc3\xa8", b"\x00", b"\r", b"\n", b"=?utf-8?q?", b"?=", b"..", b"<a@b.it>", b"anna@x.it"),
    *(b'"a b"@x.it', b"g: a@b.it;", b"=?utf-8?b?", b"w6g=", b"=C3", b"=A8", b"=?utf-7?q?+AGE-?=", b"utf-8''", b"%c3"),
    *(b"name*0*=", b"name*1=", b"; ", b"="),
)
ATOMS = st.text("abcXYZ019!#$%&'*+-/=?^_`{|}~", min_size=1, max_size=8)
LOCAL_PARTS = st.one_of(
    st.lists(ATOMS, min_size=1, max_size=3).map(".".join),
    st.text('ab .@,;:<>()[]\\"', max_size=8).map(
        lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    ),
)
LABELS = st.from_regex(r"[a-zA-Z0-9]([a-z0-9-]{0,6}[a-z0-9])?", fullmatch=True)
ADDRESSES = st.builds("{}@{}".format, LOCAL_PARTS, st.lists(LABELS, min_size=1, max_size=3).map(".".join))
SPACE = st.sampled_from(["", " ", "\t", "\r\n ", " (a comment) ", "(nested (and \\) quoted))"])
PHRASES = st.sampled_from(
    ["Anna", "Anna Rossi", '"Rossi, Anna"', "J. Q. Public", "=?utf-8?q?Anna?=", '"a \\" <b@c>"', "è"]
)


@st.composite
def mailboxes(draw: st.DrawFn, address: str) -> str:
    """One of the ways to write an address in a header."""
    before, inside, after = draw(SPACE), draw(SPACE), draw(SPACE)
    if draw(st.booleans()):
        return f"{before}{address}{after}"
    phrase = draw(PHRASES) if draw(st.booleans()) else ""
    return f"{before}{phrase}{before}<{inside}{address}{inside}>{after}"


@st.composite
def address_lists(draw: st.DrawFn) -> tuple[bytes, list[str]]:
    """A well-formed list and the addresses it holds."""
    written, expected = [], []
    for group in draw(st.lists(st.booleans(), min_size=1, max_size=4)):
        inside = draw(st.lists(ADDRESSES, min_size=0 if group else 1, max_size=3 if group else 1))
        boxes = ",".join(draw(mailboxes(address)) for address in inside)
        written.append(f"{draw(PHRASES)}:{boxes}{draw(SPACE)};" if group else boxes)
        expected += inside
    return ",".join(written).encode(), expected


@given(address_lists(), st.lists(st.sampled_from(FRAGMENTS), max_size=30).map(b"".join))
def addresses(well_formed: tuple[bytes, list[str]], hostile: bytes) -> None:
    value, expected = well_formed
    assert parse_address_list(value) == AddressList(tuple(expected))
    found = parse_address_list(hostile)
    assert found.addresses or found.faults or b":" in hostile  # an empty group is neither
    for address in (*found.addresses, *expected):
        assert is_smtp_address(address)
        assert address.isascii()
        assert address.isprintable()
        assert parse_mailbox(address) == address
        assert parse_mailbox(f"x <{address}>") == address
        assert address_key(address_key(address)) == address_key(address) == address_key(address.swapcase())
        assert address_key(address).endswith("@" + domain_of(address))


@given(st.text(max_size=60), st.lists(st.sampled_from(FRAGMENTS), max_size=30).map(b"".join), st.binary(max_size=60))
def words(text: str, fragments: bytes, noise: bytes) -> None:
    written = Header(visible(text), "utf-8", 60).encode(linesep="\r\n")
    assert decode_words(written.encode("ascii")) == visible(text)
    for hostile in (fragments, noise, fragments + noise, noise + fragments):
        decoded = decode_words(hostile)
        assert len(decoded) <= MAX_TEXT
        decoded.encode("utf-8")
        assert not any(ord(character) < 32 for character in decoded)
        word, parameters = parse_parameters(hostile)
        assert word == word.strip().lower()
        assert all(isinstance(value, str) for value in parameters.values())
        is_msgid(hostile.decode("latin-1"))


def visible(text: str) -> str:
    return "".join(character for character in text if character.isprintable()).strip()
