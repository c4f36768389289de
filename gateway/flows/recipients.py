"""Whom port 25 takes mail for: our own mailboxes, and nobody by way of us (D7)."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from gateway.drivers.sources import Clock
from gateway.flows.outcomes import RecipientAnswer
from gateway.storage import accounts
from gateway.storage.engine import Storage
from providers.directory import Directory
from receipts.identifiers import address_key, domain_of, is_smtp_address

__all__ = ["Recipients"]

REMEMBERED: Final = timedelta(seconds=5)
MOST_REMEMBERED: Final = 10_000


class Recipients:
    """Answers for forward paths before any message is seen.

    A mailbox that was found is remembered for a moment; the flow looks again, so a stale welcome loses nothing.
    """

    def __init__(self, storage: Storage, directory: Callable[[], Directory], clock: Clock) -> None:
        self._storage = storage
        self._directory = directory
        self._clock = clock
        self._found: OrderedDict[str, datetime] = OrderedDict()

    async def __call__(self, reverse_path: str, forward_path: str) -> RecipientAnswer:
        """Whether mail from one path to the other may come. Raises TemporaryError when that cannot be known now.

        Mail of a certified provider is taken for mailboxes that do not exist too: the envelope inside earns its
        sender a notice (5.2, D7).
        """
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
        certified = bool(reverse_path) and self._directory().is_certified(domain_of(reverse_path))
        return RecipientAnswer.WELCOME if certified else RecipientAnswer.UNKNOWN_MAILBOX

    def _remember(self, key: str, now: datetime) -> None:
        self._found[key] = now + REMEMBERED
        self._found.move_to_end(key)
        while len(self._found) > MOST_REMEMBERED:
            self._found.popitem(last=False)


def _look_up(connection: Connection, forward_path: str) -> tuple[bool, bool]:
    local = domain_of(forward_path) in accounts.local_domains(connection)
    return local, local and accounts.mailbox_of(connection, forward_path) is not None


def _routes_onward(forward_path: str) -> bool:
    """Whether the local part asks us to pass mail on to another host, as relays of the eighties did."""
    local_part = forward_path.rpartition("@")[0]
    return any(mark in local_part for mark in "%!@")
