from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.message import Message

import pytest

from gateway.drivers.transmission import Permanent, Stage, Temporary
from gateway.flows.outages import REST, Outages
from gateway.flows.outcomes import Refusal, Refused
from gateway.flows.relay import Consignment
from gateway.points.tracking import RecipientState
from gateway.storage import certified, outbox
from gateway.storage.mailboxes import ORDINARY
from gateway.storage.overdue import unended
from receipts.errors import TemporaryError
from receipts.wire import MessageKind
from tests.workers.house import ENVELOPE, LEASE, PEC_MSGID, SENDER, START, House

BRUNO, CARLA = "bruno@beta.example", "carla@beta.example"
UNKNOWN = Permanent("5.1.1", "5.1.1 no such user", Stage.RECIPIENT, 550)
LATER = Temporary("4.2.1", "4.2.1 try later", Stage.RECIPIENT, 451)
UNREACHED = Temporary("4.4.1", "no answer", Stage.CONNECT)


def parts_of(message: bytes) -> dict[str, Message]:
    return {part.get_filename() or part.get_content_type(): part for part in message_from_bytes(message).walk()}


def certification_data(message: bytes) -> str:
    payload = parts_of(message)["daticert.xml"].get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


@pytest.mark.req("LOG-01")
async def test_what_a_peer_took_is_gone_and_registered(house: House) -> None:
    await house.relay(await house.waiting(BRUNO, CARLA))
    assert await house.rows() == []
    (sent,) = house.peers.sent
    assert (sent.reverse_path, sent.forward_paths, sent.message) == (SENDER, (BRUNO, CARLA), ENVELOPE)
    (entry,) = await house.register()
    assert (entry.event, entry.recipients, entry.sender) == ("relay", (BRUNO, CARLA), SENDER)
    assert (entry.msgid, entry.subject, entry.provider) == ("<17@client.example>", "Perizia", "Alfa PEC")


@pytest.mark.req("EN-09")
async def test_routing_data_travel_unchanged(house: House) -> None:
    await house.relay(await house.waiting("Bruno.Verdi@beta.example", reverse_path="Anna.Rossi@alfa.example"))
    (sent,) = house.peers.sent
    assert (sent.reverse_path, sent.forward_paths) == ("Anna.Rossi@alfa.example", ("Bruno.Verdi@beta.example",))


async def test_recipients_of_one_transaction_may_fare_differently(house: House) -> None:
    await house.accepted(BRUNO, CARLA, "dario@beta.example")
    house.peers.answers = {CARLA: LATER, "dario@beta.example": UNKNOWN}
    await house.relay(await house.waiting(BRUNO, CARLA, "dario@beta.example"))
    (row,) = await house.rows()
    assert (row.forward_path, row.attempts, row.last_reply) == (CARLA, 1, "451 4.2.1 try later")
    assert row.lease_owner is None
    states = {each.address: each.state for each in (await house.sent()).recipients}
    assert states == {
        BRUNO: RecipientState.ACCEPTED,
        CARLA: RecipientState.ACCEPTED,
        "dario@beta.example": RecipientState.FAILED,
    }


async def test_pauses_grow_and_are_shorter_for_peers_that_were_not_reached(house: House) -> None:
    for outcome, low, high in ((UNREACHED, 1.5, 2.5), (LATER, 11.25, 18.75)):
        house.peers.answers = {BRUNO: outcome}
        leased = await house.waiting(BRUNO)
        await house.relay(leased)
        row = next(row for row in await house.rows() if row.id == leased[0].row.id)
        assert timedelta(seconds=low) <= row.next_attempt_at - START <= timedelta(seconds=high)


