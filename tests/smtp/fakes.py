"""Flows, sign-in and storage as the SMTP servers see them, in memory."""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gateway.flows.outcomes import (
    Accepted,
    Arrival,
    Holder,
    Peer,
    ReceiveOutcome,
    RecipientAnswer,
    SignInFailure,
    Submission,
    SubmitOutcome,
    Taken,
)

ANNA = Holder(
    account_id=1,
    mailbox_id=1,
    address="anna@alfa.example",
    addresses=frozenset({"anna@alfa.example", "info@alfa.example"}),
    may_submit=True,
)
SERVICE = Holder(
    account_id=2,
    mailbox_id=2,
    address="posta-certificata@alfa.example",
    addresses=frozenset({"posta-certificata@alfa.example"}),
    may_submit=False,
)
HOLDERS = {"anna@alfa.example": ANNA, "posta-certificata@alfa.example": SERVICE}
PASSWORD = "correct horse"


@dataclass
class Flows:
    """What the flows were given, and what they shall answer."""

    submissions: list[Submission] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    sign_ins: list[tuple[str, str, Peer]] = field(default_factory=list)
    submit_outcome: SubmitOutcome | Exception = field(default_factory=lambda: Accepted("1.2@alfa.example"))
    receive_outcome: ReceiveOutcome | Exception = field(default_factory=Taken)
    sign_in_outcome: SignInFailure | Exception | None = None
    unknown: frozenset[str] = frozenset({"nobody@alfa.example"})
    check_error: Exception | None = None
    gate: asyncio.Event | None = None
    """Closed: flows wait here before they end."""

    async def submit(self, submission: Submission) -> SubmitOutcome:
        self.submissions.append(submission)
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.submit_outcome, Exception):
            raise self.submit_outcome
        return self.submit_outcome

    async def receive(self, arrival: Arrival) -> ReceiveOutcome:
        self.arrivals.append(arrival)
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.receive_outcome, Exception):
            raise self.receive_outcome
        return self.receive_outcome

    async def check(self, reverse_path: str, forward_path: str, earlier: Sequence[str] = ()) -> RecipientAnswer:
        if self.check_error is not None:
            raise self.check_error
        if not forward_path.lower().endswith("@alfa.example"):
            return RecipientAnswer.NOT_LOCAL
        return RecipientAnswer.UNKNOWN_MAILBOX if forward_path in self.unknown else RecipientAnswer.WELCOME

    async def sign_in(self, user: str, password: str, peer: Peer) -> Holder | SignInFailure:
        self.sign_ins.append((user, password, peer))
        if isinstance(self.sign_in_outcome, Exception):
            raise self.sign_in_outcome
        if self.sign_in_outcome is not None:
            return self.sign_in_outcome
        holder = HOLDERS.get(user)
        return holder if holder is not None and password == PASSWORD else SignInFailure.WRONG

    @property
    def messages(self) -> list[Submission | Arrival]:
        return [*self.submissions, *self.arrivals]


@dataclass(frozen=True)
class Kept:
    """A content that a sink made."""

    data: bytes

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.data).digest()

    @property
    def size(self) -> int:
        return len(self.data)

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        yield self.data[start:stop]


@dataclass
class MemorySink:
    """A sink that tells what was done to it."""

    written: list[bytes] = field(default_factory=list)
    finished: bool = False
    aborted: bool = False
    error: Exception | None = None

    async def write(self, data: bytes, /) -> None:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        self.written.append(data)

    async def finish(self) -> Kept:
        await asyncio.sleep(0)
        self.finished = True
        return Kept(b"".join(self.written))

    async def abort(self) -> None:
        self.aborted = True


@dataclass
class Sinks:
    """Opens sinks, and remembers them."""

    opened: list[MemorySink] = field(default_factory=list)
    error: Exception | None = None

    def __call__(self) -> MemorySink:
        self.opened.append(MemorySink(error=self.error))
        return self.opened[-1]


@dataclass
class FakeClock:
    """Seconds that pass when the test says so."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
