"""The replies of an SMTP server, read from a stream of bytes (RFC 5321 section 4.2, RFC 2034)."""

import re
from collections.abc import Iterator

from gateway.drivers.transmission import Permanent, Stage, Temporary
from receipts.records import record

__all__ = ["BadReply", "Reply", "ReplyReader", "refusal"]

MAX_LINE_BYTES = 2_048  # RFC 5321 asks for 512; servers that explain themselves send more
MAX_LINES = 128
MAX_TEXT = 400  # characters of a reply that are kept

STATUS = re.compile(rb"([245])\.(\d{1,3})\.(\d{1,3})(?= |$)")
UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")

PLAIN_STATUS = {
    421: "4.3.2",
    450: "4.2.0",
    451: "4.3.0",
    452: "4.3.1",
    551: "5.1.6",
    552: "5.2.2",
    553: "5.1.3",
    556: "5.1.10",
}
"""The enhanced status that a bare code comes nearest to (RFC 5248), where it says more than x.0.0."""


class BadReply(Exception):
    """What the peer sent is no SMTP reply, or has no end."""


@record()
class Reply:
    code: int
    lines: tuple[bytes, ...]  # without code and line end

    @property
    def text(self) -> str:
        """All lines in one, printable and bounded: fit for a log, a notice and a register row."""
        joined = b" ".join(self.lines)[: 4 * MAX_TEXT].decode("ascii", "replace")
        return UNPRINTABLE.sub("?", joined)[:MAX_TEXT].strip()


class ReplyReader:
    """Takes bytes as they come and gives whole replies."""

    __slots__ = ("_lines", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []

    @property
    def empty(self) -> bool:
        """Whether every byte so far belonged to a reply already given."""
        return not self._rest and not self._lines

    def feed(self, data: bytes) -> Iterator[Reply]:
        """The replies that ``data`` completes; those before a fault are given before it is raised.

        Raises:
            BadReply: a line is too long or no reply line, or a reply has too many lines.
        """
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            code, follows, text = line[:3], line[3:4], line[4:]
            if len(code) != 3 or not code.isdigit() or follows not in (b"", b" ", b"-", b"\r"):
                raise BadReply("not an SMTP reply")
            if len(line) > MAX_LINE_BYTES or len(self._lines) >= MAX_LINES:
                raise BadReply("a reply without end")
            self._lines.append(text[:-1] if text[-1:] == b"\r" else text)
            if follows != b"-":
                whole, self._lines = tuple(self._lines), []
                yield Reply(int(code), whole)
        if len(self._rest) > MAX_LINE_BYTES:
            raise BadReply("a reply line without end")


def refusal(reply: Reply, stage: Stage) -> Temporary | Permanent:
    """What a reply that is no success means for a recipient.

    Anything but 5xx is temporary. A 552 at RCPT that does not speak of the mailbox means "too many recipients"
    and is a 452 in truth (RFC 5321 section 4.5.3.1.10).
    """
    status = _status(reply, stage)
    if reply.code // 100 != 5:
        return Temporary(status, reply.text, stage, reply.code)
    if stage is Stage.RECIPIENT and reply.code == 552 and not STATUS.match(_first(reply)):
        return Temporary("4.5.3", reply.text, stage, reply.code)
    if stage is Stage.RECIPIENT and status == "5.5.3":
        return Temporary("4.5.3", reply.text, stage, reply.code)
    return Permanent(status, reply.text, stage, reply.code)


def _status(reply: Reply, stage: Stage) -> str:
    severity = "5" if reply.code // 100 == 5 else "4"
    if (found := STATUS.match(_first(reply))) is not None and found[1].decode() == severity:
        return found[0].decode()
    if reply.code == 550 and stage is Stage.RECIPIENT:
        return "5.1.1"
    return PLAIN_STATUS.get(reply.code, f"{severity}.0.0")


def _first(reply: Reply) -> bytes:
    return reply.lines[0] if reply.lines else b""
