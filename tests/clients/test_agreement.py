"""The same questions to our server and to Dovecot: they agree, or the difference stands here with its reason."""

import imaplib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.places import Box, Place

GOLDEN = Path(__file__).parent.parent / "golden"
ADDED = {
    "nested": b"Subject: outer\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nFrom: a@b\r\n\r\nbody\r\n",
    "empty body": b"Subject: nothing\r\n\r\n",
    "no header": b"\r\njust text\r\n",
    "no end": b"Subject: cut",
    "group": b"From: a <a@b>\r\nTo: friends: c@d, E <e@f>;, g@h\r\nSubject: x\r\n\r\nx\r\n",
    "quotes": b'From: "A \\"nick\\" B" <a@b>\r\nSubject: a "b" \\c\r\nSender: s@t\r\nReply-To: r@t, q@t\r\n\r\nx\r\n',
    "language": b"Content-Language: it, en\r\nContent-Location: http://x\r\nContent-MD5: abc\r\n"
    b"Content-ID: <i@d>\r\nContent-Description: text\r\nContent-Type: text/plain; charset=utf-8; format=x\r\n\r\nx\r\n",
    "empty multipart": b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\n--b--\r\n',
    "deep": b'Content-Type: multipart/mixed; boundary="a"\r\n\r\npreamble\r\n--a\r\n'
    b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\n'
    b"<p>\r\n--b--\r\n--a\r\nContent-Type: message/rfc822\r\n"
    b'Content-Disposition: attachment; filename="x.eml"\r\n\r\n'
    b'Subject: in\r\nContent-Type: multipart/mixed; boundary="c"\r\n\r\n--c\r\n'
    b"Content-Type: application/pdf; name=y\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"AAAA\r\n--c--\r\n--a--\r\nepilogue\r\n",
}


def corpus() -> dict[str, bytes]:
    golden = {f"{file.parent.parent.name}/{file.parent.name}": file for file in sorted(GOLDEN.glob("*/*/expected.eml"))}
    kept = {name: file.read_bytes() for name, file in golden.items()}
    # With a NUL no literal may be (RFC 3501 section 9): we refuse it, Dovecot keeps something else in its place.
    return {**{name: message for name, message in kept.items() if b"\0" not in message}, **ADDED}


MESSAGES = corpus()


def filled(box: Box) -> imaplib.IMAP4_SSL:
    """A session in the inbox, with all messages in it."""
    session = box.imap()
    for number, message in enumerate(MESSAGES.values()):
        status, said = session.append("INBOX", None, f'"{number % 28 + 1:02}-Mar-2026 10:11:12 +0000"', message)
        assert status == "OK", said
    assert session.select("INBOX")[0] == "OK"
    return session


@pytest.fixture(scope="module")
def both(ours: Place, theirs: Place) -> tuple[imaplib.IMAP4_SSL, imaplib.IMAP4_SSL]:
    return filled(ours.box()), filled(theirs.box())


def fetched(session: imaplib.IMAP4_SSL, item: str, numbers: str = "1:*") -> dict[int, bytes]:
    """Answers by message number, each as one run of bytes with its literals in it."""
    status, data = session.fetch(numbers, item)
    assert status == "OK"
    answers: dict[int, bytes] = {}
    current = 0
    for piece in data:
        head, body = piece if isinstance(piece, tuple) else (piece, b"")
        if head is None:
            continue
        found = re.match(rb"([0-9]+) \(", head)
        if found:
            current = int(found[1])
        answers[current] = answers.get(current, b"") + head[found.end() if found else 0 :] + body
    return answers


def tree(data: bytes) -> Any:
    """A parenthesised answer as nested lists; strings as bytes, whichever way they were sent."""
    tokens = re.compile(rb'\s*(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|\{([0-9]+)\}|([^\s()"]+))')
    at, stack = 0, [[]]
    while at < len(data.rstrip()):
        found = tokens.match(data, at)
        assert found, data[at : at + 80]
        at = found.end()
        if found[1]:
            stack.append([])
        elif found[2]:
            if len(stack) == 1:
                break
            done = stack.pop()
            stack[-1].append(done)
        elif found[4]:
            stack[-1].append(data[at : at + int(found[4])])
            at += int(found[4])
        elif found[3] is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", found[3]))
        else:
            stack[-1].append(found[5])
    return stack[0]


def lowered(node: Any) -> Any:
    """Types and parameter names mean the same in any case; so do all our strings of them."""
    return [lowered(each) for each in node] if isinstance(node, list) else node.lower()


ENVELOPE_DIFFERS = {
    "envelope/folding-oddities": "Several spaces in a subject: we keep them, as they were written; Dovecot shows one",
}
LINE_END = "a message inside that is a multipart: the line end before the outer boundary is no part of it (see below)"
STRUCTURE_DIFFERS = {
    **ENVELOPE_DIFFERS,  # of messages inside messages
    **dict.fromkeys(("delivery-complete/attached-mail", "envelope/attached-mail", "deep"), LINE_END),
    "anomaly/eight-bit-headers": "8-bit text in a header: Dovecot sends it as it is, in a literal; we as an encoded "
    "word, so that answers are in ASCII and all their strings quoted",
}


