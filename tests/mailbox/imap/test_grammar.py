"""Bytes to commands, as tables of what is right and what is wrong."""

from datetime import date, datetime, timedelta, timezone

import pytest

from gateway.mailbox.imap.commands import (
    BAD_NAME,
    Append,
    Authenticate,
    Command,
    Compress,
    Copy,
    Create,
    Enable,
    Expunge,
    Fetch,
    Id,
    List,
    Login,
    Lsub,
    QuotaOf,
    Rename,
    Resync,
    Search,
    Select,
    StatusItem,
    StatusOf,
    Store,
    Subscribe,
    Verb,
)
from gateway.mailbox.imap.grammar import Broken, Reading, append_head, command
from gateway.mailbox.imap.items import Body, Item, Part
from gateway.mailbox.imap.numbers import NumberSet
from gateway.mailbox.imap.tokens import Malformed
from gateway.points.boxes import (
    ALL,
    Age,
    And,
    Changed,
    Compared,
    Day,
    FlagChange,
    HasFlag,
    HeaderHas,
    Not,
    Or,
    Query,
    SizeIs,
    SpecialUse,
    TextHas,
    TextIn,
    Uids,
)

RECENT = Uids(((7, 9),))


def numbers(asked: NumberSet, uid: bool) -> Uids:
    """Sets come back as they are, from 1,000 on where they are sequence numbers."""
    if (9, 9) in asked:
        raise Malformed("no such message")
    return Uids(tuple((low + 1000 * (not uid), high + 1000 * (not uid)) for low, high in asked))


READING = Reading(numbers, RECENT)


def asked(data: bytes) -> object:
    found = command(b"a " + data, READING)
    assert isinstance(found, Command), found
    return found.asked


def query(data: bytes) -> Query:
    found = asked(b"SEARCH " + data)
    assert isinstance(found, Search)
    return found.query


def named(value: object) -> str | None:
    """A name that is the same in every process, which the repr of a set is not."""
    return repr(value) if isinstance(value, bytes) else None


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"LOGIN anna pass", Login("anna", "pass")),
        (b'login "an na" "p\\"a\\\\ss"', Login("an na", 'p"a\\ss')),
        (b"LOGIN {4}\r\nanna {2+}\r\n\xc3\xa0", Login("anna", "à")),
        (b"AUTHENTICATE plain", Authenticate(b"PLAIN", None)),
        (b"AUTHENTICATE PLAIN =", Authenticate(b"PLAIN", b"")),
        (b"AUTHENTICATE PLAIN AGE=", Authenticate(b"PLAIN", b"AGE=")),
        (b"SELECT inbox", Select("INBOX", False)),
        (b"SELECT Inbox/a", Select("INBOX/a", False)),
        (b"EXAMINE &AOA", Select(BAD_NAME, True)),
        (b'EXAMINE "&AOA-" (CONDSTORE)', Select("à", True, condstore=True)),
        (b"SELECT x (QRESYNC (7 9))", Select("x", False, False, Resync(7, 9, None))),
        (b"SELECT x (QRESYNC (7 9 1:5,*))", Select("x", False, False, Resync(7, 9, [(1, 5), (0, 0)]))),
        (b"SELECT x (QRESYNC (7 9 1:5 (1,2 3,4)))", Select("x", False, False, Resync(7, 9, [(1, 5)]))),
        (b"SELECT x (QRESYNC (7 9 (1,2 3,4)))", Select("x", False, False, Resync(7, 9, None))),
        (b"CREATE x", Create("x", None)),
        (b"CREATE x (USE (\\drafts))", Create("x", SpecialUse.DRAFTS)),
        (b"CREATE x (USE ())", Create("x", None)),
        (b'CREATE "&"', Create(BAD_NAME, None)),
        (b"RENAME a b", Rename("a", "b")),
        (b"SUBSCRIBE a", Subscribe("a", True)),
        (b"UNSUBSCRIBE a", Subscribe("a", False)),
        (b'LIST "" ""', List(())),
        (b'LIST "" *', List(["*"])),
        (b"LIST a/ %", List(["a/%"])),
        (b'LIST () "" "x]"', List(["x]"], extended=True)),
        (
            b'LIST (SUBSCRIBED recursivematch) "" (a b%) RETURN (CHILDREN STATUS (UNSEEN SIZE))',
            List(
                ["a", "b%"],
                subscribed=True,
                recursive=True,
                status=(StatusItem.UNSEEN, StatusItem.SIZE),
                extended=True,
            ),
        ),
        (b'LIST (SPECIAL-USE) "" *', List(["*"], special_use=True, extended=True)),
        (b'LSUB "" %', Lsub("%")),
        (b"STATUS x (messages UIDNEXT messages)", StatusOf("x", (StatusItem.MESSAGES, StatusItem.UIDNEXT))),
        (b"UID EXPUNGE 1,3:*", Expunge([(1, 1), (3, 0)])),
        (b"ENABLE condstore X", Enable(frozenset({b"CONDSTORE", b"X"}))),
        (b"ID NIL", Id(())),
        (b'ID ("name" "x" "version" nil)', Id([("name", "x"), ("version", "")])),
        (b'GETQUOTA ""', QuotaOf("", root=True)),
        (b"GETQUOTAROOT inbox", QuotaOf("INBOX", root=False)),
        (b"COMPRESS deflate", Compress(b"DEFLATE")),
        (b"COPY 1,5 x", Copy([(1, 1), (5, 5)], False, "x", False)),
        (b"UID MOVE $ x", Copy((), True, "x", True)),
        (
            b"STORE 1 +FLAGS (\\seen $Junk)",
            Store([(1, 1)], False, FlagChange.ADD, frozenset({"\\Seen", "$Junk"}), silent=False),
        ),
        (
            b"STORE 1 -FLAGS.SILENT \\Draft a",
            Store([(1, 1)], False, FlagChange.REMOVE, frozenset({"\\Draft", "a"}), True),
        ),
        (b"UID STORE 2 (UNCHANGEDSINCE 5) FLAGS ()", Store([(2, 2)], True, FlagChange.REPLACE, frozenset(), False, 5)),
        (b"FETCH 1 FAST", Fetch([(1, 1)], False, (Item.FLAGS, Item.INTERNALDATE, Item.SIZE))),
        (b"FETCH * (uid UID BODY)", Fetch([(0, 0)], False, (Item.UID, Item.BODY))),
        (
            b"UID FETCH 1:* FLAGS (CHANGEDSINCE 9 VANISHED)",
            Fetch([(1, 0)], True, (Item.FLAGS,), changed_since=9, vanished=True),
        ),
    ],
    ids=named,
)
def test_arguments_become_records(data: bytes, expected: object) -> None:
    assert asked(data) == expected


