"""What the outcome of an attempt to relay means: when to try again, and what follows a failure (D8, D9)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

from gateway.points.faults import Fault
from receipts.wire import ErrorKind, MessageKind

__all__ = ["EXPIRED", "Consequence", "Pauses", "consequence", "error_kind", "may_expire", "pause", "reason"]

EXPIRED = "4.4.7"  # RFC 3463: delivery time expired
SPREAD = 0.25  # how far a pause strays to either side

NO_DOMAIN = frozenset({"5.1.2", "5.1.10", "5.4.4", "5.4.6"})

REASONS: Mapping[str, Fault] = {
    "5.1.1": Fault("indirizzo non valido", "invalid address"),
    "5.1.2": Fault("dominio inesistente", "no such domain"),
    "5.1.3": Fault("indirizzo scritto in modo errato", "malformed address"),
    "5.1.10": Fault("il dominio non riceve posta", "the domain takes no mail"),
    "5.2.1": Fault("casella disabilitata", "mailbox disabled"),
    "5.2.2": Fault("casella piena", "mailbox full"),
    "5.3.4": Fault("messaggio troppo grande", "message too large"),
    "5.4.4": Fault("il dominio non ha un server di posta", "the domain has no mail server"),
    "5.4.6": Fault("instradamento circolare", "routing loop"),
    EXPIRED: Fault("tempo massimo di inoltro superato", "delivery time expired"),
}
OTHERWISE = Fault("rifiutato dal server destinatario", "refused by the recipient's server")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """How long a message waits after the first failure, and how long at most."""

    put_off: timedelta = timedelta(seconds=15)  # the peer itself asked us to come back later
    unreached: timedelta = timedelta(seconds=2)  # there is less reason to wait; never more than ``put_off``
    longest: timedelta = timedelta(minutes=15)


class Consequence(Enum):
    """What follows when a message can never reach a recipient."""

    NOTICE = auto()  # a non-delivery notice (T10) into the sender's mailbox; the recipient's state is failed
    BOUNCE = auto()  # a delivery status notification (RFC 3464), as ordinary mail to the sender
    ALARM = auto()  # a register row and an alarm; nothing is ever sent


def consequence(kind: str, *, certified: bool, reverse_path: str) -> Consequence:
    """By the kind of outbox row; null-path mail never causes an automatic message (D8)."""
    if kind != MessageKind.ENVELOPE or not reverse_path:
        return Consequence.ALARM
    return Consequence.NOTICE if certified else Consequence.BOUNCE


def may_expire(kind: str, *, certified: bool) -> bool:
    """An envelope to a certified recipient ends by a receipt, a refusal or the second timeout only (D9)."""
    return not (kind == MessageKind.ENVELOPE and certified)


def pause(pauses: Pauses, attempts: int, chance: float, *, reached: bool) -> timedelta:
    """How long to wait after a failed attempt.

    Args:
        attempts: how many failed before this one.
        chance: from 0 to 1; keeps messages that failed together from coming back together.
        reached: whether the peer itself asked us to come back later; then there is less hurry.
    """
    first = pauses.put_off if reached else min(pauses.unreached, pauses.put_off)
    doubled: timedelta = min(first * (1 << min(attempts, 16)), pauses.longest)
    return doubled * (1 - SPREAD + 2 * SPREAD * chance)


def error_kind(status: str, *, routed: bool, code: int) -> ErrorKind:
    """The ``errore`` of a non-delivery notice.

    Args:
        routed: False if the domain itself was at fault, before any peer was asked.
        code: the peer's SMTP reply to the recipient, else 0.
    """
    if not routed and status in NO_DOMAIN:
        return ErrorKind.NO_DOMAIN
    return ErrorKind.NO_RECIPIENT if code == 550 and status.startswith("5.1.") else ErrorKind.OTHER


def reason(status: str, provider: str) -> Fault:
    """The detail that Italian providers agreed on: "5.1.1 - provider - reason"."""
    found = REASONS.get(status, OTHERWISE)
    return Fault(f"{status} - {provider} - {found.italian}", f"{status} - {provider} - {found.english}")
