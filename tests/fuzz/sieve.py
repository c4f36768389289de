"""Sieve scripts and ManageSieve commands: whatever the bytes, an outcome or a word why not, soon."""

import time

from hypothesis import given
from hypothesis import strategies as st

from gateway.mailbox.managesieve.grammar import Command, Malformed, command
from gateway.points.rules import Verdict
from gateway.points.sieve.check import understood
from gateway.points.sieve.errors import ScriptFailed, ScriptRefused
from gateway.points.sieve.verdict import scripted
from tests.points.sieve.letters import MAIL, mail

__all__ = ["commands", "mails", "scripts"]

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
SCRIPTS = st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=3)), max_size=60).map(b" ".join)
ASKED = understood(
    REQUIRE
    + b'if anyof(header :matches ["subject", "date"] ["*a*?b*", "\\\\**"], address :detail ["from", "to"] "x",'
    + b' date :value "gt" "date" "iso8601" "2026", date :zone "-2359" "date" "julian" "1", exists "a",'
    + b' header :value "lt" :comparator "i;ascii-numeric" "subject" "7", address :count "gt" "to" "3")'
    + b'{ fileinto "A"; }'
)
FIELDS = st.lists(
    st.tuples(st.sampled_from((b"Subject", b"From", b"To", b"Date", b"")), st.binary(max_size=60)), max_size=8
).map(lambda fields: b"".join(name + b":" + value + b"\r\n" for name, value in fields))
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


@given(SCRIPTS)
def scripts(script: bytes) -> None:
    """A script is refused, fails, or leads to a verdict."""
    began = time.process_time()
    for each in (script, REQUIRE + script):
        try:
            verdict = scripted(understood(each), MAIL)
        except (ScriptRefused, ScriptFailed):
            continue
        assert isinstance(verdict, Verdict)
    assert time.process_time() - began < 20


@given(FIELDS)
def mails(header: bytes) -> None:
    """A script that is understood leads to a verdict on whatever comes in."""
    assert scripted(ASKED, mail(header + b"\r\n")).folder in (None, "A")


@given(st.lists(st.one_of(st.sampled_from(LINES), st.binary(max_size=3)), max_size=20).map(b"".join))
def commands(data: bytes) -> None:
    """Whatever a client says is a command or none."""
    assert isinstance(command(data), Command | Malformed)
