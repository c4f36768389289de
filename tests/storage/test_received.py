"""An envelope reaches one end for each recipient, and identical receipts count once (D4)."""

import asyncio
from datetime import datetime, timedelta

import pytest

from gateway.storage import received
from gateway.storage.errors import Conflict
from gateway.storage.received import EnvelopeEnd, NewProcessedEnvelope, ProcessedEnvelope
from tests.storage.conftest import AT, Place

MINUTE = timedelta(minutes=1)


def envelope(place: Place, address: str = "Anna@alfa.example", **changes: object) -> NewProcessedEnvelope:
    fields: dict[str, object] = {
        "provider": "Beta PEC",
        "pec_msgid": "id@beta.example",
        "signed_sha256": b"s" * 32,
        "sender": "x@beta.example",
        "at": AT,
        "end": EnvelopeEnd.DELIVERED,
        "receipt_kind": "delivery",
        "receipt_msgid": "r@alfa.example",
        "receipt_body_id": place.body,
        "take_charge_body_id": place.body,
    }
    return NewProcessedEnvelope(address=address, **fields | changes)  # type: ignore[arg-type]


async def record(place: Place, *envelopes: NewProcessedEnvelope) -> None:
    await place.storage.write(lambda connection: received.record_envelopes(connection, envelopes))


async def seen(place: Place, *addresses: str, provider: str = "Beta PEC") -> dict[str, ProcessedEnvelope]:
    return await place.storage.read(
        lambda connection: received.processed(connection, provider, "id@beta.example", addresses)
    )


async def test_an_end_is_remembered_with_its_receipts(place: Place) -> None:
    await record(place, envelope(place))
    known = await seen(place, "ANNA@alfa.example", "other@alfa.example")
    assert list(known) == ["ANNA@alfa.example"]
    one = known["ANNA@alfa.example"]
    assert (one.signed_sha256, one.sender, one.at, one.end) == (b"s" * 32, "x@beta.example", AT, EnvelopeEnd.DELIVERED)
    assert (one.receipt_kind, one.receipt_msgid, one.receipt_body_id) == ("delivery", "r@alfa.example", place.body)
    assert (one.take_charge_body_id, one.resent, one.resent_at) == (place.body, 0, None)


async def test_provider_id_and_recipient_make_the_key(place: Place) -> None:
    await record(place, envelope(place))
    assert await seen(place, "anna@alfa.example", provider="Gamma PEC") == {}
    await record(
        place,
        envelope(place, "bruno@pec.alfa.example"),
        envelope(place, provider="Gamma PEC"),
        envelope(place, pec_msgid="other@beta.example"),
    )
    ends = await place.storage.read(lambda connection: received.ends_of(connection, "id@beta.example"))
    assert {(one.provider, one.address_key) for one in ends} == {
        ("Beta PEC", "anna@alfa.example"),
        ("Beta PEC", "bruno@pec.alfa.example"),
        ("Gamma PEC", "anna@alfa.example"),
    }


async def test_a_second_end_is_a_conflict_and_none_of_its_flow_stays(place: Place) -> None:
    await record(place, envelope(place))
    with pytest.raises(Conflict):
        await record(
            place,
            envelope(place, "bruno@pec.alfa.example"),
            envelope(place, "ANNA@alfa.example", end=EnvelopeEnd.NOT_DELIVERED),
        )
    assert await seen(place, "bruno@pec.alfa.example") == {}
    assert (await seen(place, "anna@alfa.example"))["anna@alfa.example"].end is EnvelopeEnd.DELIVERED


async def test_of_many_flows_with_one_envelope_one_wins(place: Place) -> None:
    outcomes = await asyncio.gather(*(record(place, envelope(place)) for _ in range(20)), return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 19


async def test_receipts_of_a_repeated_envelope_leave_three_times_with_pauses(place: Place) -> None:
    await record(place, envelope(place))
    one = (await seen(place, "anna@alfa.example"))["anna@alfa.example"]

    async def resend(at: datetime) -> bool:
        return await place.storage.write(lambda connection: received.count_resend(connection, one, at))

    minutes = [0, 9, 10, 19, 20, 29, 30, 40, 1000]
    assert [await resend(AT + minute * MINUTE) for minute in minutes] == [
        False,
        False,
        True,
        False,
        True,
        False,
        True,
        False,
        False,
    ]
    again = (await seen(place, "anna@alfa.example"))["anna@alfa.example"]
    assert (again.resent, again.resent_at) == (3, AT + 30 * MINUTE)


async def test_identical_receipts_count_once_for_each_recipient(place: Place) -> None:
    async def receipt(digest: bytes, address: str) -> bool:
        return await place.storage.write(lambda connection: received.record_receipt(connection, digest, address, AT))

    assert await receipt(b"a" * 32, "anna@alfa.example")
    assert not await receipt(b"a" * 32, "ANNA@alfa.example")
    assert await receipt(b"a" * 32, "bruno@pec.alfa.example")
    assert await receipt(b"b" * 32, "anna@alfa.example")


@pytest.mark.parametrize("hostile", ["a\0b", "\ud800", "x" * 5_000])
async def test_whatever_a_peer_writes_can_be_remembered(place: Place, hostile: str) -> None:
    await record(place, envelope(place, sender=hostile, pec_msgid=hostile, provider=hostile))
    known = await place.storage.read(
        lambda connection: received.processed(connection, hostile, hostile, ["anna@alfa.example"])
    )
    assert list(known) == ["anna@alfa.example"]
