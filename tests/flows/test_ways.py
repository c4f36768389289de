"""Messages on their whole way, between two providers and within one: every receipt that is due, and no other."""

from collections import Counter

import pytest

from gateway.flows.outcomes import Accepted
from tests.flows.house import Network, Provider, original
from tests.flows.pens import Pen
from tests.flows.reading import Certified

BRUNO, CARLA, NOBODY = "bruno@beta.example", "carla@beta.example", "nessuno@beta.example"
OWN, ORDINARY = "carla@alfa.example", "x@mail.example"
EVERYBODY = (BRUNO, CARLA, OWN, NOBODY, ORDINARY)


async def sent(network: Network, *to: str, raw: bytes | None = None) -> str:
    outcome = await network.providers[0].hand_in(raw or original(to[:1], to[1:]), *to)
    assert isinstance(outcome, Accepted)
    await network.carry()
    return outcome.pec_msgid


def receipts(provider: Provider, name: str) -> list[tuple[str, str | None]]:
    found = [stored.certified for stored in provider.mailbox(name) if stored.kind != "sent"]
    return [(receipt.type, receipt.said("consegna")) for receipt in found]


@pytest.mark.edge("E6")
@pytest.mark.req("DP-07", "DP-08", "AP-22", "RC-07", "RC-08", "EN-14", "EN-16")
async def test_each_recipient_ends_with_exactly_what_is_due(network: Network) -> None:
    """To and Cc at the other provider, one of our own, an unknown mailbox, an ordinary address."""
    alfa, beta = network.providers
    pec_msgid = await sent(network, *EVERYBODY)
    assert alfa.states(pec_msgid) == {
        BRUNO: "delivered",
        CARLA: "delivered",
        OWN: "delivered",
        NOBODY: "failed",
        ORDINARY: "external",
    }
    assert Counter(receipts(alfa, "anna")) == {
        ("accettazione", None): 1,
        ("avvenuta-consegna", BRUNO): 1,
        ("avvenuta-consegna", CARLA): 1,
        ("avvenuta-consegna", OWN): 1,
        ("errore-consegna", NOBODY): 1,
    }
    charges = [stored.certified.each("ricezione") for stored in alfa.mailbox("posta-certificata")]
    assert sorted(charges) == [[BRUNO, CARLA, NOBODY], [OWN]]
    assert beta.kinds("bruno") == beta.kinds("carla") == alfa.kinds("carla") == ["envelope"]
    envelopes = {beta.mailbox(name)[0].raw[-3_000:] for name in ("bruno", "carla")}
    envelopes |= {alfa.mailbox("carla")[0].raw[-3_000:], network.ordinary[0].message.read()[-3_000:]}
    assert len(envelopes) == 1
    assert network.ordinary[0].forward_paths == (ORDINARY,)
    assert alfa.outbox() == beta.outbox() == []
    assert not beta.mailbox("posta-certificata")


@pytest.mark.req("AP-22", "EN-09")
async def test_recipients_of_one_domain_go_in_one_transaction(network: Network) -> None:
    await sent(network, *EVERYBODY)
    first = [(domain, outgoing.reverse_path, outgoing.forward_paths) for domain, outgoing in network.transactions[:2]]
    assert first == [
        ("beta.example", "anna@alfa.example", (BRUNO, CARLA, NOBODY)),
        ("mail.example", "anna@alfa.example", (ORDINARY,)),
    ]


@pytest.mark.edge("E8")
@pytest.mark.req("EN-16")
async def test_within_one_provider_the_way_is_the_same_but_for_the_socket(network: Network) -> None:
    alfa, _ = network.providers
    pec_msgid = await sent(network, OWN)
    assert network.transactions == []
    [stored] = alfa.mailbox("carla")
    assert stored.kind == "envelope"
    assert stored.certified.header("X-Trasporto") == "posta-certificata"
    assert b"Received: from [127.0.0.1] by mx.alfa.example with ESMTPS\r\n" in stored.raw
    assert receipts(alfa, "anna") == [("accettazione", None), ("avvenuta-consegna", OWN)]
    [charge] = alfa.mailbox("posta-certificata")
    assert charge.certified.each("ricezione") == [OWN]
    carla = alfa.sent(pec_msgid).recipient(OWN)
    assert carla is not None
    assert carla.taken_at is not None
    assert carla.state == "delivered"
    assert not [row for row in alfa.register() if row.event in {"deviation", "alarm"}]


