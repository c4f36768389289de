"""What the register holds of the flows: every operation, with the facts that RFC 6109 section 2.3 asks for."""

from collections import Counter

import pytest

from gateway.storage.register import RegisterRow
from tests.flows.credentials import START
from tests.flows.house import Network, Provider, original
from tests.flows.pens import Pen, altered

BRUNO, CARLA, NOBODY, ORDINARY = "bruno@beta.example", "carla@beta.example", "nessuno@beta.example", "x@mail.example"


def by_event(rows: list[RegisterRow], event: str) -> list[RegisterRow]:
    return [row for row in rows if row.event == event]


@pytest.mark.req("LOG-01", "LOG-05", "LOG-03")
async def test_a_submission_is_registered_with_all_facts(alfa: Provider) -> None:
    outcome = await alfa.hand_in(original([BRUNO], [ORDINARY], subject="=?utf-8?q?Citt=C3=A0?="), BRUNO, ORDINARY)
    submission, receipt, envelope = alfa.register()
    for row in (submission, receipt, envelope):
        assert row.at == START
        assert row.pec_msgid == outcome.pec_msgid
        assert row.msgid == "<17@client.example>"
        assert row.sender == "anna@alfa.example"
        assert row.recipients == (BRUNO, ORDINARY)
        assert row.subject == "Città"
        assert row.provider == "Alfa PEC"
    made = {stored.certified.message_id for stored in alfa.mailbox("anna") if stored.kind == "acceptance"}
    assert submission.event == "submission"
    assert submission.account == "anna@alfa.example"
    assert set(submission.related) == made | {outcome.pec_msgid}
    assert (receipt.event, receipt.detail, set(receipt.related)) == ("emission", "acceptance", made)
    assert (envelope.event, envelope.detail, envelope.related) == ("emission", "envelope", (outcome.pec_msgid,))


@pytest.mark.req("LOG-01", "LOG-03")
async def test_a_refusal_is_registered_with_its_reasons(alfa: Provider) -> None:
    outcome = await alfa.hand_in(original(), "nascosto@beta.example")
    refusal, emission = alfa.register()
    [notice] = alfa.mailbox("anna")
    assert (refusal.event, refusal.pec_msgid) == ("refusal", outcome.pec_msgid)
    assert refusal.related == emission.related == (notice.certified.message_id,)
    assert refusal.recipients == ("nascosto@beta.example",)
    assert "nascosto" in (refusal.detail or "")
    assert (emission.event, emission.detail) == ("emission", "non-acceptance")


@pytest.mark.req("LOG-01", "LOG-05", "LOG-03")
async def test_an_envelope_is_registered_as_it_comes_is_delivered_and_answered(beta: Provider, pen: Pen) -> None:
    data = pen.facts([BRUNO, CARLA, NOBODY])
    beta.clock.pass_(seconds=7)
    await beta.arrive(pen.envelope(data), BRUNO, CARLA, NOBODY)
    rows = beta.register()
    for row in rows:
        assert row.at == beta.clock.at
        assert (row.pec_msgid, row.msgid) == (data.pec_msgid, "<17@client.example>")
        assert (row.sender, row.subject, row.provider) == ("anna@alfa.example", "Perizia", "Alfa PEC")
    assert [row.recipients for row in by_event(rows, "reception")] == [(BRUNO, CARLA, NOBODY)]
    issued = {(post.row.kind, post.certified.said("consegna")): post.certified.message_id for post in beta.outbox()}
    emitted = {(row.detail, row.recipients): row.related for row in by_event(rows, "emission")}
    assert emitted == {
        ("take-charge", (BRUNO, CARLA, NOBODY)): (issued["take-charge", None],),
        ("delivery", (BRUNO,)): (issued["delivery", BRUNO],),
        ("delivery", (CARLA,)): (issued["delivery", CARLA],),
        ("non-delivery", (NOBODY,)): (issued["non-delivery", NOBODY],),
    }
    delivered = {row.recipients: row.related for row in by_event(rows, "delivery")}
    assert delivered == {(BRUNO,): (issued["delivery", BRUNO],), (CARLA,): (issued["delivery", CARLA],)}
    assert [row.recipients for row in by_event(rows, "failure")] == [(NOBODY,)]


@pytest.mark.req("LOG-03")
async def test_an_anomaly_is_registered_as_it_comes_is_wrapped_and_delivered(beta: Provider, pen: Pen) -> None:
    data = pen.facts([BRUNO])
    await beta.arrive(pen.resealed(pen.envelope(data), headers=altered("X-Trasporto", "X-Trasportato")))
    reception, emission, delivery = beta.register()
    assert (reception.event, emission.event, delivery.event) == ("reception", "emission", "delivery")
    assert {row.pec_msgid for row in beta.register()} == {None}  # without a marker it says nothing of itself
    assert {row.provider for row in beta.register()} == {"Alfa PEC"}
    assert "Message format not conformant; neither X-Ricevuta nor X-Trasporto" in (reception.detail or "")
    await beta.arrive(pen.envelope(data), CARLA)
    assert {row.pec_msgid for row in beta.register()[3:]} == {data.pec_msgid}


@pytest.mark.req("LOG-03", "LOG-01")
async def test_a_receipt_is_registered_with_what_it_changed(alfa: Provider) -> None:
    outcome = await alfa.hand_in(original())
    before = len(alfa.register())
    pen = Pen("beta.example")
    data = pen.facts([BRUNO], sender="anna@alfa.example", pec_msgid=outcome.pec_msgid)
    await alfa.arrive(pen.delivery(data, BRUNO), "anna@alfa.example", reverse_path=pen.service_address)
    rows = alfa.register()[before:]
    assert [(row.event, row.detail) for row in rows] == [
        ("reception", "delivery"),
        ("delivery", "delivery to anna@alfa.example"),
        ("tracking", "delivered"),
    ]
    for row in rows:
        assert (row.pec_msgid, row.sender, row.recipients) == (outcome.pec_msgid, "anna@alfa.example", (BRUNO,))
        assert (row.provider, row.subject) == ("Beta PEC", "Perizia")


@pytest.mark.req("LOG-03")
async def test_every_message_issued_on_a_whole_way_is_in_the_register_of_who_issued_it(network: Network) -> None:
    alfa, beta = network.providers
    to = (BRUNO, NOBODY, "carla@alfa.example", ORDINARY)
    await alfa.hand_in(original(to), *to)
    await network.carry()
    await alfa.arrive(original(), "bruno@alfa.example", reverse_path="x@mail.example")
    for provider in (alfa, beta):
        issued = {
            stored.certified.message_id
            for each in (alfa, beta)
            for name in each.people
            for stored in each.mailbox(name)
            if stored.kind not in {"sent", "anomaly"}
            and stored.certified.from_address.addr_spec == provider.service_address
        }
        emitted = Counter(related for row in by_event(provider.register(), "emission") for related in row.related)
        assert set(emitted.values()) == {1}
        assert issued <= set(emitted)
        assert len(emitted) == len(issued) + (provider is alfa)  # the anomaly envelope has an id of its own


async def test_no_body_and_no_password_stands_in_the_register(network: Network) -> None:
    alfa, beta = network.providers
    await alfa.hand_in(original(body=b"parola-segreta\r\n"))
    await network.carry()
    for row in (*alfa.register(), *beta.register()):
        assert "parola-segreta" not in repr(row)
