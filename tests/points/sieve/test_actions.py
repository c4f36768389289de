"""What Sieve scripts do with a message, as the verdicts that rules give (RFC 5228 section 4, D34)."""

import pytest

from gateway.points.marks import Mark
from gateway.points.rules import Copy, Verdict
from tests.points.sieve.letters import ask, mail

REQUIRE = 'require ["fileinto", "copy", "imap4flags", "mailbox", "enotify"];'

DONE = [
    ("", Verdict()),
    ("keep;", Verdict()),
    ('stop; fileinto "A";', Verdict()),
    ('fileinto "A";', Verdict(folder="A")),
    ('fileinto "inbox";', Verdict(folder="INBOX")),
    ('fileinto "A"; fileinto "A";', Verdict(folder="A")),
    ('fileinto "A"; fileinto "B";', Verdict(folder="A", copies=(Copy("B"),))),
    ('fileinto "A"; keep;', Verdict(folder="A", copies=(Copy(None),))),
    ('fileinto :copy "A";', Verdict(folder="A", copies=(Copy(None),))),
    ('fileinto :create "A/B";', Verdict(folder="A/B")),
    ('addflag "\\\\Seen";', Verdict(marks=Mark.SEEN)),
    ('addflag ["\\\\Seen $label1", "flagged"];', Verdict(marks=Mark.SEEN | Mark.LABEL_1 | Mark.FLAGGED)),
    ('setflag "\\\\Seen"; setflag "\\\\Flagged";', Verdict(marks=Mark.FLAGGED)),
    ('addflag "\\\\Seen"; addflag "\\\\Flagged"; removeflag "\\\\Seen";', Verdict(marks=Mark.FLAGGED)),
    ('addflag "\\\\Seen"; fileinto "A"; addflag "\\\\Flagged";', Verdict(folder="A", marks=Mark.SEEN)),
    ('addflag "\\\\Seen"; fileinto :flags "\\\\Flagged" "A";', Verdict(folder="A", marks=Mark.FLAGGED)),
    ('addflag "\\\\Seen"; keep :flags [];'.replace("[]", '""'), Verdict()),
    ('addflag "\\\\Seen"; if hasflag "\\\\seen" { fileinto "A"; }', Verdict(folder="A", marks=Mark.SEEN)),
    ('if hasflag :contains "seen" { fileinto "A"; }', Verdict()),
    ('redirect "a@mail.example";', Verdict(forward="a@mail.example")),
    ('redirect :copy "a@mail.example";', Verdict(forward="a@mail.example")),
    ('redirect "a@mail.example"; redirect "b@mail.example";', Verdict(forward="a@mail.example")),
    ('redirect "a@mail.example"; fileinto "A";', Verdict(folder="A", forward="a@mail.example")),
    ('notify "mailto:a@mail.example?subject=x";', Verdict(tell=("a@mail.example",))),
    ('notify :importance "1" :message "x" "mailto:a@mail.example";', Verdict(tell=("a@mail.example",))),
    ('if false { keep; } elsif true { fileinto "B"; } else { fileinto "C"; }', Verdict(folder="B")),
    ('if false { keep; } elsif false { fileinto "B"; } else { fileinto "C"; }', Verdict(folder="C")),
    ('if true { if true { stop; } } fileinto "A";', Verdict()),
]


@pytest.mark.parametrize(("script", "verdict"), DONE, ids=[script for script, _ in DONE])
def test_what_a_script_does(script: str, verdict: Verdict) -> None:
    assert ask(REQUIRE + script) == verdict


@pytest.mark.parametrize("kind", ["ordinary", "anomaly"])
def test_ordinary_mail_that_is_discarded_goes_to_the_trash(kind: str) -> None:
    assert ask("discard;", mail(kind=kind)) == Verdict(folder="Trash")


@pytest.mark.parametrize("kind", ["envelope", "acceptance", "delivery", "non-delivery", "timeout", "virus"])
def test_certified_mail_and_what_proves_it_is_never_discarded(kind: str) -> None:
    assert ask("discard;", mail(kind=kind)) == Verdict()


def test_discarding_takes_nothing_back_from_a_folder() -> None:
    assert ask(REQUIRE + 'fileinto "A"; discard;', mail(kind="ordinary")) == Verdict(folder="A")


@pytest.mark.parametrize("kind", ["acceptance", "delivery", "non-delivery", "timeout"])
def test_receipts_and_notices_are_never_redirected(kind: str) -> None:
    assert ask('redirect "a@mail.example";', mail(kind=kind)) == Verdict()


def test_the_rules_of_the_box_come_first() -> None:
    rules = Verdict(folder="A", marks=Mark.SEEN, forward="a@mail.example")
    script = Verdict(
        folder="B", marks=Mark.FLAGGED, copies=(Copy("A"), Copy("C")), forward="b@mail.example", tell=("c@x",)
    )
    assert rules.then(script) == Verdict(
        folder="A", marks=Mark.SEEN | Mark.FLAGGED, copies=(Copy("C"),), forward="a@mail.example", tell=("c@x",)
    )
    assert Verdict().then(script) == script
