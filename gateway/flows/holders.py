"""Holders as storage knows them, for sign-in and for the sessions that are signed in."""

from collections.abc import Collection

from sqlalchemy import Connection

from gateway.flows.outcomes import Holder, Protocol
from gateway.flows.signin import Credentials
from gateway.storage import accounts, signins
from gateway.storage.accounts import BoxKind
from gateway.storage.engine import Storage
from gateway.storage.signins import SignInTerms

__all__ = ["Holders"]


class Holders:
    """The accounts of one provider. Methods raise TemporaryError when storage is away."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def credentials(self, user: str) -> Credentials | None:
        """The account whose own address is ``user``, and what proves a password right."""

        def read(connection: Connection) -> Credentials | None:
            found = accounts.credentials_of(connection, user)
            return None if found is None else _credentials(found, signins.terms_of(connection, found.account.id))

        return await self._storage.read(read)

    async def active_among(self, account_ids: Collection[int]) -> frozenset[int]:
        """Those of the accounts that may be signed in."""
        return await self._storage.read(lambda connection: accounts.active_among(connection, account_ids))


def _credentials(found: accounts.Credentials, terms: SignInTerms) -> Credentials:
    account = found.account
    allowed = terms.protocols
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
        protocols=frozenset(each for each in Protocol if allowed is None or each in allowed),
        devices_only=terms.devices_only,
    )
