"""How many flow-like transactions a second the writer commits: ``python -m bench.storage_writer URL [COUNT]``.

Each takes in what a submission leaves behind: the original, the envelope and the acceptance receipt, two messages in
mailboxes, the certified message with its recipient, an outbox row and three register rows; then the outbox row goes.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from gateway.points.tracking import RecipientState
from gateway.storage import accounts, certified, content, domains, mailboxes, outbox, register
from gateway.storage.engine import Storage
from receipts.octets import InMemory, Octets, Span
from receipts.wire import ReceiptForm, RecipientKind

CONCURRENT = 64
SENDERS = 20
ORIGINAL_BYTES = 10_000


def main(url: str, count: int) -> None:
    storage = Storage.open(url, migrate=True)
    now = datetime.now(UTC)
    try:
        storage.write_now(lambda connection: domains.add_domain(connection, "alfa.example", now))
        boxes = [storage.write_now(_account(number, now)) for number in range(SENDERS)]
        print(f"{storage.dialect}: {storage.durability()}")
        for concurrent in (1, 8, CONCURRENT):
            seconds, cpu = asyncio.run(_load(storage, boxes, count, concurrent))
            print(
                f"{concurrent:3} at once: {count / seconds:7.0f} flows/s with 2 transactions each,"
                f" {cpu / count * 1000:.2f} CPU ms a flow"
            )
    finally:
        storage.close()


def _account(number: int, at: datetime) -> Callable[[Connection], accounts.Account]:
    new = accounts.NewAccount(address=f"user{number}-{os.urandom(4).hex()}@alfa.example", at=at)
    return lambda connection: accounts.add_account(connection, new)


async def _load(storage: Storage, boxes: list[accounts.Account], count: int, concurrent: int) -> tuple[float, float]:
    left = iter(range(count))

    async def client() -> None:
        for number in left:
            box = boxes[number % len(boxes)]
            transaction = _submission(box, datetime.now(UTC))
            row = await storage.write(transaction, size=20_000)
            await storage.write(lambda connection, row=row: outbox.settle(connection, row, "bench"))

    started, cpu = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrent):
            group.create_task(client())
    return time.perf_counter() - started, time.process_time() - cpu


def _submission(box: accounts.Account, at: datetime) -> Callable[[Connection], int]:
    token = os.urandom(16).hex()
    pec_msgid = f"opec.{token}@alfa.example"
    original = InMemory.of(os.urandom(ORIGINAL_BYTES))
    bodies = [
        Octets.whole(original),
        Octets.of(b"h" * 4000, Span(original, 0, original.size), b"s" * 3000),
        Octets.of(b"r" * 7000),
    ]
    entries = [
        register.RegisterEntry(
            event=event,
            at=at,
            pec_msgid=pec_msgid,
            msgid=f"<{token}@client>",
            sender=box.address,
            recipients=("bruno@beta.example",),
            subject="Contratto",
            provider="Alfa PEC",
        )
        for event in (register.Event.SUBMISSION, register.Event.EMISSION, register.Event.EMISSION)
    ]

    def transaction(connection: Connection) -> int:
        ids = content.save_many(connection, bodies, at)
        certified.add_message(
            connection,
            certified.NewCertifiedMessage(
                pec_msgid=pec_msgid,
                msgid=f"<{token}@client>",
                account_id=box.id,
                sender=box.address,
                reply_to=box.address,
                subject="Contratto",
                receipt_form=ReceiptForm.COMPLETE,
                at=at,
                original_body_id=ids[0],
                envelope_body_id=ids[1],
                recipients=(
                    certified.NewRecipient(
                        address="bruno@beta.example",
                        kind=RecipientKind.CERTIFIED,
                        role="to",
                        provider="Beta PEC",
                        state=RecipientState.ACCEPTED,
                    ),
                ),
            ),
        )
        certified.record_submission(connection, box.id, original.sha256, pec_msgid, at, at - timedelta(days=1))
        mailboxes.deliver(
            connection,
            [
                mailboxes.NewMessage(
                    mailbox_id=box.mailbox_id,
                    token=f"{token}{number}",
                    body_id=ids[number],
                    size=bodies[number].size,
                    kind="acceptance",
                    at=at,
                )
                for number in (0, 2)
            ],
        )
        register.append(connection, entries)
        row = outbox.NewOutboxRow(
            body_id=ids[1],
            kind="envelope",
            reverse_path=box.address,
            forward_path="bruno@beta.example",
            domain="beta.example",
            certified=True,
            pec_msgid=pec_msgid,
            at=at,
        )
        return outbox.enqueue(connection, [row], owner="bench")[0]

    return transaction


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 3_000)
