"""What is gathered for the journals of shared boxes: kept when it can be, forgotten when it is old."""

from datetime import timedelta
from typing import Any

import pytest

from gateway.flows.journal import Journal
from gateway.flows.outcomes import Holder, Protocol, Visit
from gateway.flows.upkeep import Upkeep, UpkeepSettings
from gateway.points.sharing import Right
from gateway.storage import journal
from receipts.errors import TemporaryError
from tests.flows.house import Provider

VISIT = Visit(
    person_id=1,
    person="Carla Neri",
    right=Right.READ,
    device="0a1b2c3d",
    protocol=Protocol.IMAP,
    address="192.0.2.7",
)


def holder(alfa: Provider, visit: Visit | None) -> Holder:
    box = alfa.people["anna"]
    return Holder(
        account_id=box.id,
        mailbox_id=box.mailbox_id,
        address=box.address,
        addresses=frozenset({box.address}),
        may_submit=True,
        visit=visit,
    )


def rows(alfa: Provider) -> list[journal.Told]:
    return alfa.storage.read_now(lambda c: journal.page(c, alfa.people["anna"].mailbox_id))


async def test_what_cannot_be_written_now_is_written_later(alfa: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any, **__: Any) -> None:
        raise TemporaryError("the database is away")

    kept, box = Journal(alfa.storage, alfa.clock), alfa.people["anna"].mailbox_id
    kept.signed_in(holder(alfa, VISIT))
    kept.read(VISIT, box, "INBOX", [3, 1])
    with monkeypatch.context() as patched:
        patched.setattr(alfa.storage, "write", away)
        with pytest.raises(TemporaryError):
            await kept.write()
    read_at = alfa.clock.now()
    alfa.clock.pass_(minutes=5)
    kept.read(VISIT, box, "INBOX", [2])
    await kept.write()
    await kept.write()
    assert [(row.act, row.uids, row.at) for row in rows(alfa)] == [
        ("signed in", None, read_at),
        ("read", "1:3", read_at),
    ]


async def test_the_holder_of_a_box_that_is_not_shared_is_not_written_down(alfa: Provider) -> None:
    kept = Journal(alfa.storage, alfa.clock)
    kept.signed_in(holder(alfa, None))
    await kept.write()
    assert rows(alfa) == []


async def test_old_rows_are_forgotten(alfa: Provider) -> None:
    kept = Journal(alfa.storage, alfa.clock)
    for _ in range(3):
        kept.signed_in(holder(alfa, VISIT))
        await kept.write()
        alfa.clock.pass_(days=10)
    settings = UpkeepSettings(expunged=timedelta(days=30), journal=timedelta(days=15))
    await Upkeep(alfa.storage, alfa.clock, settings).forget()
    assert len(rows(alfa)) == 1
