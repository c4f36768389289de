"""Sieve scripts and ManageSieve commands: whatever the bytes, an outcome or a word why not, soon."""

import time
from random import Random

from hypothesis import given

from gateway.mailbox.managesieve.grammar import Command, Malformed, command
from gateway.points.rules import Verdict
from gateway.points.sieve.check import understood
from gateway.points.sieve.errors import ScriptFailed, ScriptRefused
from gateway.points.sieve.verdict import scripted
from tests.fuzz.noise import inputs, noise
from tests.points.sieve.letters import MAIL, mail

__all__ = ["commands", "mails", "mutations", "scripts"]

WORDS = (
    *rb"""if elsif else require keep stop discard fileinto redirect notify addflag true false not allof anyof header
    address envelope exists size date currentdate hasflag mailboxexists certified valid_notify_method :is :contains
    :matches :value :count :comparator :over :under :copy :create :flags :zone :domain "gt" "subject" "from" "*a*?b*"
    "kind" "envelope" "i;octet" "+0100" "year" "A" "a@b.example" "\\Seen" ["a","b"] 100K 7 { } ( ) [ ] , ; " \ /* */
    # : * ?""".split(),
    *(b"\r\n", b"text:\r\n", b"\r\n.\r\n", b"\0", b"\xff", b"\xc3\xa8"),
)
REQUIRE = (
    b'require ["fileinto", "copy", "envelope", "relational", "comparator-i;ascii-numeric", "date", "imap4flags",'
    b' "mailbox", "subaddress", "enotify", "vnd.ceralacca.certified"];'
)
RIGHT = (
    b'if allof(header :matches ["subject", "x"] ["*a?", "b"], not exists "cc") { fileinto :copy :create "A"; stop; }',
    b'if address :domain :is "from" "a.example" { addflag ["\\\\Seen", "$Label1"]; } elsif size :over 1K { discard; }',
    b'if envelope :detail "to" "x" { redirect "a@b.example"; } else { keep :flags "\\\\Flagged"; }',
    b'if date :zone "+0100" :value "ge" "date" "year" "2026" { notify :importance "1" "mailto:a@b.example"; }',
    b'if certified :contains "signer" text:\r\nAlfa\r\n..\r\n.\r\n { fileinto "INBOX"; } # ...\r\n/* x */ stop;',
    b'if anyof(hasflag :count "gt" :comparator "i;ascii-numeric" "2", mailboxexists ["A"], currentdate "hour" "7") {}',
)
HEADER_WORDS = (
    *b'=?utf-8?q? =?x?b? ?= =C3 <a@b.example> @ , ; : < > ( ) " \\ +x Jan 2026 10:00:00 +0100'.split(b" "),
    *(b" ", b"\t", b"\r\n ", b"\r", b"\n", b"\0"),
)
ASKED = understood(
    REQUIRE
    + b'if anyof(header :matches ["subject", "date"] ["*a*?b*", "\\\\**"], address :detail ["from", "to"] "x",'
    + b' date :value "gt" "date" "iso8601" "2026", date :zone "-2359" "date" "julian" "1", exists "a",'
    + b' header :value "lt" :comparator "i;ascii-numeric" "subject" "7", address :count "gt" "to" "3")'
    + b'{ fileinto "A"; }'
)
LINES = (
    b"PUTSCRIPT ",
    b"NOOP ",
    b'"',
    b"\\",
    b"{3+}\r\n",
    b"abc",
    b" ",
    b"{",
    b"}",
    b"+",
    b"9",
    b"\r\n",
    b"\0",
    b"\xff",
)


NAMES = (b"\r\nSubject:", b"\r\nFrom:", b"\r\nTo:", b"\r\nDate:", b"\r\n:", *HEADER_WORDS)


def mutated(random: Random) -> bytes:
    """A right script with something else in its middle, and what that leaves of another behind it."""
    right, at = random.choice(RIGHT), random.randrange(130)
    return right[:at] + noise(random, WORDS, 4, b" ") + right[at + random.randrange(12) :] + random.choice(RIGHT)


@given(inputs(lambda random: noise(random, WORDS, 60, b" ")))
def scripts(some: list[bytes]) -> None:
    """A script is refused, fails, or leads to a verdict."""
    for script in some:
        holds(script)
        holds(REQUIRE + script)


@given(inputs(mutated))
def mutations(some: list[bytes]) -> None:
    for script in some:
        holds(REQUIRE + script)


def holds(script: bytes) -> None:
    began = time.process_time()
    try:
        verdict = scripted(understood(script), MAIL)
    except (ScriptRefused, ScriptFailed):
        pass
    else:
        assert isinstance(verdict, Verdict)
    assert time.process_time() - began < 5


@given(inputs(lambda random: b"Subject:" + noise(random, NAMES, 80) + b"\r\n\r\n"))
def mails(some: list[bytes]) -> None:
    """A script that is understood leads to a verdict on whatever comes in."""
    for header in some:
        assert scripted(ASKED, mail(header)).folder in (None, "A"), header


@given(inputs(lambda random: noise(random, LINES, 40)))
def commands(some: list[bytes]) -> None:
    """Whatever a client says is a command or none."""
    for data in some:
        assert isinstance(command(data), Command | Malformed), data