def differing(
    both: tuple[imaplib.IMAP4_SSL, imaplib.IMAP4_SSL], item: str, form: Callable[[bytes], Any]
) -> dict[str, Any]:
    ours, theirs = (fetched(session, item) for session in both)
    names = list(MESSAGES)
    assert set(ours) == set(theirs) == set(range(1, len(names) + 1))
    return {
        names[number - 1]: (form(ours[number]), form(theirs[number]))
        for number in ours
        if form(ours[number]) != form(theirs[number])
    }


def test_envelopes(both: tuple[imaplib.IMAP4_SSL, imaplib.IMAP4_SSL]) -> None:
    found = differing(both, "(ENVELOPE)", tree)
    assert set(found) == set(ENVELOPE_DIFFERS), found


@pytest.mark.parametrize("item", ["BODY", "BODYSTRUCTURE"])
def test_structures(both: tuple[imaplib.IMAP4_SSL, imaplib.IMAP4_SSL], item: str) -> None:
    found = differing(both, f"({item})", lambda data: lowered(tree(data)))
    assert set(found) == set(STRUCTURE_DIFFERS), found


SECTIONS = [
    *("BODY.PEEK[]", "BODY.PEEK[HEADER]", "BODY.PEEK[TEXT]", "RFC822.HEADER", "BODY.PEEK[1]", "BODY.PEEK[1.MIME]"),
    *("BODY.PEEK[1.1]", "BODY.PEEK[1.2]", "BODY.PEEK[1.3.HEADER]", "BODY.PEEK[1.3.TEXT]", "BODY.PEEK[1.3.1]"),
    *("BODY.PEEK[2]", "BODY.PEEK[2.MIME]", "BODY.PEEK[2.HEADER]", "BODY.PEEK[2.1]", "BODY.PEEK[]<10.50>"),
    "BODY.PEEK[HEADER.FIELDS (From TO subject X-Ricevuta Message-ID)]",
    "BODY.PEEK[HEADER.FIELDS.NOT (Received Content-Type)]",
    "BODY.PEEK[TEXT]<5.100000>",
    "RFC822.SIZE",
]


@pytest.mark.parametrize("item", SECTIONS)
def test_sections(both: tuple[imaplib.IMAP4_SSL, imaplib.IMAP4_SSL], item: str) -> None:
    """Two differences, both ours by the letter.

    The line end before a boundary belongs to the boundary (RFC 2046 section 5.1.1): Dovecot leaves it to a part that is
    a multipart itself. And what is no multipart has no part 1 but as a whole message: Dovecot shows the part itself.
    """
    for name, (ours, theirs) in differing(both, f"({item})", bare).items():
        assert theirs in (with_line_end(ours), [theirs[0], *ours[1:]]), name
        if theirs != with_line_end(ours):
            assert (item, ours) == ("BODY.PEEK[2.1]", [b""]), name


def with_line_end(answer: Any) -> Any:
    return [answer[0] + b"\r\n", *answer[1:]]


def bare(answer: bytes) -> Any:
    """An answer without the name of its item and the sizes of its literals, which stand for strings as quotes do."""
    words = tree(answer)
    return [word for word in words if not isinstance(word, bytes) or not word.upper().startswith((b"BODY[", b"RFC822"))]


def test_internal_dates_are_the_same_moment(both: tuple[imaplib.IMAP4_SSL, imaplib.IMAP4_SSL]) -> None:
    """Ours are told in the legal time of the provider, Dovecot's in that of the machine."""
    assert not differing(both, "(INTERNALDATE)", imaplib.Internaldate2tuple)


SEARCHES = [
    *("ALL", "SUBJECT uno", "SUBJECT accettazione", "FROM posta-certificata", "TO example", "CC x", "BODY messaggio"),
    *("TEXT certificata", "HEADER X-Ricevuta accettazione", 'HEADER X-Ricevuta ""', "LARGER 5000", "SMALLER 300"),
    *("SINCE 10-Mar-2026", "BEFORE 10-Mar-2026", "ON 3-Mar-2026", "SENTSINCE 1-Jan-2026", "NOT SUBJECT a"),
    *("OR SUBJECT uno FROM x 1:20", "UID 3:7", "SEEN", "UNSEEN DELETED", "KEYWORD $Label1", "2,4:6 (NOT FROM posta)"),
]


@pytest.mark.parametrize("keys", SEARCHES)
def test_searches(both: tuple[imaplib.IMAP4_SSL, imaplib.IMAP4_SSL], keys: str) -> None:
    ours, theirs = (session.search(None, keys) for session in both)
    assert ours == theirs
