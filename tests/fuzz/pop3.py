"""POP3: whatever lines a client says in whatever order, each has an answer; nobody gets in who was not let in."""

from dataclasses import dataclass
from random import Random

from hypothesis import given

from gateway.mailbox.dialogue import Act, Check, Dialogue, Leave, Listing, Say, Send, Upgrade
from gateway.mailbox.maildrop import Maildrop
from tests.fuzz.noise import inputs, noise

__all__ = ["dialogues"]

WORDS = (
    *b"USER PASS AUTH CAPA STLS UTF8 NOOP QUIT STAT LIST UIDL RETR DELE TOP RSET PLAIN anna * = + 0 1 2 3 4".split(
        b" "
    ),
    *(b" ", b" ", b"\n", b"\n", b"\n", b"", b"9" * 11, b"-1", b"\xc3\xa8", b"AGFubmEAeA==", b"AAAA", b"\t", b"\r"),
    *(b"USER anna\nPASS x\n", b"AUTH PLAIN\n", b"LIST\n", b"DELE 1\n", b"TOP 1 1\n", b"UIDL 2\n"),
)


@dataclass(frozen=True)
class Kept:
    id: int
    token: str
    size: int


def said(random: Random) -> bytes:
    return noise(random, WORDS, 60)


@given(inputs(said))
def dialogues(some: list[bytes]) -> None:
    for number, lines in enumerate(some):
        play(lines.split(b"\n"), tls=bool(number % 4))


def play(lines: list[bytes], *, tls: bool) -> None:
    entries = [Kept(id=number, token=f"t{number}", size=number * 10) for number in (1, 2, 3)]
    dialogue, signed_in = Dialogue(tls=tls), False
    for line in lines:
        act = dialogue.take(line)
        check(act, signed_in=signed_in)
        if isinstance(act, Check) and act.user == "anna":
            assert dialogue.signed_in(Maildrop(entries)).startswith(b"+OK ")
            signed_in = True
        if isinstance(act, Leave):
            assert set(act.marked) <= {1, 2, 3}
            return
        assert (dialogue.maildrop is not None) == signed_in


def check(act: Act, *, signed_in: bool) -> None:
    match act:
        case Say(reply):
            assert reply.startswith((b"+OK", b"-ERR ", b"+ "))
            assert reply.endswith(b"\r\n")
        case Listing(first, further):
            assert signed_in
            assert first.startswith(b"+OK ")
            assert all(many.endswith(b"\r\n") or not many for many in further)
        case Send(number, entry):
            assert signed_in
            assert entry.id == number
        case Upgrade() | Check():
            assert not signed_in