@pytest.mark.req("EN-16")
async def test_writing_to_oneself_works_too(network: Network) -> None:
    alfa, _ = network.providers
    pec_msgid = await sent(network, "anna@alfa.example")
    assert alfa.states(pec_msgid) == {"anna@alfa.example": "delivered"}
    assert Counter(alfa.kinds("anna")) == {"acceptance": 1, "sent": 1, "envelope": 1, "delivery": 1}


@pytest.mark.req("DP-28", "DP-02")
async def test_no_byte_changes_between_seal_and_mailbox(network: Network) -> None:
    """Eight-bit bytes too, as a signed part may hold them."""
    alfa, beta = network.providers
    raw = original(
        [BRUNO, OWN],
        extra='Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=b',
        body=b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nperch\xc3\xa9\r\n--b\r\n"
        b"Content-Type: application/pkcs7-signature\r\n\r\nAAAA\r\n--b--\r\n",
    )
    outcome = await alfa.hand_in(raw, BRUNO, OWN)
    sealed = alfa.outbox()[0].raw
    await network.carry()
    assert beta.mailbox("bruno")[0].raw.endswith(sealed)
    assert alfa.mailbox("carla")[0].raw.endswith(sealed)
    assert alfa.states(outcome.pec_msgid) == {BRUNO: "delivered", OWN: "delivered"}
    complete = [stored.certified for stored in alfa.mailbox("anna") if stored.kind == "delivery"]
    assert {receipt.original for receipt in complete} == {Certified(sealed).original}


@pytest.mark.edge("O2")
async def test_a_bounce_of_an_envelope_reaches_the_sender_as_an_anomaly(network: Network) -> None:
    """And nothing comes of that."""
    alfa, _ = network.providers
    await sent(network, ORDINARY)
    bounce = original(["anna@alfa.example"], sender="mailer-daemon@mail.example", subject="POSTA CERTIFICATA: Perizia")
    await alfa.arrive(bounce, "anna@alfa.example", reverse_path="")
    await network.carry()
    assert alfa.mailbox("anna")[-1].certified.header("Subject") == "ANOMALIA MESSAGGIO: POSTA CERTIFICATA: Perizia"
    assert alfa.outbox() == []


async def test_receipts_of_receipts_never_come(network: Network) -> None:
    alfa, beta = network.providers
    await sent(network, BRUNO, CARLA)
    counts = [sum(len(provider.mailbox(name)) for name in provider.people) for provider in (alfa, beta)]
    await network.carry()
    assert [sum(len(provider.mailbox(name)) for name in provider.people) for provider in (alfa, beta)] == counts


@pytest.mark.edge("A18")
@pytest.mark.req("SEC-08")
async def test_a_holder_cannot_send_what_looks_like_a_receipt(network: Network) -> None:
    alfa, beta = network.providers
    forged = Pen("alfa.example").delivery(Pen("alfa.example").facts(), BRUNO)
    raw = forged.replace(b"From: posta-certificata@alfa.example", b"From: anna@alfa.example")
    raw = raw.replace(b"To: anna@alfa.example", b"To: bruno@beta.example")
    await sent(network, BRUNO, raw=raw)
    [stored] = beta.mailbox("bruno")
    assert stored.certified.header("X-Ricevuta") is None
    assert stored.certified.header("X-Trasporto") == "posta-certificata"
    assert b"X-Ricevuta: avvenuta-consegna" in (stored.certified.original or b"")
    assert Counter(alfa.kinds("anna")) == {"acceptance": 1, "sent": 1, "delivery": 1}
