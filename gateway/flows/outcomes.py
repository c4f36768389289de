"""What shells hand to flows, and what flows answer: the whole conversation between layers 3 and 4."""

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum, StrEnum, auto

from gateway.points.sharing import Act, Right, may
from receipts.errors import GatewayError
from receipts.octets import Octets
from receipts.records import record

__all__ = [
    "Accepted",
    "Arrival",
    "CheckRecipient",
    "Holder",
    "NotAccepted",
    "Peer",
    "Protocol",
    "Receive",
    "ReceiveOutcome",
    "RecipientAnswer",
    "Refusal",
    "Refused",
    "RightWithdrawn",
    "SignIn",
    "SignInFailure",
    "Submission",
    "Submit",
    "SubmitOutcome",
    "Taken",
    "Visit",
]


@record(kw_only=True)
class Peer:
    """The other end of a connection."""

    address: str  # IP address
    port: int
    tls: bool
    helo: str | None = None  # what it called itself


class Protocol(StrEnum):
    """The ways by which a holder's programs sign in."""

    IMAP = "imap"
    POP3 = "pop3"
    SMTP = "smtp"
    SIEVE = "sieve"  # ManageSieve, by which scripts are kept


@record(kw_only=True)
class Visit:
    """One sign-in to a box that several people share (D35): who it is, and what goes into the box's journal of it."""

    person_id: int | None  # None: the box's holder
    person: str | None  # how the person is called
    right: Right  # at sign-in; what is done asks again
    device: str  # first characters of the password; empty: the one that the holder chose
    protocol: Protocol
    address: str  # network address of the other end


@record(kw_only=True)
class Holder:
    """Who signed in, and the mailbox that sign-in opens."""

    account_id: int
    mailbox_id: int
    address: str  # the mailbox's own address
    addresses: frozenset[str]  # every address key it may write as: its own and its aliases (``address_key``)
    may_submit: bool  # False for service and operator boxes
    visit: Visit | None = None  # of a box that is shared

    def may(self, act: Act) -> bool:
        """Whether whoever signed in had the right to do this then."""
        return self.visit is None or may(self.visit.right, act)


class SignInFailure(Enum):
    WRONG = auto()  # no such account, wrong password, disabled: all look the same (promise 6)
    NEEDS_DEVICE = auto()  # the password is right, but this account takes passwords of devices only
    CLOSED = auto()  # the password is right, but the account is not used by this protocol
    BUSY = auto()  # the password checkers' queue is full; try later
    TOO_MANY = auto()  # too many failures from this address


class RightWithdrawn(GatewayError):
    """Whoever signed in may send from this box no longer (D35); nothing was kept."""


@record(kw_only=True)
class Submission:
    """A message that a holder hands in (RFC 6109 section 3.1)."""

    holder: Holder
    reverse_path: str
    forward_paths: tuple[str, ...]  # in the order of RCPT, as written
    message: Octets  # CRLF, free of bare CR, LF and NUL
    peer: Peer


@record()
class Accepted:
    """Sealed, kept, on its way; the acceptance receipt is in the mailbox."""

    pec_msgid: str


@record()
class NotAccepted:
    """The non-acceptance notice is in the mailbox (D13)."""

    pec_msgid: str


SubmitOutcome = Accepted | NotAccepted


@record(kw_only=True)
class Arrival:
    """A message that came to the incoming point, for local recipients only."""

    reverse_path: str  # empty for the null reverse path
    forward_paths: tuple[str, ...]
    message: Octets
    peer: Peer
    own: bool = False  # a notification that we made ourselves: no box refuses it


class Refusal(Enum):
    """Why a whole message is refused after its last byte (D7, D8, D13)."""

    UNKNOWN_RECIPIENT = auto()  # ordinary mail, nobody here by these names: 550 5.1.1
    INFECTED = auto()  # ordinary mail: 554 5.7.1
    LOOP = auto()  # over 50 Received fields: 554 5.4.6
    POLICY = auto()  # ordinary mail is not taken here: 550 5.7.1
    MAILBOX_FULL = auto()  # ordinary mail: 452 4.2.2


@record()
class Taken:
    """Decided and kept."""


@record()
class Refused:
    why: Refusal


ReceiveOutcome = Taken | Refused


class RecipientAnswer(Enum):
    """What port 25 says to a forward path (D7)."""

    WELCOME = auto()
    NOT_LOCAL = auto()  # 550 5.7.1: not our domain, address literals, source routes, % and ! tricks
    UNKNOWN_MAILBOX = auto()  # 550 5.1.1
    FULL = auto()  # 452 4.2.2: ordinary mail for a full mailbox (D13)
    APART = auto()  # 452 4.5.3: its box decides otherwise on ordinary mail than those before; to be sent by itself


Submit = Callable[[Submission], Awaitable[SubmitOutcome]]
Receive = Callable[[Arrival], Awaitable[ReceiveOutcome]]
CheckRecipient = Callable[[str, str, Sequence[str]], Awaitable[RecipientAnswer]]
"""Reverse path, forward path, the forward paths taken before it -> answer."""
SignIn = Callable[[str, str, Peer], Awaitable[Holder | SignInFailure]]
"""User name, password, peer -> who it is. Raises TemporaryError when accounts cannot be read."""