@pytest.mark.parametrize("verb", ["CAPABILITY", "CHECK", "CLOSE", "EXPUNGE", "IDLE", "LOGOUT", "NAMESPACE", "NOOP"])
def test_some_commands_are_their_verb(verb: str) -> None:
    assert command(b"tag " + verb.lower().encode(), READING) == Command(b"tag", Verb[verb])


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (b"BODY[]", Body(label=b"BODY[]")),
        (b"body.peek[]<0.10>", Body(label=b"BODY[]<0>", partial=(0, 10), peek=True)),
        (b"BODY[1.2]", Body(label=b"BODY[1.2]", path=(1, 2))),
        (b"BODY[1.mime]", Body(label=b"BODY[1.MIME]", path=(1,), part=Part.MIME)),
        (b"BODY[TEXT]<7.1>", Body(label=b"BODY[TEXT]<7>", part=Part.TEXT, partial=(7, 1))),
        (b"BODY[3.HEADER]", Body(label=b"BODY[3.HEADER]", path=(3,), part=Part.HEADER)),
        (
            b'BODY.PEEK[header.fields (To "From")]',
            Body(
                label=b"BODY[HEADER.FIELDS (TO FROM)]",
                part=Part.FIELDS,
                names=frozenset({b"to", b"from"}),
                peek=True,
            ),
        ),
        (
            b'BODY[2.HEADER.FIELDS.NOT ("a b")]',
            Body(
                label=b'BODY[2.HEADER.FIELDS.NOT ("A B")]',
                path=(2,),
                part=Part.FIELDS_NOT,
                names=frozenset({b"a b"}),
            ),
        ),
        (b"RFC822", Body(label=b"RFC822")),
        (b"RFC822.HEADER", Body(label=b"RFC822.HEADER", part=Part.HEADER, peek=True)),
        (b"RFC822.TEXT", Body(label=b"RFC822.TEXT", part=Part.TEXT)),
        (b"BODY", Item.BODY),
        (b"bodystructure", Item.BODYSTRUCTURE),
        (b"RFC822.SIZE", Item.SIZE),
    ],
    ids=named,
)
def test_items_of_fetch(item: bytes, expected: object) -> None:
    found = asked(b"FETCH 1 " + item)
    assert isinstance(found, Fetch)
    assert found.items == (expected,)
    listed = asked(b"FETCH 1 (" + item + b" UID)")
    assert isinstance(listed, Fetch)
    assert listed.items == (expected, Item.UID)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (b"ALL", ALL),
        (b"SEEN", HasFlag("\\Seen")),
        (b"unseen", Not(HasFlag("\\Seen"))),
        (b"NEW", And((RECENT, Not(HasFlag("\\Seen"))))),
        (b"OLD", Not(RECENT)),
        (b"RECENT", RECENT),
        (b"KEYWORD $Junk UNKEYWORD x", And((HasFlag("$Junk"), Not(HasFlag("x"))))),
        (b"FROM anna", TextHas(TextIn.FROM, "anna")),
        (b'SUBJECT ""', ALL),
        (b'BODY "a b" TEXT {3}\r\nx y', And((TextHas(TextIn.BODY, "a b"), TextHas(TextIn.TEXT, "x y")))),
        (b"HEADER Message-ID <a@b>", HeaderHas("Message-ID", "<a@b>")),
        (b'HEADER X-Ricevuta ""', HeaderHas("X-Ricevuta", "")),
        (b"LARGER 10 SMALLER 20", And((SizeIs(True, 10), SizeIs(False, 20)))),
        (b"SINCE 1-Feb-2026", Day(Compared.SINCE, date(2026, 2, 1))),
        (b'SENTON "28-feb-2026"', Day(Compared.ON, date(2026, 2, 28), sent=True)),
        (b"OLDER 60 YOUNGER 5", And((Age(True, 60), Age(False, 5)))),
        (b"MODSEQ 7", Changed(7)),
        (b'MODSEQ "/flags/\\\\draft" all 7', Changed(7)),
        (b"OR SEEN NOT DRAFT", Or(HasFlag("\\Seen"), Not(HasFlag("\\Draft")))),
        (b"(SEEN (ALL)) 1:3", And((And((HasFlag("\\Seen"), And((ALL,)))), Uids(((1001, 1003),))))),
        (b"UID 1:3", Uids(((1, 3),))),
        (b"CHARSET utf-8 SUBJECT {2}\r\n\xc3\xa0", TextHas(TextIn.SUBJECT, "à")),
        (b"CHARSET ISO-8859-1 SUBJECT {1}\r\n\xe0", TextHas(TextIn.SUBJECT, "à")),
        (b'SUBJECT "\xc3\xa0"', TextHas(TextIn.SUBJECT, "à")),
    ],
    ids=named,
)
def test_search_keys_become_a_query(keys: bytes, expected: Query) -> None:
    assert query(keys) == expected


