"""Holders as storage knows them, for sign-in and for the sessions that are signed in."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection

from gateway.flows.outcomes import Holder, Protocol
from gateway.flows.signin import Credentials
from gateway.points.sharing import Right
from gateway.storage import accounts, people, signins
from gateway.storage.accounts import BoxKind
from gateway.storage.engine import Storage
from gateway.storage.people import Sharing
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
            if found is None:
                return None
            sharing = people.sharing_of(connection, found.account.mailbox_id)
            return _credentials(found, signins.terms_of(connection, found.account.id), sharing)

        return await self._storage.read(read)

    async def active_among(self, account_ids: Collection[int]) -> frozenset[int]:
        """Those of the accounts that may be signed in."""
        return await self._storage.read(lambda connection: accounts.active_among(connection, account_ids))

    async def shared_among(self, account_ids: Collection[int]) -> frozenset[int]:
        """Those of the accounts whose boxes have people beside their holders."""
        return await self._storage.read(lambda connection: people.shared_among(connection, account_ids))

    async def standing(self, person_ids: Collection[int]) -> Mapping[tuple[int, str], Right]:
        """What these people may do now, by person and password; those who may do nothing are left out."""
        return await self._storage.read(lambda connection: people.standing(connection, person_ids))


def _credentials(found: accounts.Credentials, terms: SignInTerms, sharing: Sharing) -> Credentials:
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
        devices={lookup: digest for lookup, digest in found.devices.items() if lookup not in sharing.shut},
        protocols=frozenset(each for each in Protocol if allowed is None or each in allowed),
        devices_only=terms.devices_only,
        sharing=sharing,
    )
