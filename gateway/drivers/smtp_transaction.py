"""One message on its way through one SMTP connection: its commands, and what the replies make of it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from gateway.drivers.smtp_replies import Reply, refusal
from gateway.drivers.transmission import Delivered, Outcome, Outgoing, Stage, Temporary
from receipts.octets import InMemory, Octets

__all__ = ["Features", "Transaction", "dot_stuffed", "is_in_memory"]

LINE_END = b"\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What the peer's EHLO offered, as far as it matters here."""

    pipelining: bool = False  # RFC 2920
    chunking: bool = False  # RFC 3030
    eight_bit: bool = False  # RFC 6152
    size: bool = False  # RFC 1870
    starttls: bool = False  # RFC 3207

    @classmethod
    def offered(cls, reply: Reply) -> "Features":
        words = {line.split(b" ", 1)[0].upper() for line in reply.lines[1:]}
        return cls(
            pipelining=b"PIPELINING" in words,
            chunking=b"CHUNKING" in words,
            eight_bit=b"8BITMIME" in words,
            size=b"SIZE" in words,
            starttls=b"STARTTLS" in words,
        )


class Transaction:
    """Gathers an outcome for each recipient from the replies to MAIL, each RCPT and the content, in this order.

    ``on_end`` is called exactly once, when every recipient has its outcome.
    """

    __slots__ = ("_ended", "_on_end", "_outcomes", "_step", "outgoing", "size", "taken", "untouched")

    def __init__(self, outgoing: Outgoing, on_end: Callable[["Transaction"], None]) -> None:
        self.outgoing = outgoing
        self.size = outgoing.message.size
        self.untouched = True  # the peer has answered nothing yet: another connection may begin anew
        self.taken = False  # the peer has taken the content for someone
        self._on_end = on_end
        self._outcomes: list[Outcome | None] = [None] * len(outgoing.forward_paths)
        self._step = 0
        self._ended = False

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        return tuple(outcome for outcome in self._outcomes if outcome is not None)

    @property
    def wanted(self) -> bool:
        """Whether some recipient still waits for the content."""
        return None in self._outcomes

    def commands(self, features: Features) -> list[bytes]:
        """MAIL and each RCPT. The paths were checked before: they hold no space, CR or LF."""
        parameters = f" SIZE={self.size}" if features.size else ""
        if features.eight_bit:
            parameters += " BODY=8BITMIME"
        mail = f"MAIL FROM:<{self.outgoing.reverse_path}>{parameters}\r\n".encode("ascii")
        return [mail, *(f"RCPT TO:<{path}>\r\n".encode("ascii") for path in self.outgoing.forward_paths)]

    def begin(self, *, after_reset: bool) -> None:
        """From now on replies come in, first the one to RSET if one was sent along."""
        self._step = -1 if after_reset else 0

    def feed(self, reply: Reply) -> bool:
        """Take the next reply; True when it was the last one."""
        if self._step > len(self._outcomes):
            self.content(reply)
            return True
        self.proposed(reply)
        return False

    def proposed(self, reply: Reply) -> None:
        """Take the reply to MAIL, then to each RCPT; one that comes behind them is not for us.

        A refusal at MAIL counts for all recipients, one at RCPT for that recipient (D10).
        """
        step = self._step
        self._step = step + 1
        if step == 0:
            self.untouched = False
            if reply.code // 100 != 2:
                self._settle(refusal(reply, Stage.MAIL))
        elif 0 < step <= len(self._outcomes) and self._outcomes[step - 1] is None and reply.code // 100 != 2:
            self._outcomes[step - 1] = refusal(reply, Stage.RECIPIENT)

    def content(self, reply: Reply) -> None:
        """The reply to the final dot or to BDAT LAST: for all recipients that were not refused before."""
        if reply.code // 100 == 2:
            self.taken = self.wanted
            self._settle(Delivered(reply.text))
        else:
            self._settle(refusal(reply, Stage.CONTENT))
        self.end()

    def lost(self, cause: Temporary) -> None:
        """The connection is gone: whoever has no outcome yet may be tried again, even after the final dot (D10)."""
        self._settle(cause)
        self.end()

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self._on_end(self)

    def _settle(self, outcome: Outcome) -> None:
        self._outcomes = [outcome if known is None else known for known in self._outcomes]


def is_in_memory(message: Octets) -> bool:
    """Whether reading the message touches nothing but memory."""
    return all(isinstance(part, bytes) or isinstance(part.source, InMemory) for part in message.parts)


def dot_stuffed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The content as DATA wants it: dots at line starts doubled, ending with CRLF and the final dot."""
    tail = LINE_END
    for piece in pieces:
        if not piece:
            continue
        if tail == LINE_END and piece[:1] == b".":
            yield b"."
        stuffed = piece.replace(b"\r\n.", b"\r\n..")
        if tail[-1:] == b"\r" and piece[:2] == b"\n.":
            stuffed = b"\n.." + stuffed[2:]
        yield stuffed
        tail = (tail + piece)[-2:]
    if tail != LINE_END:
        yield LINE_END
    yield b".\r\n"
