"""What holders are told of sign-ins: where each password was used last, and letters about what looks strange (D16).

Sign-ins are frequent and none of them waits for this: they are gathered in memory and written every few seconds.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Final

from sqlalchemy import Connection

from gateway.drivers.sources import Clock, Ids
from gateway.flows.effects import Effects, Lease
from gateway.flows.letters import Letter, Writer, post
from gateway.flows.outcomes import Holder, Peer, Protocol
from gateway.flows.sign_in_letters import many_failures, new_place
from gateway.storage import accounts, people, signins
from gateway.storage.engine import Storage
from gateway.storage.signins import CHOSEN, Use
from receipts.errors import TemporaryError

__all__ = ["Diary"]

_MOST: Final = 10_000  # entries of each kind between two writings; what is beyond them is not told


@dataclass(frozen=True, slots=True)
class _Guessing:
    """Somebody fails at an account again and again."""

    account_id: int
    failures: int
    address: str


class Diary:
    """The sign-ins of one process since they were last written.

    Args:
        tell_after: failures at one account in a day after which its holder gets a letter; one a day.
    """

    def __init__(
        self, storage: Storage, clock: Clock, ids: Ids, writer: Writer, *, lease: Lease, tell_after: int
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._ids = ids
        self._writer = writer
        self._lease = lease
        self._tell_after = tell_after
        self._uses: OrderedDict[tuple[int, str, str], Use] = OrderedDict()
        self._failures: Counter[int] = Counter()
        self._day: date | None = None
        self._guessing: list[_Guessing] = []

    def used(self, holder: Holder, lookup: str, protocol: Protocol, peer: Peer, network: str) -> None:
        """Note a success.

        Args:
            lookup: of the device's password, or ``signins.CHOSEN``.
            network: what counts as one place.
        """
        key = (holder.account_id, lookup, network)
        self._uses[key] = Use(
            account_id=holder.account_id,
            lookup=lookup,
            protocol=protocol.value,
            address=peer.address,
            network=network,
            at=self._clock.now(),
        )
        self._uses.move_to_end(key)
        while len(self._uses) > _MOST:
            self._uses.popitem(last=False)

    def failed(self, holder: Holder, peer: Peer) -> None:
        """Note a failure at an account that exists."""
        today = self._clock.now().date()
        if today != self._day or len(self._failures) > _MOST:
            self._failures.clear()
            self._day = today
        self._failures[holder.account_id] += 1
        if self._failures[holder.account_id] == self._tell_after and len(self._guessing) < _MOST:
            self._guessing.append(_Guessing(holder.account_id, self._tell_after, peer.address))

    async def write(self) -> None:
        """Keep what was noted, and post the letters it calls for; what cannot be kept now is kept the next time."""
        uses, guessing = list(self._uses.values()), self._guessing
        if not uses and not guessing:
            return
        self._uses, self._guessing = OrderedDict(), []
        try:
            await self._storage.write(lambda connection: self._keep(connection, uses, guessing))
        except TemporaryError:
            self._restore(uses, guessing)
            raise

    def _restore(self, uses: Sequence[Use], guessing: list[_Guessing]) -> None:
        for use in reversed(uses):
            key = (use.account_id, use.lookup, use.network)
            if key not in self._uses and len(self._uses) < _MOST:
                self._uses[key] = use
                self._uses.move_to_end(key, last=False)
        self._guessing = guessing + self._guessing

    def _keep(self, connection: Connection, uses: Sequence[Use], guessing: Sequence[_Guessing]) -> None:
        effects = Effects(at=self._clock.now(), ids=self._ids)
        ordered = sorted(uses, key=lambda use: (use.account_id, use.at))  # two nodes never wait for each other
        for use in signins.record(connection, ordered):
            told = replace(use, at=use.at.astimezone(effects.at.tzinfo))
            person = None if use.lookup == CHOSEN else people.person_of_password(connection, use.lookup)
            self._post(connection, effects, use.account_id, partial(new_place, use=told, person=person))
        for each in guessing:
            letter = partial(many_failures, failures=each.failures, address=each.address)
            self._post(connection, effects, each.account_id, letter)
        effects.perform(connection, self._lease)

    def _post(self, connection: Connection, effects: Effects, account_id: int, letter: Callable[[str], Letter]) -> None:
        account = accounts.account_by_id(connection, account_id)
        if account is None:
            return
        written = self._writer.written(
            letter(account.language), account.address, at=effects.at, token=self._ids.token()
        )
        post(effects, account.mailbox_id, written)
