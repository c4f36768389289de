"""Whom port 25 takes mail for: our own mailboxes, and nobody by way of us (D7)."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from gateway.drivers.sources import Clock
from gateway.flows.fullness import is_full
from gateway.flows.outcomes import RecipientAnswer
from gateway.points.box import UNLIMITED, Capacity
from gateway.points.ordinary import Ordinary, effective
from gateway.storage import accounts, domains, policies
from gateway.storage.accounts import BoxKind
from gateway.storage.engine import Storage
from providers.directory import Directory
from receipts.errors import TemporaryError
from receipts.identifiers import address_key, domain_of, is_smtp_address

__all__ = ["Recipients"]

REMEMBERED: Final = timedelta(seconds=5)
MOST_REMEMBERED: Final = 10_000


class Recipients:
    """Answers for forward paths before any message is seen.

    A mailbox that was found is remembered for a moment; the flow looks again, so a stale welcome loses nothing.
    """

    def __init__(
        self,
        storage: Storage,
        directory: Callable[[], Directory],
        clock: Clock,
        ordinary_mail: Ordinary = Ordinary.WRAP,
        capacity: Capacity = UNLIMITED,
    ) -> None:
        """``ordinary_mail``: what boxes do that say nothing of their own; ``capacity``: what they hold."""
        self._capacity = capacity
        self._storage = storage
        self._ordinary_mail = ordinary_mail
        self._directory = directory
        self._clock = clock
        self._found: OrderedDict[str, datetime] = OrderedDict()

    async def __call__(self, reverse_path: str, forward_path: str, earlier: Sequence[str] = ()) -> RecipientAnswer:
        """Whether mail from one path to the other may come. Raises TemporaryError when that cannot be known now.

        Mail of a certified provider is taken for mailboxes that do not exist too: the envelope inside earns its
        sender a notice (5.2, D7).

        Args:
            earlier: the forward paths that the transaction has by now.
        """
        answer = await self._alone(reverse_path, forward_path)
        if answer is not RecipientAnswer.WELCOME or self._may_be_certified(reverse_path, anyway=not earlier):
            return answer
        if await self._storage.read(lambda connection: self._is_full(connection, forward_path)):
            return RecipientAnswer.FULL
        if not earlier:
            return answer
        alike = await self._storage.read(
            lambda connection: self._refuses(connection, earlier[0]) is self._refuses(connection, forward_path)
        )
        return RecipientAnswer.WELCOME if alike else RecipientAnswer.APART

    async def _alone(self, reverse_path: str, forward_path: str) -> RecipientAnswer:
        if not is_smtp_address(forward_path) or _routes_onward(forward_path):
            return RecipientAnswer.NOT_LOCAL
        key, now = address_key(forward_path), self._clock.now()
        if self._found.get(key, now) > now:
            return RecipientAnswer.WELCOME
        local, known = await self._storage.read(lambda connection: _look_up(connection, forward_path))
        if not local:
            return RecipientAnswer.NOT_LOCAL
        if known:
            self._remember(key, now)
            return RecipientAnswer.WELCOME
        return RecipientAnswer.WELCOME if self._is_certified(reverse_path) else RecipientAnswer.UNKNOWN_MAILBOX

    def _is_certified(self, reverse_path: str) -> bool:
        return bool(reverse_path) and self._directory().is_certified(domain_of(reverse_path))

    def _may_be_certified(self, reverse_path: str, *, anyway: bool) -> bool:
        """``anyway``: also when that is not known, which is found out after the last byte again."""
        try:
            return self._is_certified(reverse_path)
        except TemporaryError:
            if anyway:
                return True
            raise

    def _is_full(self, connection: Connection, forward_path: str) -> bool:
        """Whether its box has no room for ordinary mail, however small (D13)."""
        box = accounts.mailbox_of(connection, forward_path)
        return box is not None and is_full(box, 0, self._capacity, certified=False)

    def _refuses(self, connection: Connection, forward_path: str) -> bool:
        """Whether its box refuses ordinary mail: one answer after the last byte must do for all recipients."""
        box = accounts.mailbox_of(connection, forward_path)
        if box is None:
            return False
        own = policies.policy_of(connection, box.id)
        return effective(own, self._ordinary_mail, of_a_holder=box.kind is BoxKind.USER).refuses

    def _remember(self, key: str, now: datetime) -> None:
        self._found[key] = now + REMEMBERED
        self._found.move_to_end(key)
        while len(self._found) > MOST_REMEMBERED:
            self._found.popitem(last=False)


def _look_up(connection: Connection, forward_path: str) -> tuple[bool, bool]:
    local = domain_of(forward_path) in domains.local_domains(connection)
    return local, local and accounts.mailbox_of(connection, forward_path) is not None


def _routes_onward(forward_path: str) -> bool:
    """Whether the local part asks us to pass mail on to another host, as relays of the eighties did."""
    local_part = forward_path.rpartition("@")[0]
    return any(mark in local_part for mark in "%!@")
