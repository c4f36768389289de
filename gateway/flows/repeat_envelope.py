"""An envelope that comes again: nothing is decided again, but receipts that were lost leave once more (D4)."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from gateway.storage import outbox, received
from gateway.storage.outbox import NewOutboxRow
from gateway.storage.received import ProcessedEnvelope
from receipts.facts import CertificationData
from receipts.identifiers import domain_of
from receipts.wire import MessageKind

__all__ = ["repeat_answers"]


def repeat_answers(
    connection: Connection,
    seen: Sequence[ProcessedEnvelope],
    *,
    service_address: str,
    mail_receipt: str,
    about: CertificationData,
    at: datetime,
    expiry: timedelta,
) -> None:
    """Queue the same bytes again, unless they still wait, or left too often or too lately.

    Args:
        mail_receipt: the service mailbox of the sender's provider, where take-charge receipts and virus notices go.
        about: what the envelope certifies.
    """
    queued: set[int] = set()
    for envelope in sorted(seen, key=lambda one: one.address_key):
        waiting = {row.body_id for row in outbox.rows_of(connection, envelope.pec_msgid)} | queued
        left = [
            NewOutboxRow(
                body_id=body_id,
                kind=kind,
                reverse_path=service_address,
                forward_path=forward_path,
                domain=domain_of(forward_path),
                certified=True,
                pec_msgid=envelope.pec_msgid,
                msgid=about.msgid,
                sender=about.sender,
                subject=about.subject,
                at=at,
                expires_at=at + expiry,
            )
            for body_id, kind, forward_path in (
                (
                    envelope.receipt_body_id,
                    envelope.receipt_kind,
                    mail_receipt if envelope.receipt_kind == MessageKind.VIRUS else envelope.sender,
                ),
                (envelope.take_charge_body_id, MessageKind.TAKE_CHARGE, mail_receipt),
            )
            if body_id is not None and kind is not None and body_id not in waiting
        ]
        if left and received.count_resend(connection, envelope, at):
            outbox.enqueue(connection, left)
            queued.update(row.body_id for row in left)
