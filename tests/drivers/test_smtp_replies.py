from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.drivers.smtp_replies import BadReply, Reply, ReplyReader, refusal
from gateway.drivers.transmission import Permanent, Stage, Temporary

DIALOGUE = b"220 hello\r\n250-one\r\n250-two\r\n250 three\r\n354\r\n250 \r\n221 bye\n"
REPLIES = [
    Reply(220, (b"hello",)),
    Reply(250, (b"one", b"two", b"three")),
    Reply(354, (b"",)),
    Reply(250, (b"",)),
    Reply(221, (b"bye",)),
]


@given(st.lists(st.integers(0, len(DIALOGUE)), max_size=12))
def test_replies_do_not_depend_on_how_bytes_come(cuts: list[int]) -> None:
    reader = ReplyReader()
    edges = [0, *sorted(cuts), len(DIALOGUE)]
    found = [reply for start, stop in pairwise(edges) for reply in reader.feed(DIALOGUE[start:stop])]
    assert found == REPLIES
    assert reader.empty


@given(st.binary(max_size=300))
def test_any_bytes_are_replies_or_refused(data: bytes) -> None:
    reader = ReplyReader()
    try:
        for reply in reader.feed(data):
            assert 0 <= reply.code <= 999
            assert reply.text.isprintable()
    except BadReply:
        pass


@pytest.mark.parametrize("data", [b"25", b"abc hello\r\n", b"250_x\r\n", b"\r\n", b"-250 x\r\n", b"2\xb250 x\r\n"])
def test_what_is_no_reply_is_refused(data: bytes) -> None:
    with pytest.raises(BadReply):
        list(ReplyReader().feed(data + b"\r\n"))


def test_good_replies_before_a_fault_are_given_first() -> None:
    replies = ReplyReader().feed(b"250 ok\r\nnonsense\r\n")
    assert next(replies) == Reply(250, (b"ok",))
    with pytest.raises(BadReply):
        next(replies)


def test_lines_and_replies_are_bounded() -> None:
    with pytest.raises(BadReply):
        list(ReplyReader().feed(b"250 " + b"x" * 3000))
    reader = ReplyReader()
    with pytest.raises(BadReply):
        list(reader.feed(b"250-more\r\n" * 1000))


def test_text_is_printable_and_bounded() -> None:
    reply = Reply(550, (b"caf\xc3\xa9 \x1b[31m", b"x" * 5000))
    assert reply.text.isascii()
    assert reply.text.isprintable()
    assert len(reply.text) <= 400


@pytest.mark.parametrize(
    ("line", "stage", "expected"),
    [
        (b"550 5.7.1 no", Stage.RECIPIENT, (Permanent, "5.7.1")),
        (b"550 unknown", Stage.RECIPIENT, (Permanent, "5.1.1")),
        (b"550 unknown", Stage.CONTENT, (Permanent, "5.0.0")),
        (b"552 5.2.2 full", Stage.RECIPIENT, (Permanent, "5.2.2")),
        (b"552 too many", Stage.RECIPIENT, (Temporary, "4.5.3")),
        (b"552 5.5.3 too many", Stage.RECIPIENT, (Temporary, "4.5.3")),
        (b"552 5.3.4 too big", Stage.CONTENT, (Permanent, "5.3.4")),
        (b"452 4.5.3 too many", Stage.RECIPIENT, (Temporary, "4.5.3")),
        (b"451 5.7.1 confused", Stage.MAIL, (Temporary, "4.3.0")),
        (b"554 4.7.1 confused", Stage.CONTENT, (Permanent, "5.0.0")),
        (b"250 what", Stage.CONTENT, (Temporary, "4.0.0")),
        (b"550 5.1.1234 odd", Stage.CONTENT, (Permanent, "5.0.0")),
    ],
)
def test_a_refusal_is_temporary_unless_the_peer_says_never(
    line: bytes, stage: Stage, expected: tuple[type, str]
) -> None:
    (reply,) = ReplyReader().feed(line + b"\r\n")
    found = refusal(reply, stage)
    assert (type(found), found.status) == expected
    assert found.stage is stage