@pytest.mark.parametrize(
    ("data", "returns", "by_modseq"),
    [
        (b"ALL", None, False),
        (b"RETURN () ALL", frozenset({b"ALL"}), False),
        (b"NOT SUBJECT modseq", None, False),
        (b"OR ALL NOT (ALL MODSEQ 3)", None, True),
        (b"return (min save) CHARSET US-ASCII MODSEQ 1", frozenset({b"MIN", b"SAVE"}), True),
    ],
)
def test_options_of_search(data: bytes, returns: frozenset[bytes] | None, by_modseq: bool) -> None:
    found = asked(b"UID SEARCH " + data)
    assert isinstance(found, Search)
    assert (found.uid, found.returns, found.by_modseq) == (True, returns, by_modseq)


def test_an_unknown_character_set_is_a_refusal_of_its_own() -> None:
    assert command(b"a SEARCH CHARSET KLINGON ALL", READING) == Broken(b"a", "no such character set", charset=True)


WRONG = [
    b"",
    b" ",
    b"a",
    b"a ",
    b"+ NOOP",
    b"a\x00 NOOP",
    b"a  NOOP",
    b"a NOOP ",
    b"a NOOP x",
    b"a NOOPX",
    b"a UID",
    b"a UID NOOP",
    b"a LOGIN",
    b"a LOGIN a",
    b"a LOGIN a  b",
    b"a LOGIN a (b)",
    b'a LOGIN "a b',
    b'a LOGIN "a\\x" b',
    b"a LOGIN {3}\r\nab",
    b"a LOGIN {99999999999}\r\nab c",
    b"a LOGIN {1}\r\n\x00 b",
    b"a SELECT x ()y",
    b"a SELECT x (QRESYNC)",
    b"a SELECT x (QRESYNC (1 2",
    b"a SELECT x (CONDSTORE CONDSTORE CONDSTORE)",
    b"a CREATE x (USE (\\Nix))",
    b"a LIST (RECURSIVEMATCH) x *",
    b'a LIST "" ' + b"x" * 301,
    b'a LIST "" (' + b" ".join([b"x"] * 21) + b")",
    b"a STATUS x (NIX)",
    b"a STATUS x MESSAGES",
    b"a FETCH 0 FLAGS",
    b"a FETCH 1,,2 FLAGS",
    b"a FETCH 1: FLAGS",
    b"a FETCH 4294967296 FLAGS",
    b"a FETCH 1",
    b"a FETCH 1 ()",
    b"a FETCH 1 (FLAGS",
    b"a FETCH 1 (FAST)",
    b"a FETCH 1 BODY[",
    b"a FETCH 1 BODY[NIX]",
    b"a FETCH 1 BODY[MIME]",
    b"a FETCH 1 BODY[1.]",
    b"a FETCH 1 BODY[1TEXT]",
    b"a FETCH 1 BODY[1..2]",
    b"a FETCH 1 BODY[" + b".".join([b"1"] * 101) + b"]",
    b"a FETCH 1 BODY[HEADER.FIELDS]",
    b"a FETCH 1 BODY[]<1>",
    b"a FETCH 1 BODY[]<1.0>",
    b"a FETCH 1 BODY[]<1.99999999999>",
    b"a FETCH 1 FLAGS (VANISHED)",
    b"a FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
    b"a FETCH 1 FLAGS (NIX 1)",
    b"a FETCH 1 (" + b" ".join(b"BODY[%d]" % number for number in range(101)) + b")",
    b"a STORE 1 FLAGS",
    b"a STORE 1 FLAGS.LOUD ()",
    b"a STORE 1 NIX ()",
    b"a STORE 1 FLAGS (\\Nix)",
    b"a STORE 1 FLAGS (" + b"x" * 101 + b")",
    b"a STORE 1 FLAGS (" + b" ".join(b"x%d" % number for number in range(101)) + b")",
    b"a STORE 1 FLAGS " + b" ".join(b"x%d" % number for number in range(101)),
    b"a STORE 1 (UNCHANGEDSINCE x) FLAGS ()",
    b"a STORE 1 (NIX 1) FLAGS ()",
    b"a COPY 1",
    b"a SEARCH",
    b"a SEARCH NIX",
    b"a SEARCH ()",
    b"a SEARCH 9",
    b"a SEARCH NOT",
    b"a SEARCH OR ALL",
    b"a SEARCH SINCE 31-Feb-2026",
    b"a SEARCH SINCE 1-Nix-2026",
    b'a SEARCH SINCE "1-Feb-2026',
    b"a SEARCH RETURN (NIX) ALL",
    b"a SEARCH CHARSET US-ASCII SUBJECT {1}\r\n\xe0",
    b"a SEARCH SUBJECT {1}\r\n\xe0",
    b"a SEARCH " + b"NOT " * 60 + b"ALL",
    b"a SEARCH " + b"(" * 60 + b"ALL" + b")" * 60,
    b"a SEARCH " + b"ALL " * 1000 + b"ALL",
    b"a SEARCH MODSEQ x",
    b"a SEARCH" + b" HEADER X y" * 101,
    b"a ENABLE",
    b"a ID (x y)",
    b'a ID ("x")',
    b"a ID (" + b" ".join([b'"x" "y"'] * 31) + b")",
    b"a APPEND INBOX x",
]


