"""What each mailbox does with ordinary mail, where its holder or the operator said so."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select

from gateway.points.ordinary import Ordinary, OrdinaryPolicy
from gateway.storage.folders import ensure_folder
from gateway.storage.statements import Statement, insert_into
from gateway.storage.tables import mailbox_policies
from gateway.storage.values import clean, micros

__all__ = ["policies_of", "policy_of", "set_policy"]

_POLICY = Statement(
    select(mailbox_policies.c.ordinary, mailbox_policies.c.folder, mailbox_policies.c.forward_to).where(
        mailbox_policies.c.mailbox_id == bindparam("mailbox")
    )
)
_FORGET = Statement(delete(mailbox_policies).where(mailbox_policies.c.mailbox_id == bindparam("mailbox")))
_KEEP = insert_into(mailbox_policies)


def policy_of(connection: Connection, mailbox_id: int) -> OrdinaryPolicy | None:
    """The policy of a mailbox; None if it has none of its own."""
    row = _POLICY.one(connection, {"mailbox": mailbox_id})
    return None if row is None else OrdinaryPolicy(ordinary=Ordinary(row[0]), folder=row[1], forward_to=row[2])


def policies_of(connection: Connection, mailbox_ids: Iterable[int]) -> dict[int, OrdinaryPolicy]:
    """The policies of those mailboxes that have one of their own."""
    found = {mailbox: policy_of(connection, mailbox) for mailbox in dict.fromkeys(mailbox_ids)}
    return {mailbox: policy for mailbox, policy in found.items() if policy is not None}


def set_policy(connection: Connection, mailbox_id: int, policy: OrdinaryPolicy | None, at: datetime) -> None:
    """Give a mailbox a policy of its own; None takes it away, so that the provider's counts.

    A folder that the mailbox has not is made.
    """
    _FORGET.run(connection, {"mailbox": mailbox_id})
    if policy is not None:
        row = {
            "mailbox_id": mailbox_id,
            "ordinary": policy.ordinary.value,
            "folder": ensure_folder(connection, mailbox_id, clean(policy.folder)).name,
            "forward_to": policy.forward_to,
            "changed_at": micros(at),
        }
        _KEEP.run(connection, row)