@pytest.mark.edge("O7")
@pytest.mark.req("TIM-14")
async def test_a_permanent_refusal_of_an_envelope_is_a_non_delivery_notice(house: House) -> None:
    await house.accepted(BRUNO)
    house.peers.answers = {BRUNO: UNKNOWN}
    await house.relay(await house.waiting(BRUNO))
    assert await house.rows() == []
    (recipient,) = (await house.sent()).recipients
    assert recipient.state is RecipientState.FAILED
    assert recipient.end_detail == "550 5.1.1 no such user"
    assert await house.storage.read(lambda each: unended(each, START, limit=5)) == []
    ((kind, notice),) = await house.mailbox()
    assert kind == MessageKind.NON_DELIVERY
    assert notice.startswith(b"Return-Path: <posta-certificata@alfa.example>\r\n")
    parsed = message_from_bytes(notice)
    assert (parsed["X-Ricevuta"], parsed["To"]) == ("errore-consegna", SENDER)
    xml = certification_data(notice)
    assert 'errore="no-dest"' in xml
    assert f"<consegna>{BRUNO}</consegna>" in xml
    assert f"<identificativo>{PEC_MSGID}</identificativo>" in xml
    assert "<errore-esteso>5.1.1 - Alfa PEC - indirizzo non valido</errore-esteso>" in xml
    assert [entry.event for entry in await house.register()] == ["failure", "emission"]


@pytest.mark.edge("O7")
async def test_a_missing_domain_is_named_as_such(house: House) -> None:
    await house.accepted(BRUNO)
    house.peers.routes = {"beta.example": Permanent("5.1.2", "no such domain", Stage.ROUTE)}
    await house.relay(await house.waiting(BRUNO))
    ((_, notice),) = await house.mailbox()
    assert 'errore="no-dominio"' in certification_data(notice)
    assert not house.peers.sent


@pytest.mark.parametrize("state", [RecipientState.DELIVERED, RecipientState.TIMED_OUT])
async def test_an_end_already_reached_is_the_only_one(house: House, state: RecipientState) -> None:
    await house.accepted(BRUNO)
    await house.storage.write(
        lambda connection: certified.advance(
            connection, PEC_MSGID, BRUNO, state, START, from_states={RecipientState.ACCEPTED}
        )
    )
    house.peers.answers = {BRUNO: UNKNOWN}
    await house.relay(await house.waiting(BRUNO))
    assert await house.mailbox() == []
    assert await house.rows() == []
    assert (await house.sent()).recipients[0].state is state
    assert [entry.event for entry in await house.register()] == ["failure"]


async def test_a_row_that_was_taken_away_meanwhile_has_no_consequences(house: House) -> None:
    """The second timeout removes the row; what the peer says afterwards changes nothing (D9)."""
    await house.accepted(BRUNO)
    house.peers.answers = {BRUNO: UNKNOWN}
    leased = await house.waiting(BRUNO)
    await house.storage.write(lambda connection: outbox.settle(connection, leased[0].row.id, LEASE.owner))
    await house.relay(leased)
    assert await house.mailbox() == []
    assert (await house.sent()).recipients[0].state is RecipientState.ACCEPTED
    assert await house.register() == []


async def test_a_certified_envelope_is_never_given_up_by_age(house: House) -> None:
    await house.accepted(BRUNO)
    house.peers.answers = {BRUNO: UNREACHED}
    leased = await house.waiting(BRUNO, expires_at=START + timedelta(hours=1))
    house.clock.at = START + timedelta(days=3)
    await house.relay(leased)
    assert len(await house.rows()) == 1
    assert await house.mailbox() == []


