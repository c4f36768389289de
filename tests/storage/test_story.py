"""Everything that is known of a message is found by any of its names."""

from datetime import timedelta

import pytest
from sqlalchemy import Connection

from gateway.storage import certified, outbox, received, register
from gateway.storage.outbox import NewOutboxRow
from gateway.storage.received import EnvelopeEnd, NewProcessedEnvelope
from gateway.storage.register import Event, RegisterEntry
from gateway.storage.story import Story, ids_of, story
from tests.storage.conftest import AT, Place

HOUR = timedelta(hours=1)
HERE, THERE = "sent@alfa.example", "came@beta.example"


@pytest.fixture
def told(place: Place) -> Place:
    """A message that anna sent, and one that came to bruno an hour later."""

    def happen(connection: Connection) -> None:
        certified.add_message(connection, place.message(HERE, "x@beta.example", msgid="<m1@client.example>"))
        row = NewOutboxRow(
            body_id=place.body,
            kind="envelope",
            reverse_path="anna@alfa.example",
            forward_path="x@beta.example",
            domain="beta.example",
            certified=True,
            pec_msgid=HERE,
            at=AT,
        )
        outbox.enqueue(connection, [row])
        end = NewProcessedEnvelope(
            provider="Beta PEC",
            pec_msgid=THERE,
            address="bruno@pec.alfa.example",
            signed_sha256=b"s" * 32,
            sender="x@beta.example",
            at=AT + HOUR,
            end=EnvelopeEnd.DELIVERED,
        )
        received.record_envelopes(connection, [end])
        entries = [
            RegisterEntry(event=Event.EMISSION, at=AT + HOUR, pec_msgid=HERE, detail="second"),
            RegisterEntry(event=Event.SUBMISSION, at=AT, pec_msgid=HERE, detail="first"),
            RegisterEntry(event=Event.DELIVERY, at=AT + HOUR, pec_msgid=THERE, msgid="<m2@client.example>"),
        ]
        register.append(connection, entries)

    place.storage.write_now(happen)
    return place


def ids(place: Place, term: str, limit: int = 50) -> list[str]:
    return place.storage.read_now(lambda connection: ids_of(connection, term, limit=limit))


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        (HERE, [HERE]),
        (f" <{HERE}> ", [HERE]),
        ("<m1@client.example>", [HERE]),
        ("m1@client.example", [HERE]),
        ("<m2@client.example>", [THERE]),
        ("anna@ALFA.example", [HERE]),
        ("X@beta.example", [HERE]),
        ("Bruno@pec.alfa.example", [THERE]),
        ("nobody@alfa.example", []),
        ("", []),
        ("%", []),
        ("\0", []),
    ],
)
def test_a_message_is_found_by_any_name(told: Place, term: str, expected: list[str]) -> None:
    assert ids(told, term) == expected


def test_the_latest_messages_of_an_address_come_in_the_order_of_time(told: Place) -> None:
    def more(connection: Connection) -> None:
        for number in range(1, 6):
            new = told.message(f"{number}@alfa.example", "x@beta.example", at=AT + number * HOUR)
            certified.add_message(connection, new)

    told.storage.write_now(more)
    assert ids(told, "anna@alfa.example", 3) == ["3@alfa.example", "4@alfa.example", "5@alfa.example"]
    assert ids(told, "x@beta.example")[0] == HERE


def test_a_story_holds_both_sides(told: Place) -> None:
    sent = told.storage.read_now(lambda connection: story(connection, HERE))
    assert sent.sent is not None
    assert [recipient.address for recipient in sent.sent.recipients] == ["x@beta.example"]
    assert [row.forward_path for row in sent.waiting] == ["x@beta.example"]
    assert [event.detail for event in sent.events] == ["first", "second"]
    assert sent.received == ()
    came = told.storage.read_now(lambda connection: story(connection, THERE))
    assert came.sent is None
    assert [end.address_key for end in came.received] == ["bruno@pec.alfa.example"]
    assert [event.event for event in came.events] == ["delivery"]


def test_what_is_unknown_has_an_empty_story(told: Place) -> None:
    unknown = told.storage.read_now(lambda connection: story(connection, "x"))
    assert unknown == Story(pec_msgid="x", sent=None, received=(), waiting=(), events=())
