"""IMAP commands: whatever the bytes, a command or a word why not, soon; what is well formed is understood."""

import time
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gateway.mailbox.imap import names
from gateway.mailbox.imap.commands import Command
from gateway.mailbox.imap.grammar import Broken, Reading, append_head, command
from gateway.mailbox.imap.numbers import NumberSet
from gateway.mailbox.imap.view import View
from gateway.points.boxes import Opened, Uids
from tests.fuzz.noise import inputs, noise

__all__ = ["commands", "mutations", "patterns", "sets"]

FRAGMENTS = (
    *(
        b" ",
        b"(",
        b")",
        b"[",
        b"]",
        b"<",
        b">",
        b'"',
        b"\\",
        b"{",
        b"}",
        b"*",
        b"%",
        b"$",
        b",",
        b":",
        b".",
        b"+",
        b"~",
    ),
    *(
        b"\r\n",
        b"\0",
        b"\xc3\xa8",
        b"&",
        b"-",
        b"/",
        b"0",
        b"1",
        b"9",
        b"4294967296",
        b"1:*",
        b"{3}\r\nabc",
        b"{3+}\r\nab",
    ),
    *(
        b"a ",
        b"UID ",
        b"FETCH ",
        b"SEARCH ",
        b"STORE ",
        b"LIST ",
        b"SELECT ",
        b"STATUS ",
        b"APPEND ",
        b"LOGIN ",
        b"ID ",
    ),
    *(b"CREATE ", b"COPY ", b"ENABLE ", b"AUTHENTICATE ", b"EXPUNGE ", b"IDLE", b"INBOX", b"inbox/x", b"&AOA-"),
    *(
        b"FLAGS",
        b"BODY",
        b"BODY.PEEK[",
        b"HEADER.FIELDS (",
        b"HEADER",
        b"TEXT",
        b"MIME",
        b"ENVELOPE",
        b"RFC822",
        b"FAST",
    ),
    *(b"NOT ", b"OR ", b"ALL", b"SUBJECT ", b"SINCE ", b"1-Feb-2026", b"MODSEQ ", b"CHARSET ", b"UTF-8 ", b"RETURN ("),
    *(b"MIN", b"SAVE", b"(CHANGEDSINCE 1 VANISHED)", b"(QRESYNC (1 2 3))", b"\\Seen", b"$Junk", b"NIL", b"SUBSCRIBED"),
    *(b'"05-Feb-2026 10:00:00 +0100" ', b"UTF8 (", b"USE (", b"UNCHANGEDSINCE ", b"+FLAGS.SILENT "),
)
RIGHT = (
    b"a UID FETCH 1:4,7,9:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (From To)] BODY[1.2.MIME]<0.100>) (CHANGEDSINCE 7)",
    b"a SEARCH RETURN (MIN COUNT) CHARSET UTF-8 OR (FROM anna NOT SEEN) (SINCE 1-Feb-2026 HEADER X-Tipo {3}\r\nabc)",
    b'a STORE 1:* (UNCHANGEDSINCE 12) +FLAGS.SILENT (\\Seen $Label1 "x")',
    b'a LIST (SUBSCRIBED RECURSIVEMATCH) "" (INBOX "a/%") RETURN (STATUS (MESSAGES UNSEEN) CHILDREN)',
    b"a SELECT &U,BTFw- (QRESYNC (67890007 90060115194045000 41:211,214:541 (1,5 9,20)) CONDSTORE)",
    b'a LOGIN {4}\r\nanna "pass\\"word"',
    b'a ID ("name" "x" "version" NIL)',
    b'a APPEND "Inviata" (\\Seen) "05-Feb-2026 10:00:00 +0100" ',
)
RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=8)


def holds(data: bytes) -> None:
    began = time.process_time()
    for utf8 in (False, True):
        found = command(data, Reading(lambda numbers, uid: Uids(()), Uids(()), utf8))
        assert isinstance(found, Command | Broken)
        if isinstance(found, Broken):
            assert found.text.isprintable()
            assert found.text.isascii()
            assert b"\r" not in found.tag
            assert b"\n" not in found.tag
        append_head(data, utf8=utf8)
    assert time.process_time() - began < 10


def mutated(random: Random) -> bytes:
    """A right command with something else in its middle."""
    right, at = random.choice(RIGHT), random.randrange(130)
    return right[:at] + noise(random, FRAGMENTS, 40) + right[at + random.randrange(12) :]


@given(inputs(lambda random: random.choice((b"", b"a ", b"a UID ")) + noise(random, FRAGMENTS, 40)))
def commands(some: list[bytes]) -> None:
    for data in some:
        holds(data)


@given(inputs(mutated))
def mutations(some: list[bytes]) -> None:
    for data in some:
        holds(data)


@given(
    st.text(max_size=40), st.lists(st.text("ab%*/", max_size=12), min_size=1, max_size=3), st.text("ab/", max_size=20)
)
def patterns(name: str, asked: list[str], listed: str) -> None:
    try:
        name.encode("utf-16-be")
    except UnicodeEncodeError:
        name = "x"
    wire = names.encoded(name, utf8=False)
    again = names.decoded(wire, utf8=False)
    assert wire.isascii()
    assert again is not None
    assert names.decoded(names.encoded(again, utf8=True), utf8=True) == again
    assert names.Matcher(["*"])(listed)
    assert names.Matcher(asked)(listed) == any(names.Matcher([one])(listed) for one in asked)
    if all("*" not in one and "%" not in one for one in asked):
        assert names.Matcher(asked)(listed) == (listed in asked)


@given(st.sets(st.integers(1, 60)), RANGES, st.booleans())
def sets(uids: set[int], numbers: NumberSet, uid: bool) -> None:
    """What a set names, by the letter of RFC 3501."""
    here = sorted(uids)
    opened = Opened(
        folder_id=1,
        name="x",
        uid_validity=1,
        uid_next=61,
        modseq=1,
        uids=here,
        first_unseen=None,
        recent_from=61,
        flags=(),
        may_write=True,
    )
    found = View(opened, read_only=False).chosen(numbers, uid=uid)
    highest = (here[-1] if uid else len(here)) if here else 0
    ranges = [sorted((one or highest, other or highest)) for one, other in numbers]
    if uid:
        assert found == [each for each in here if any(low <= each <= high for low, high in ranges)]
    elif found is not None:
        assert found == [each for at, each in enumerate(here, 1) if any(low <= at <= high for low, high in ranges)]
    else:
        assert any(high > len(here) or (not low and here) for low, high in ranges)
