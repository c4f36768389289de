"""Holders as storage knows them, for sign-in and for the sessions that are signed in."""

from collections.abc import Collection

from gateway.flows.outcomes import Holder
from gateway.flows.signin import Credentials
from gateway.storage import accounts
from gateway.storage.accounts import BoxKind
from gateway.storage.engine import Storage

__all__ = ["Holders"]


class Holders:
    """The accounts of one provider. Methods raise TemporaryError when storage is away."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def credentials(self, user: str) -> Credentials | None:
        """The account whose own address is ``user``, and what proves a password right."""
        found = await self._storage.read(lambda connection: accounts.credentials_of(connection, user))
        return None if found is None else _credentials(found)

    async def active_among(self, account_ids: Collection[int]) -> frozenset[int]:
        """Those of the accounts that may be signed in."""
        return await self._storage.read(lambda connection: accounts.active_among(connection, account_ids))


def _credentials(found: accounts.Credentials) -> Credentials:
    account = found.account
    return Credentials(
        holder=Holder(
            account_id=account.id,
            mailbox_id=account.mailbox_id,
            address=account.address,
            addresses=found.addresses,
            may_submit=account.kind is BoxKind.USER,
        ),
        active=account.active,
        password=found.password,
        devices=found.devices,
    )
