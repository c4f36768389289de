"""What became of one message at one peer, recipient by recipient."""

from dataclasses import dataclass
from enum import Enum, auto

from receipts.octets import Octets
from receipts.records import record

__all__ = ["Delivered", "Outcome", "Outgoing", "Permanent", "Stage", "Temporary"]


@record(kw_only=True)
class Outgoing:
    """One message for one destination: all its forward paths go in one SMTP transaction."""

    reverse_path: str  # empty for the null reverse path
    forward_paths: tuple[str, ...]
    message: Octets


class Stage(Enum):
    """How far an attempt came before it was decided."""

    ROUTE = auto()  # finding out where the domain's mail goes
    CONNECT = auto()  # reaching the peer, greeting, EHLO
    TLS = auto()  # a secure channel was due and could not be had: an alarm (D10)
    MAIL = auto()
    RECIPIENT = auto()
    CONTENT = auto()


@record()
class Delivered:
    """The peer has taken the message for this recipient."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Temporary:
    """Not now: to be tried again. ``status`` is the enhanced status code (RFC 3463), ``code`` the SMTP one or 0."""

    status: str
    text: str
    stage: Stage
    code: int = 0

    @property
    def unreached(self) -> bool:
        """Whether it is about the peer as a whole and not about this message: no route, no connection, no TLS."""
        return self.stage in (Stage.ROUTE, Stage.CONNECT, Stage.TLS)


@dataclass(frozen=True, slots=True)
class Permanent:
    """Never: trying again cannot help. Fields as in Temporary."""

    status: str
    text: str
    stage: Stage
    code: int = 0


Outcome = Delivered | Temporary | Permanent