@pytest.mark.edge("O8")
async def test_a_refused_envelope_to_an_ordinary_recipient_comes_back_as_ordinary_mail(house: House) -> None:
    path = "nobody@mail.example"
    await house.accepted(BRUNO, external=[path])
    house.peers.answers = {path: UNKNOWN}
    await house.relay(await house.waiting(path, certified=False))
    (row,) = await house.rows()
    assert (row.reverse_path, row.forward_path, row.kind) == ("", SENDER, ORDINARY)
    assert await house.mailbox() == []
    (leased,) = house.handed
    report = message_from_bytes(leased.message.read())
    assert report.get_content_type() == "multipart/report"
    assert report["Auto-Submitted"] == "auto-replied"
    text, status, returned = report.get_payload()  # type: ignore[misc]
    assert text.get_content_type() == "text/plain"  # type: ignore[union-attr]
    assert path in text.get_payload()  # type: ignore[union-attr]
    fields = status.get_payload()[1]  # type: ignore[union-attr,index]
    assert fields["Final-Recipient"] == f"rfc822; {path}"  # type: ignore[index]
    assert (fields["Action"], fields["Status"]) == ("failed", "5.1.1")  # type: ignore[index]
    assert fields["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"  # type: ignore[index]
    assert "POSTA CERTIFICATA: prova" in returned.get_payload()  # type: ignore[union-attr]
    assert b"\r\nbody\r\n" not in leased.message.read()


async def test_an_ordinary_copy_expires_into_a_bounce(house: House) -> None:
    house.peers.answers = {"someone@mail.example": LATER}
    leased = await house.waiting("someone@mail.example", certified=False, expires_at=START + timedelta(hours=1))
    house.clock.at = START + timedelta(hours=1)
    await house.relay(leased)
    (row,) = await house.rows()
    assert row.forward_path == SENDER
    assert b"Status: 4.4.7" in house.handed[0].message.read()


@pytest.mark.parametrize(
    "kind", [MessageKind.DELIVERY, MessageKind.TAKE_CHARGE, MessageKind.NON_DELIVERY, MessageKind.VIRUS, ORDINARY]
)
async def test_nothing_is_ever_sent_about_a_receipt(house: House, kind: str) -> None:
    house.peers.answers = {BRUNO: UNKNOWN}
    await house.relay(await house.waiting(BRUNO, kind=kind, reverse_path="posta-certificata@alfa.example"))
    assert await house.rows() == []
    assert await house.mailbox() == []
    assert house.handed == []
    assert [entry.event for entry in await house.register()] == ["failure", "alarm"]


@pytest.mark.edge("O9")
async def test_an_insecure_peer_is_an_alarm_once(house: House) -> None:
    house.peers.answers = {BRUNO: Temporary("4.7.5", "the peer offers no STARTTLS", Stage.TLS)}
    leased = await house.waiting(BRUNO)
    await house.relay(leased)
    assert [entry.event for entry in await house.register()] == ["alarm"]
    house.clock.at += timedelta(hours=1)
    (row,) = await house.storage.write(
        lambda connection: outbox.claim(connection, LEASE.owner, house.clock.at, limit=5, lease=LEASE.length)
    )
    assert row.attempts == 1
    await house.relay([type(leased[0])(row, ENVELOPE)])
    assert [entry.event for entry in await house.register()] == ["alarm"]
    assert len(await house.rows()) == 1


@pytest.mark.req("EN-16")
async def test_recipients_of_this_provider_get_it_without_a_socket(house: House) -> None:
    await house.relay(await house.waiting("bruno@alfa.example", "carla@alfa.example"), local=True)
    (arrival,) = house.incoming.arrivals
    assert arrival.forward_paths == ("bruno@alfa.example", "carla@alfa.example")
    assert arrival.reverse_path == SENDER
    assert arrival.message is not None
    assert arrival.message.read() == ENVELOPE.read()
    assert house.peers.sent == []
    assert await house.rows() == []


@pytest.mark.parametrize("answer", [TemporaryError("no key"), RuntimeError("a bug"), Refused(Refusal.MAILBOX_FULL)])
async def test_trouble_here_is_temporary_for_local_mail(
    house: House, answer: Exception | Refused, caplog: pytest.LogCaptureFixture
) -> None:
    house.incoming.answer = answer
    await house.relay(await house.waiting("bruno@alfa.example"), local=True)
    (row,) = await house.rows()
    assert row.attempts == 1


async def test_a_local_refusal_is_permanent(house: House) -> None:
    house.incoming.answer = Refused(Refusal.LOOP)
    await house.relay(await house.waiting("bruno@alfa.example", kind=ORDINARY, reverse_path=""), local=True)
    assert await house.rows() == []
    assert [entry.event for entry in await house.register()] == ["failure", "alarm"]


async def test_a_message_that_is_not_in_hand_is_read(house: House) -> None:
    (leased,) = await house.waiting(BRUNO)
    await house.flow(Consignment((leased.row,), local=False))
    assert house.peers.sent[0].message.read() == ENVELOPE.read()
    assert await house.rows() == []


async def _postponed(house: House, *paths: str, outcome: Temporary = UNREACHED) -> None:
    """Mail to these paths has failed for the eleventh time, and waits for a quarter of an hour or so."""
    house.peers.answers = dict.fromkeys(paths, outcome)
    for path in paths:
        (leased,) = await house.waiting(path)
        await house.flow(Consignment((replace(leased.row, attempts=10),), local=False))
    assert all(row.next_attempt_at - START > timedelta(minutes=10) for row in await house.rows())
    house.peers.answers = {}


async def _due(house: House) -> set[str]:
    return {row.forward_path for row in await house.rows() if row.next_attempt_at <= house.clock.at}


async def test_when_a_peer_answers_again_all_that_waits_for_it_follows(house: House) -> None:
    await _postponed(house, BRUNO, CARLA)
    assert await _due(house) == set()
    await house.relay(await house.waiting("dario@beta.example"))
    assert await _due(house) == {BRUNO, CARLA}


async def test_an_answer_is_enough_be_it_a_refusal(house: House) -> None:
    await _postponed(house, BRUNO)
    house.peers.answers = {CARLA: LATER}
    await house.relay(await house.waiting(CARLA))
    assert await _due(house) == {BRUNO}


async def test_what_the_peer_itself_put_off_waits_on(house: House) -> None:
    await _postponed(house, BRUNO, outcome=LATER)
    await house.relay(await house.waiting(CARLA))
    assert await _due(house) == set()


async def test_mail_for_others_waits_on(house: House) -> None:
    await _postponed(house, BRUNO)
    await house.relay(await house.waiting("dario@gamma.example"))
    assert await _due(house) == set()


async def test_after_a_restart_the_first_row_that_gets_through_takes_the_others_along(house: House) -> None:
    await _postponed(house, BRUNO, CARLA)
    house.flow._outages = Outages()  # another life, which has seen no outage
    later = START + timedelta(hours=1)
    (first,) = await house.storage.write(
        lambda connection: outbox.claim(connection, LEASE.owner, later, limit=1, lease=LEASE.length)
    )
    await house.flow(Consignment((first,), local=False))
    (other,) = await house.rows()
    assert other.next_attempt_at == house.clock.at


async def test_a_thousand_follow_at_once_and_the_rest_soon_after(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.flows.relay.BROUGHT_FORWARD", 2)
    await _postponed(house, *(f"r{number}@beta.example" for number in range(5)))
    for due in (2, 4, 5, 5):
        await house.relay(await house.waiting("dario@beta.example"))
        assert len(await _due(house)) == due
        house.clock.at += REST


async def test_mail_that_the_database_keeps_from_following_follows_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _postponed(house, BRUNO)
    with monkeypatch.context() as patched:
        patched.setattr(outbox, "bring_forward", _away)
        await house.relay(await house.waiting("dario@beta.example"))
    assert [row.forward_path for row in await house.rows()] == [BRUNO]
    house.clock.at += REST
    await house.relay(await house.waiting("dario@beta.example"))
    assert await _due(house) == {BRUNO}


def _away(*arguments: object, **options: object) -> int:
    raise TemporaryError("the database is away")