@pytest.mark.parametrize("data", WRONG, ids=lambda data: repr(data[:40]))
def test_what_is_no_command_is_said_to_be_none(data: bytes) -> None:
    found = command(data, READING)
    assert isinstance(found, Broken)
    assert found.text
    assert found.text.isascii()
    assert found.tag == (b"a" if data.startswith(b"a ") else found.tag)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a APPEND INBOX ", Append("INBOX", frozenset(), None)),
        (b"a append {3}\r\nabc ", Append("abc", frozenset(), None)),
        (b"a APPEND x (\\seen \\Recent $a) ", Append("x", frozenset({"\\Seen", "$a"}), None)),
        (
            b'a APPEND x " 5-Mar-2026 10:11:12 -0130" ',
            Append(
                "x", frozenset(), datetime(2026, 3, 5, 10, 11, 12, tzinfo=timezone(-timedelta(hours=1, minutes=30)))
            ),
        ),
        (b"a APPEND x UTF8 (", Append("x", frozenset(), None, wrapped=True)),
        (b'a APPEND "&" ', Append(None, frozenset(), None)),
    ],
    ids=named,
)
def test_what_stands_before_the_message_of_an_append(data: bytes, expected: Append) -> None:
    assert append_head(data, utf8=False) == (b"a", expected)


@pytest.mark.parametrize(
    "data",
    [
        b"a NOOP ",
        b"a APPEND ",
        b"a APPEND x",
        b"a APPEND x (",
        b'a APPEND x "5-Mar-2026" ',
        b'a APPEND x "05-Mar-0001 10:11:12 +0000" ',
        b'a APPEND x "31-Feb-2026 10:11:12 +0000" ',
        b'a APPEND x "01-Feb-2026 10:11:12 +9900" ',
        b"a APPEND x NIX ",
        b"a APPEND x UTF8 ",
    ],
)
def test_a_literal_elsewhere_is_an_argument(data: bytes) -> None:
    assert append_head(data, utf8=False) is None


def test_a_hundred_thousand_messages_are_one_command() -> None:
    written = b",".join(b"%d" % number for number in range(1, 200_001, 2))
    found = asked(b"UID STORE " + written + b" +FLAGS (\\Seen)")
    assert isinstance(found, Store)
    assert len(found.numbers) == 100_000
