"""The dialogue without a socket, said anything."""

import base64
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mailbox import replies
from gateway.mailbox.dialogue import Act, Check, Dialogue, Leave, Listing, Say, Send, Upgrade
from gateway.mailbox.grammar import Verb
from gateway.mailbox.maildrop import Maildrop


@dataclass(frozen=True)
class Fake:
    id: int
    token: str
    size: int


def inside(*sizes: int) -> Dialogue:
    dialogue = Dialogue(tls=True)
    dialogue.signed_in(Maildrop([Fake(100 + number, f"t{number}", size) for number, size in enumerate(sizes, 1)]))
    return dialogue


PLAIN = base64.b64encode(b"\0anna\0geheim")
LINES = st.one_of(
    st.sampled_from([verb.value for verb in Verb]),
    st.sampled_from([b"RETR 1", b"DELE 1", b"DELE 2", b"TOP 1 1", b"LIST 2", b"UIDL 9", b"USER a", b"AUTH PLAIN"]),
    st.just(b"AUTH PLAIN " + PLAIN),
    st.just(PLAIN),
    st.binary(max_size=30),
)


@given(st.lists(LINES, max_size=30), st.booleans(), st.booleans())
def test_anything_said_has_an_answer(lines: list[bytes], tls: bool, signed_in: bool) -> None:
    dialogue = inside(10, 20) if signed_in else Dialogue(tls=tls)
    for line in lines:
        act = dialogue.take(line)
        assert isinstance(act, Act)
        if isinstance(act, Say):
            assert act.reply.startswith((b"+", b"-ERR "))
            assert act.reply.endswith(b"\r\n")
        if isinstance(act, Check | Upgrade):
            assert not signed_in
        if isinstance(act, Check):
            assert tls
        if isinstance(act, Send | Listing):
            assert signed_in
        if isinstance(act, Leave):
            assert signed_in or act.marked == ()
            assert set(act.marked) <= {101, 102}


@pytest.mark.req("SEC-02")
@pytest.mark.parametrize("line", [b"USER anna", b"PASS x", b"AUTH PLAIN", b"AUTH PLAIN " + PLAIN])
def test_nobody_signs_in_without_tls(line: bytes) -> None:
    dialogue = Dialogue(tls=False)
    assert dialogue.take(line) == Say(replies.CLEAR, bad=True)
    assert b"USER" not in replies.capabilities(tls=False)
    assert b"SASL" not in replies.capabilities(tls=False)


def test_what_was_said_before_tls_does_not_count() -> None:
    dialogue = Dialogue(tls=False)
    dialogue.take(b"USER anna")
    assert dialogue.take(b"STLS") == Upgrade()
    dialogue.upgraded()
    assert dialogue.take(b"PASS geheim") == Say(replies.WRONG_STATE, bad=True)
    assert dialogue.take(b"AUTH PLAIN " + PLAIN) == Check("anna", "geheim")


def test_a_line_behind_the_question_is_credentials_whatever_it_looks_like() -> None:
    dialogue = Dialogue(tls=True)
    assert dialogue.take(b"AUTH PLAIN") == Say(replies.ASK)
    answer = dialogue.take(b"QUIT")
    assert isinstance(answer, Say)
    assert answer.bad
    assert dialogue.take(b"QUIT") == Leave()


def test_marks_are_told_at_the_end() -> None:
    dialogue = inside(10, 20, 30)
    for line in (b"DELE 3", b"DELE 1", b"RSET", b"DELE 2", b"DELE 3"):
        dialogue.take(line)
    assert dialogue.take(b"QUIT") == Leave((102, 103))


def test_messages_are_asked_for_whole_or_in_part() -> None:
    dialogue = inside(10)
    assert dialogue.take(b"RETR 1") == Send(1, Fake(101, "t1", 10))
    assert dialogue.take(b"TOP 1 0") == Send(1, Fake(101, "t1", 10), lines=0)
