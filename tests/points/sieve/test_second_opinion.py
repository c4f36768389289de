"""Scripts and messages that Dovecot's Pigeonhole was asked about too. Where it differs, the reason stands here."""

import random
from collections.abc import Iterator

import pytest

from gateway.points.marks import NAMES
from gateway.points.rules import Copy
from gateway.points.sieve.check import understood
from gateway.points.sieve.errors import ScriptRefused
from tests.points.sieve.letters import ANNA, ask, mail
from tests.points.sieve.pigeonhole import Opinion, Pigeonhole, running
from tests.points.sieve.test_actions import DONE
from tests.points.sieve.test_conditions import HOLDS
from tests.points.sieve.test_refusals import REFUSED

SENDER, RECIPIENT = "anna.rossi@alfa.example", "bruno+fatture@beta.example"
REQUIRE = (
    'require ["fileinto", "copy", "envelope", "relational", "comparator-i;ascii-numeric", "date", "imap4flags",'
    ' "mailbox", "subaddress", "enotify"];\r\n'
)
OURS_ALONE = ("certified", "currentdate", "mailboxexists", "size", "valid_notify", "notify_method")
"""Our own test, the time of the run, and facts that the tests give instead of the message."""

MESSAGES = (
    ANNA,
    b"\r\n",
    b"Subject: a\r\nSubject: b\r\n\tc\r\nFrom: gruppo: a@b.example, c@d.example;\r\nTo: x@y.example\r\n\r\n",
    b'From: "A, B" <a+b+c@D.Example> (commento)\r\nSubject:   spazi   dentro  \r\nX-Punti: 007 punti\r\n\r\n',
    b"Subject: =?iso-8859-1?Q?Citt=E0?= =?utf-8?B?w6g=?=\r\nX-Punti: -3\r\nCc: <x@y.example>, <z@y.example>\r\n\r\n",
    b"SUBJECT: [lista] (x) *y* ?z? \\w\\\r\nDate: 1 Jan 2026 00:30:00 +0100\r\nX-Due:\r\n\r\n",
)
FIELDS = ("subject", "x-punti", "x-due", "from", "to", "cc", "x-nothing", "SUBJECT")
TEXTS = (
    "", "*", "?*", "a", "A", "b c", "*a*", "*A*b*", "?", "??", "*a?b*", "[lista]*", "*\\\\*y\\\\**", "*\\\\?z*",
    "perizia*", "*urgente\\\\*", "12",
    "7", "3", "-3", "007 punti", "Cittàè", "*à*", "uno", "due", "*spazi*dentro", "a@b.example",
    "*@*", "*.example", "x@y.example", "\\\\", "*\\\\\\\\*",
)  # fmt: skip
NUMBERS = ("0", "1", "2", "7", "12", "007 punti", "99999999999999999999999")
ADDRESSES = (
    "a@b.example",
    "*",
    "b.example",
    "D.Example",
    "d.example",
    "a",
    "a+b+c",
    "b+c",
    "anna.rossi",
    "fatture",
)


@pytest.fixture(scope="module")
def pigeonhole() -> Iterator[Pigeonhole]:
    with running() as program:
        yield program


def compared(pigeonhole: Pigeonhole, tests: list[str], message: bytes) -> int:
    """Every test holds there if it holds here: all of them in one script there, one by one here.

    Some patterns make sieve-test 0.5.19 abort; what it cannot say is left out.

    Returns:
        How many were compared.
    """
    script = REQUIRE + "".join(f'if {test} {{ fileinto :copy "n{number}"; }}\r\n' for number, test in enumerate(tests))
    opinion = pigeonhole.ask(script, message, sender=SENDER, recipient=RECIPIENT)
    if opinion is None and len(tests) > 1:
        middle = len(tests) // 2
        return compared(pigeonhole, tests[:middle], message) + compared(pigeonhole, tests[middle:], message)
    if opinion is None:
        return 0
    for number, test in enumerate(tests):
        ours = ask(f'{REQUIRE} if {test} {{ fileinto "Si"; }}', mail(message)).folder == "Si"
        assert ours == (f"n{number}" in opinion.folders), test
    return len(tests)


@pytest.mark.parametrize("message", MESSAGES, ids=range(len(MESSAGES)))
def test_the_same_tests_hold(pigeonhole: Pigeonhole, message: bytes) -> None:
    tests = [test for test in HOLDS if not any(word in test for word in OURS_ALONE)]
    assert compared(pigeonhole, tests, message) == len(tests)


