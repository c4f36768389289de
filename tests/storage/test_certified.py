"""The state of each recipient changes once for each step, whoever asks how often (promise 3)."""

import asyncio
from collections.abc import Awaitable
from datetime import datetime, timedelta
from itertools import product

import pytest

from gateway.points.tracking import CHANGES, RecipientState
from gateway.storage import certified
from gateway.storage.certified import NewRecipient
from gateway.storage.errors import Conflict
from gateway.storage.overdue import unended
from receipts.wire import MessageKind, ReceiptForm, RecipientKind
from tests.storage.conftest import AT, Place, recipient

State = RecipientState
HOUR = timedelta(hours=1)
OPEN = frozenset({State.ACCEPTED, State.TAKEN})
X, Y = "X@Beta.example", "y@gamma.example"


async def added(place: Place, pec_msgid: str = "one@alfa.example", **changes: object) -> None:
    new = place.message(pec_msgid, X, Y, **changes)
    await place.storage.write(lambda connection: certified.add_message(connection, new))


async def advanced(
    place: Place, to: State, address: str = X, *, at: datetime = AT, from_states: frozenset[State] = OPEN, **more: str
) -> bool:
    return await place.storage.write(
        lambda connection: certified.advance(
            connection,
            "one@alfa.example",
            address,
            to,
            at,
            from_states=from_states,
            **more,
        )
    )


async def found(place: Place, pec_msgid: str = "one@alfa.example") -> certified.CertifiedMessage:
    message = await place.storage.read(lambda connection: certified.find_message(connection, pec_msgid))
    assert message is not None
    return message


async def test_a_message_comes_back_with_its_recipients_in_order(place: Place) -> None:
    await added(place, receipt_form=ReceiptForm.BRIEF, subject="a\0b", msgid=None)
    message = await found(place)
    assert (message.subject, message.msgid, message.receipt_form) == ("a\ufffdb", None, ReceiptForm.BRIEF)
    assert (message.account_id, message.at, message.original_body_id) == (place.anna.id, AT, place.body)
    assert [one.address for one in message.recipients] == [X, Y]
    assert {one.state for one in message.recipients} == {State.ACCEPTED}
    assert message.recipient("x@BETA.example") == message.recipients[0]
    assert message.recipient("z@beta.example") is None


async def test_an_unknown_id_is_no_message(place: Place) -> None:
    for pec_msgid in ("", "two@alfa.example", "\0", "ONE@alfa.example"):
        assert await place.storage.read(lambda c, key=pec_msgid: certified.find_message(c, key)) is None


async def test_an_ordinary_recipient_is_never_open(place: Place) -> None:
    ordinary = NewRecipient(
        address="z@mail.example", kind=RecipientKind.EXTERNAL, role="cc", provider=None, state=State.EXTERNAL
    )
    await added(place, recipients=(recipient(X), ordinary))
    assert (await found(place)).recipients[1].ended_at == AT
    due = await place.storage.read(lambda connection: unended(connection, AT, limit=9))
    assert [each.address for each in due] == [X]


async def test_each_step_notes_its_time(place: Place) -> None:
    await added(place)
    assert await advanced(place, State.TAKEN, at=AT + HOUR, from_states=frozenset({State.ACCEPTED}))
    assert await advanced(place, State.DELIVERED, "x@BETA.EXAMPLE", at=AT + 2 * HOUR, detail="late")
    first, other = (await found(place)).recipients
    assert (first.state, first.state_at, first.taken_at) == (State.DELIVERED, AT + 2 * HOUR, AT + HOUR)
    assert (first.ended_at, first.end_detail) == (AT + 2 * HOUR, "late")
    assert (other.state, other.taken_at, other.ended_at) == (State.ACCEPTED, None, None)


@pytest.mark.parametrize(("state", "kind"), list(product(State, CHANGES)))
async def test_a_state_changes_only_from_where_it_may(place: Place, state: State, kind: MessageKind) -> None:
    await added(
        place,
        recipients=(NewRecipient(address=X, kind=RecipientKind.CERTIFIED, role="to", provider="Beta", state=state),),
    )
    to, from_states = CHANGES[kind]
    assert await advanced(place, to, from_states=from_states) == (state in from_states)
    assert (await found(place)).recipients[0].state is (to if state in from_states else state)


async def test_an_end_is_reached_by_one_alone(place: Place) -> None:
    """Fifty receipts at once, of either kind: one changes the state."""
    await added(place)
    ends = [State.DELIVERED, State.FAILED] * 25
    outcomes = await asyncio.gather(*(advanced(place, end, detail=str(n)) for n, end in enumerate(ends)))
    assert outcomes.count(True) == 1
    status = (await found(place)).recipients[0]
    assert status.state is ends[outcomes.index(True)]
    assert status.end_detail == str(outcomes.index(True))


async def test_strangers_change_nothing(place: Place) -> None:
    await added(place)
    assert not await advanced(place, State.DELIVERED, "z@beta.example")
    assert not await place.storage.write(
        lambda connection: certified.advance(connection, "two@alfa.example", X, State.DELIVERED, AT, from_states=OPEN)
    )
    assert {one.state for one in (await found(place)).recipients} == {State.ACCEPTED}


@pytest.mark.parametrize("from_states", [frozenset[State](), frozenset(list(State)[:4])])
async def test_a_change_names_one_to_three_states(place: Place, from_states: frozenset[State]) -> None:
    with pytest.raises(ValueError, match="one, two or three"):
        await advanced(place, State.DELIVERED, from_states=from_states)


async def test_the_notice_of_delay_goes_out_once_and_not_after_a_receipt(place: Place) -> None:
    await added(place)
    note = lambda address: place.storage.write(  # noqa: E731
        lambda connection: certified.note_delay(connection, "one@alfa.example", address, AT + 12 * HOUR)
    )
    assert await note(X)
    assert not await note(X)
    assert await advanced(place, State.TAKEN, Y)
    assert not await note(Y)
    assert (await found(place)).recipients[0].delayed_at == AT + 12 * HOUR


async def test_the_same_submission_is_known_for_a_day(place: Place) -> None:
    """D4: the same account, msgid, recipients and bytes within 24 hours."""
    day = timedelta(days=1)

    def record(account: int, digest: bytes, pec_msgid: str, at: datetime = AT) -> Awaitable[None]:
        return place.storage.write(lambda c: certified.record_submission(c, account, digest, pec_msgid, at, at - day))

    def find(account: int, digest: bytes, at: datetime = AT) -> Awaitable[str | None]:
        return place.storage.read(lambda c: certified.find_submission(c, account, digest, at - day))

    await record(place.anna.id, b"digest", "one@alfa.example")
    assert await find(place.anna.id, b"digest") == "one@alfa.example"
    assert await find(place.anna.id, b"other") is None
    assert await find(place.bruno.id, b"digest") is None
    with pytest.raises(Conflict):
        await record(place.anna.id, b"digest", "two@alfa.example", AT + day - HOUR)
    assert await find(place.anna.id, b"digest", AT + day) is None
    await record(place.anna.id, b"digest", "three@alfa.example", AT + day)
    assert await find(place.anna.id, b"digest", AT + day) == "three@alfa.example"


async def test_one_of_many_equal_submissions_wins(place: Place) -> None:
    outcomes = await asyncio.gather(
        *(
            place.storage.write(
                lambda c, n=number: certified.record_submission(
                    c, place.anna.id, b"digest", f"{n}@alfa.example", AT, AT - timedelta(days=1)
                )
            )
            for number in range(20)
        ),
        return_exceptions=True,
    )
    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 19
