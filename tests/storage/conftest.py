"""What the tests of storage make again and again."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection

from gateway.points.tracking import RecipientState
from gateway.storage import accounts, content, domains
from gateway.storage.accounts import Account, NewAccount
from gateway.storage.certified import NewCertifiedMessage, NewRecipient
from gateway.storage.engine import Storage
from receipts.octets import Octets
from receipts.wire import ReceiptForm, RecipientKind

AT = datetime(2026, 3, 29, 2, 30, 0, 123456, tzinfo=UTC)


@dataclass(frozen=True)
class Place:
    """A storage with two domains, two accounts and a body."""

    storage: Storage
    anna: Account
    bruno: Account
    body: int
    at: datetime = AT

    def message(self, pec_msgid: str, *addresses: str, **changes: object) -> NewCertifiedMessage:
        """A message from anna to certified recipients."""
        new = NewCertifiedMessage(
            pec_msgid=pec_msgid,
            msgid=f"<{pec_msgid}.client>",
            account_id=self.anna.id,
            sender=self.anna.address,
            reply_to=self.anna.address,
            subject="Contratto",
            receipt_form=ReceiptForm.COMPLETE,
            at=AT,
            original_body_id=self.body,
            envelope_body_id=self.body,
            recipients=tuple(map(recipient, addresses)),
        )
        return replace(new, **changes)  # type: ignore[arg-type]


def recipient(address: str) -> NewRecipient:
    return NewRecipient(
        address=address, kind=RecipientKind.CERTIFIED, role="to", provider="Beta", state=RecipientState.ACCEPTED
    )


@pytest.fixture
def place(storage: Storage) -> Place:
    def prepare(connection: Connection) -> tuple[Account, Account, int]:
        domains.add_domain(connection, "alfa.example", AT)
        domains.add_domain(connection, "pec.alfa.example", AT)
        anna = accounts.add_account(connection, NewAccount(address="Anna@alfa.example", at=AT))
        bruno = accounts.add_account(connection, NewAccount(address="bruno@pec.alfa.example", at=AT))
        return anna, bruno, content.save(connection, Octets.of(b"x" * 100), AT)

    return Place(storage, *storage.write_now(prepare))


__all__ = ["AT", "Place", "recipient"]