def a_match(chance: random.Random, texts: tuple[str, ...]) -> str:
    type_ = chance.choice([":is", ":contains", ":matches", ':value "RELATION"', ':count "RELATION"', ""])
    comparator = chance.choice(["", ':comparator "i;octet"', ':comparator "i;ascii-casemap"'])
    if type_.startswith((":value", ":count", ":is")) and chance.random() < 0.3:
        comparator, texts = ':comparator "i;ascii-numeric"', NUMBERS  # of others it takes some for unlike
    keys = ", ".join(f'"{chance.choice(texts)}"' for _ in range(chance.randint(1, 2)))
    relation = chance.choice(["gt", "ge", "lt", "le", "eq", "ne"])
    return f"{type_.replace('RELATION', relation)} {comparator} @ [{keys}]"


def a_test(chance: random.Random) -> str:
    """A test of header fields or of addresses."""
    fields = ", ".join(f'"{name}"' for name in chance.sample(FIELDS, chance.randint(1, 2)))
    if chance.random() < 0.6:
        return "header " + a_match(chance, TEXTS).replace("@", f"[{fields}]", 1)
    part = chance.choice(["", ":all", ":localpart", ":domain", ":user", ":detail"])
    if chance.random() < 0.2:
        return f"envelope {part} " + a_match(chance, ADDRESSES).replace("@", chance.choice(['"from"', '"to"']), 1)
    names = ", ".join(f'"{name}"' for name in chance.sample(["from", "to", "cc"], chance.randint(1, 2)))
    return f"address {part} " + a_match(chance, ADDRESSES).replace("@", f"[{names}]", 1)


@pytest.mark.parametrize("message", MESSAGES, ids=range(len(MESSAGES)))
def test_tests_drawn_by_lot_hold_the_same(pigeonhole: Pigeonhole, message: bytes) -> None:
    chance = random.Random(4)
    assert compared(pigeonhole, [a_test(chance) for _ in range(400)], message) > 350


DIFFERENT = {
    'addflag ["\\\\Seen $label1", "flagged"];': "there it is a keyword like any other",
    'redirect "a@mail.example";': "there it does not stay",
    'redirect "a@mail.example"; redirect "b@mail.example";': "here one leaves",
}


@pytest.mark.parametrize("script", [script for script, _ in DONE if script not in DIFFERENT])
def test_the_same_is_done(pigeonhole: Pigeonhole, script: str) -> None:
    opinion = pigeonhole.ask(REQUIRE + script, ANNA, sender=SENDER, recipient=RECIPIENT)
    verdict = ask(REQUIRE + script)
    places = (Copy(verdict.folder, verdict.marks), *verdict.copies)
    folders = {
        one.folder or "INBOX": frozenset(name.lower() for mark, name in NAMES.items() if mark & one.marks)
        for one in places
    }
    forwards = () if verdict.forward is None else (verdict.forward,)
    assert opinion == Opinion(folders, forwards, verdict.tell)


REFUSED_HERE = (
    "99999999G",  # there numbers are larger
    '"reject"', '"vacation"', '"regex"',  # certified mail
    "A//B", "Deleted", "$Delivered",  # our folders and marks
    '"a b"', '"auth"', "century", "MEZ",  # there such a test never holds
    "x" * 1001,
)  # fmt: skip


@pytest.mark.parametrize("script", [row[0] for row in REFUSED if not any(word in row[0] for word in REFUSED_HERE)])
def test_what_is_refused_here_is_refused_there(pigeonhole: Pigeonhole, script: str) -> None:
    assert pigeonhole.ask(script, ANNA, sender=SENDER, recipient=RECIPIENT) is None


def test_what_is_understood_there_is_understood_here(pigeonhole: Pigeonhole) -> None:
    """Scripts put together by lot from words of the language."""
    chance = random.Random(8)
    understood_by_both = 0
    for _ in range(150):
        script = REQUIRE + " ".join(chance.choice(WORDS) for _ in range(chance.randint(1, 6)))
        theirs = pigeonhole.ask(script, ANNA, sender=SENDER, recipient=RECIPIENT) is not None
        try:
            understood(script.encode())
            ours = True
        except ScriptRefused:
            ours = False
        assert ours == theirs, script
        understood_by_both += ours
    assert understood_by_both > 10


WORDS = (
    "keep;", "stop;", "discard;", "if true { keep; }", "elsif false { stop; }", "else { keep; }", "if", "not", "true",
    "allof (true, false)", "anyof (true)", "{ keep; }", "{}", ";", '"x"', '["a", "b"]', ":copy", 'fileinto "A";',
    'fileinto :copy "A";', 'if header "a" "b" { stop; }', 'if size :over 10K { keep; }', "/* x */", "# x\r\n",
    'redirect "a@b.example";', 'addflag "\\\\Seen";', 'if exists "a" {}', "text:\r\nx\r\n.\r\n", "100", "(", ")",
)  # fmt: skip
