"""Whole scripts: the example of RFC 5228 section 9, and one as Roundcube's editor writes them."""

import pytest

from gateway.points.marks import Mark
from gateway.points.rules import Copy, Verdict
from tests.points.sieve.letters import ask, mail

RFC_5228 = """\
#
# Example Sieve Filter
# Declare any optional features or extension used by the script
#
require ["fileinto"];

#
# Handle messages from known mailing lists
#
if header :is "Sender" "owner-ietf-mta-filters@imc.org"
        {
        fileinto "filter";  # move to "filter" mailbox
        }
# Keep all messages to or from people in my company
elsif address :DOMAIN :is ["From", "To"] "example.com"
        {
        keep;               # keep in "In" mailbox
        }
# Try and catch unsolicited email.  If a message is not to me,
# or it contains a subject known to be spam, file it away.
elsif anyof (NOT address :all :contains
               ["To", "Cc", "Bcc"] "me@example.com",
             header :matches "subject"
               ["*make*money*fast*", "*university*dipl*mas*"])
        {
        fileinto "spam";   # move to "spam" mailbox
        }
else
        {
        # Move all other (non-company) mail to "personal" mailbox.
        fileinto "personal";
        }
"""
ROUNDCUBE = """\
require ["fileinto","copy","imap4flags","date","relational","envelope"];
# rule:[Fatture]
if allof (header :contains "subject" "fattura", not header :contains "from" "no-reply")
{
\tsetflag ["\\\\Seen","\\\\Flagged"];
\tfileinto :copy "Fatture";
\tredirect :copy "contabile@mail.example";
}
# rule:[Spam]
if anyof (header :contains "x-spam-flag" "yes", size :over 20M)
{
\tdiscard;
\tstop;
}
# rule:[Vecchi]
if false # currentdate
{
\tkeep;
}
"""


@pytest.mark.parametrize(
    ("fields", "folder"),
    [
        ("Sender: owner-ietf-mta-filters@imc.org\r\nFrom: a@example.com", "filter"),
        ("From: Coyote <coyote@Desert.Example.ORG>\r\nTo: roadrunner@example.com", None),
        ("From: youcouldberich!@reply-by-postal-mail.invalid\r\nTo: rube@landru.example.edu", "spam"),
        ("From: a@b.example\r\nTo: c@d.example\r\nCc: someone.me@example.com\r\nSubject: make money fast", "spam"),
        ("From: a@b.example\r\nTo: c@d.example\r\nCc: someone.me@example.com\r\nSubject: ciao", "personal"),
    ],
)
def test_the_example_of_the_rfc(fields: str, folder: str | None) -> None:
    assert ask(RFC_5228, mail(f"{fields}\r\n\r\n".encode())) == Verdict(folder=folder)


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        (
            "Subject: Fattura 7\r\nFrom: a@b.example",
            Verdict(
                folder="Fatture",
                marks=Mark.SEEN | Mark.FLAGGED,
                copies=(Copy(None, Mark.SEEN | Mark.FLAGGED),),
                forward="contabile@mail.example",
            ),
        ),
        ("Subject: Fattura 7\r\nFrom: no-reply@b.example", Verdict()),
        ("X-Spam-Flag: YES", Verdict(folder="Trash")),
    ],
)
def test_what_the_editor_of_roundcube_writes(fields: str, verdict: Verdict) -> None:
    assert ask(ROUNDCUBE, mail(f"{fields}\r\n\r\n".encode(), kind="anomaly")) == verdict
