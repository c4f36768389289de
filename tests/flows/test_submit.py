"""The access point as a whole: what a submission leaves behind, accepted or not."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.flows.outcomes import Accepted, NotAccepted
from gateway.storage import accounts
from gateway.storage.engine import Storage
from receipts.errors import TemporaryError
from receipts.octets import InMemory, Octets
from tests.flows.credentials import START
from tests.flows.house import HandClock, Peer, Provider, original
from tests.flows.reading import parse

ALL = ("bruno@beta.example", "dora@beta.example", "x@mail.example", "carla@alfa.example")
WHEN = "02/03/2026 09:30:15 +0100"


async def accepted(provider: Provider, raw: bytes, *to: str) -> str:
    outcome = await provider.hand_in(raw, *to)
    assert isinstance(outcome, Accepted)
    return outcome.pec_msgid


@pytest.mark.req("AP-21", "AP-27", "AP-24", "MID-03", "SIG-09")
async def test_an_accepted_message_leaves_receipt_copy_envelope_and_states(alfa: Provider) -> None:
    raw = original(ALL[:2], ALL[2:])
    pec_msgid = await accepted(alfa, raw, *ALL)
    receipt, copy = alfa.mailbox("anna")
    assert (receipt.kind, receipt.folder, copy.kind, copy.folder) == ("acceptance", "Receipts", "sent", "Sent")
    assert receipt.pec_msgid == copy.pec_msgid == pec_msgid
    assert copy.raw == raw
    assert receipt.certified.said("identificativo") == pec_msgid
    assert receipt.raw.startswith(b"Return-Path: <posta-certificata@alfa.example>\r\n")
    assert [post.row.forward_path for post in alfa.outbox()] == list(ALL)
    assert {post.row.body_id for post in alfa.outbox()} == {alfa.outbox()[0].row.body_id}
    assert [leased.row for leased in alfa.leaving] == [post.row for post in alfa.outbox()]
    assert [leased.message.read() for leased in alfa.leaving] == [post.raw for post in alfa.outbox()]


@pytest.mark.edge("A6", "E7")
@pytest.mark.req("AP-20")
async def test_each_recipient_is_classed_by_its_domain_whatever_its_case(alfa: Provider) -> None:
    to = ("Bruno@Beta.EXAMPLE", "x@mail.example", "y@sub.beta.example", "z@studio.gamma.example")
    pec_msgid = await accepted(alfa, original(to), *to)
    classes = dict(zip(to, ("certificato", "esterno", "esterno", "certificato"), strict=True))
    assert alfa.mailbox("anna")[0].certified.recipients == classes
    assert alfa.outbox()[0].certified.recipients == classes
    assert [post.row.certified for post in alfa.outbox()] == [True, False, False, True]
    providers = [recipient.provider for recipient in alfa.sent(pec_msgid).recipients]
    assert providers == ["Beta PEC", None, None, "Gamma PEC"]
    text = alfa.mailbox("anna")[0].certified.text
    assert 'Bruno@Beta.EXAMPLE ("posta certificata")' in text
    assert 'x@mail.example ("posta ordinaria")' in text


@pytest.mark.req("AP-26", "TIM-10")
async def test_the_clock_of_each_certified_recipient_starts_at_acceptance(alfa: Provider) -> None:
    pec_msgid = await accepted(alfa, original(ALL), *ALL)
    for recipient in alfa.sent(pec_msgid).recipients:
        assert recipient.accepted_at == START
        external = recipient.address == "x@mail.example"
        assert recipient.state.value == ("external" if external else "accepted")
        assert (recipient.ended_at == START) is external
        assert recipient.taken_at is None


@pytest.mark.req("EN-09", "AP-22", "EN-14")
async def test_the_envelope_leaves_with_the_paths_of_the_submission(alfa: Provider) -> None:
    alfa.alias("Vendite@alfa.example", "anna")
    raw = original(ALL, sender="vendite@alfa.example")
    outcome = await alfa.hand_in(raw, *reversed(ALL), reverse_path="Vendite@alfa.example")
    assert isinstance(outcome, Accepted)
    assert {post.row.reverse_path for post in alfa.outbox()} == {"Vendite@alfa.example"}
    assert {post.row.forward_path for post in alfa.outbox()} == set(ALL)
    assert len({post.raw for post in alfa.outbox()}) == 1
    assert {post.row.pec_msgid for post in alfa.outbox()} == {outcome.pec_msgid}
    expiry = {post.row.forward_path: post.row.expires_at for post in alfa.outbox()}
    assert expiry.pop("x@mail.example") == START + timedelta(hours=24)
    assert set(expiry.values()) == {None}  # D9: an envelope to a certified recipient never expires


@pytest.mark.edge("A11")
@pytest.mark.req("AP-25", "XML-04", "HDR-10")
async def test_certification_data_come_from_the_smtp_paths(alfa: Provider) -> None:
    raw = original(
        ['"Bruno Neri" <BRUNO@beta.example>'], ["dora@beta.example"], extra="Reply-To: risposte@gamma.example"
    )
    outcome = await alfa.hand_in(raw, "dora@Beta.example", "bruno@beta.example", reverse_path="anna@alfa.example")
    assert isinstance(outcome, Accepted)
    receipt = alfa.mailbox("anna")[0].certified
    assert receipt.said("mittente") == "anna@alfa.example"
    assert list(receipt.recipients) == ["bruno@beta.example", "dora@Beta.example"]  # To before Cc, as routed
    assert receipt.said("risposte") == "risposte@gamma.example"
    assert receipt.header("To") == "anna@alfa.example"
    roles = {recipient.address: recipient.role for recipient in alfa.sent(outcome.pec_msgid).recipients}
    assert roles == {"bruno@beta.example": "to", "dora@Beta.example": "cc"}


@pytest.mark.req("AP-05", "MID-02", "MID-01")
@pytest.mark.parametrize("to", [("bruno@beta.example",), ("bruno@beta.example", "nascosto@beta.example")])
async def test_identifier_and_instant_come_before_the_checks(alfa: Provider, to: tuple[str, ...]) -> None:
    outcome = await alfa.hand_in(original(), *to)
    local, _, domain = outcome.pec_msgid.partition("@")
    assert local.isalnum()
    assert domain == "alfa.example"
    assert local == f"616c6661{1:024x}"  # the first that the source gave
    assert alfa.mailbox("anna")[0].certified.said("identificativo") == outcome.pec_msgid


@pytest.mark.req("TIM-01", "LOG-05", "HDR-12", "EN-07")
async def test_one_instant_stands_in_everything_a_submission_makes(alfa: Provider) -> None:
    pec_msgid = await accepted(alfa, original(ALL), *ALL)
    receipt, envelope = alfa.mailbox("anna")[0].certified, alfa.outbox()[0].certified
    for made in (receipt, envelope):
        assert made.date == START.replace(microsecond=0)
        assert made.instant == WHEN
        assert "Il giorno 02/03/2026 alle ore 09:30:15 (+0100)" in made.text
    assert {row.at for row in alfa.register()} == {START}
    assert {post.row.created_at for post in alfa.outbox()} == {START}
    assert alfa.sent(pec_msgid).at == START
    assert b"Mon, 02 Mar 2026 09:30:15 +0100" in (envelope.original or b"").partition(b"From:")[0]  # Received


@pytest.mark.req("EN-11", "AP-23", "MID-04")
async def test_the_original_travels_whole_but_for_its_identifier(alfa: Provider) -> None:
    raw = original(extra="X-Ricevuta: avvenuta-consegna\r\nX-Odd:  folded\r\n  twice ", body=b"uno\r\n.\r\n due \r\n")
    pec_msgid = await accepted(alfa, raw)
    inside = alfa.outbox()[0].certified.original
    assert inside is not None
    received, _, rest = inside.partition(b"From: Anna")
    assert received.startswith(b"Received: from authenticated-holder by mx.alfa.example with ESMTPSA\r\n")
    assert b"192.0.2.7" not in inside
    assert b"laptop" not in inside
    rest = b"From: Anna" + rest
    reference = b"X-Riferimento-Message-ID: <17@client.example>\r\n"
    assert rest.count(reference) == 1
    changed = rest.replace(reference, b"").replace(f"<{pec_msgid}>".encode(), b"<17@client.example>")
    assert changed == raw


async def test_the_holder_address_shows_only_where_the_provider_says_so(alfa: Provider) -> None:
    alfa.submit_settings = replace(alfa.submit_settings, show_address=True)
    alfa.wire()
    peer = Peer(address="2001:db8::7", port=1, tls=True, helo="laptop")
    assert isinstance(await alfa.hand_in(original(), peer=peer), Accepted)
    assert b"Received: from [IPv6:2001:db8::7] by mx.alfa.example" in alfa.outbox()[0].raw


@pytest.mark.edge("E10")
@pytest.mark.req("DP-12", "EN-08")
@pytest.mark.parametrize(
    ("extra", "form"),
    [
        ("", "completa"),
        ("X-TipoRicevuta: breve", "breve"),
        ("X-TIPORICEVUTA: Sintetica", "sintetica"),
        ("X-TipoRicevuta: qualsiasi", "completa"),
    ],
)
async def test_the_form_asked_for_stands_in_the_envelope(alfa: Provider, extra: str, form: str) -> None:
    await accepted(alfa, original(extra=extra))
    envelope = alfa.outbox()[0].certified
    assert envelope.header("X-TipoRicevuta") == form
    assert envelope.form == form


LONG = ", ".join(f"u{number}@beta.example" for number in range(9_000))
FAULTS = {
    "no header": (b"\r\nciao\r\n", "non ha un'intestazione leggibile"),
    "line that is no field": (original(extra="no field here"), "non è un campo"),
    "bare CR": (original(extra="X-Odd: a\rb"), "ritorno a capo isolato"),
    "NUL": (original(extra="X-Odd: a\0b"), "carattere NUL"),
    "raw 8 bit": (original(subject="città"), "caratteri non ASCII"),
    "twice From": (original(extra="From: anna@alfa.example"), "From è ripetuto"),
    "header over 256 KB": (original(extra=f"X-A: {'a' * 60_000}\r\n" * 5), "256 KB"),
    "field over 64 KB": (original(extra=f"X-A: {'a' * 66_000}"), "64 KB"),
    "bad Message-ID": (original(msgid="senza parentesi"), "Message-ID non è corretto"),
    "no From": (original().replace(b"From:", b"X-From:"), "Manca il mittente"),
    "two authors": (original(sender="anna@alfa.example>, <bruno@alfa.example"), "un solo indirizzo"),
    "From is another": (original(sender="bruno@alfa.example"), "diverso da quello della casella"),
    "no To": (original().replace(b"To:", b"Cc:"), "Nessun destinatario nel campo To"),
    "unreadable To": (original(["bruno@beta.example", "a@@b"]), "Il campo To non è leggibile"),
    "hidden recipient": (original(["dora@beta.example"]), "destinatario nascosto"),
    "recipient without path": (original(["bruno@beta.example", "dora@beta.example"]), "dora@beta.example compare"),
    "Bcc": (original(extra="Bcc: dora@beta.example"), "copia nascosta"),
    "nine thousand in Cc": (original(cc=[LONG]), "Lo stesso vale per altri 8900 indirizzi"),
}


@pytest.mark.edge("E2", "E3", "E4", "E5", "O3", "O4")
@pytest.mark.req("AP-17", "AP-10", "AP-11", "AP-12", "AP-13", "AP-14", "AP-15")
@pytest.mark.parametrize("case", FAULTS)
async def test_a_faulty_message_goes_to_nobody_and_its_sender_is_told_why(sqlite_storage: Storage, case: str) -> None:
    alfa = Provider("alfa.example", sqlite_storage)
    raw, words = FAULTS[case]
    outcome = await alfa.hand_in(raw)
    assert isinstance(outcome, NotAccepted)
    assert alfa.outbox() == []
    assert alfa.leaving == []
    [stored] = alfa.mailbox("anna")
    notice = stored.certified
    assert (stored.kind, stored.folder, notice.type, notice.error) == (
        "non-acceptance",
        "INBOX",
        "non-accettazione",
        "altro",
    )
    assert notice.header("X-Ricevuta") == "non-accettazione"
    assert words in " ".join((notice.said("errore-esteso") or "").split())
    assert words in " ".join(notice.text.split())
    assert notice.original is None
    assert notice.said("identificativo") == outcome.pec_msgid
    assert alfa.sent(outcome.pec_msgid).recipients == ()
    assert [event for event, _ in alfa.events()] == ["refusal", "emission"]
    assert not alfa.mailbox("bruno")


async def test_a_notice_names_every_fault(alfa: Provider) -> None:
    raw = original(["dora@beta.example"], sender="bruno@alfa.example", extra="Bcc: x@y.example\r\nTo: e@beta.example")
    await alfa.hand_in(raw, "bruno@beta.example")
    text = " ".join(alfa.mailbox("anna")[0].certified.text.split())
    for words in ("To è ripetuto", "copia nascosta", "diverso da quello", "nascosto", "dora@beta.example compare"):
        assert words in text
    assert "hidden recipient" in text  # in English too


@pytest.mark.edge("E18")
@pytest.mark.req("AP-16")
async def test_size_times_recipients_over_the_limit_is_not_accepted(storage: Storage) -> None:
    alfa = Provider("alfa.example", storage, max_total_bytes=20_000)
    raw = original(ALL, body=b"x" * 70 + b"\r\n" + b"y" * 5_000 + b"\r\n")
    assert isinstance(await alfa.hand_in(raw, *ALL), NotAccepted)
    assert "oltre il limite" in (alfa.mailbox("anna")[0].certified.said("errore-esteso") or "")
    three = ALL[:3]
    assert isinstance(await alfa.hand_in(original(three, body=b"y" * 5_000 + b"\r\n"), *three), Accepted)


@pytest.mark.edge("O13")
async def test_eight_bit_leaves_are_encoded_once_before_anything_is_sealed(alfa: Provider) -> None:
    """D12: what was encoded is the original from then on; a part that the sender signed keeps its bytes."""
    text = original(extra="Content-Type: text/plain; charset=utf-8", body="città\r\n".encode())
    await accepted(alfa, text)
    copy, inside = alfa.mailbox("anna")[1].raw, alfa.outbox()[0].certified.original or b""
    assert b"Content-Transfer-Encoding: quoted-printable" in copy
    assert copy.endswith(b"\r\n\r\ncitt=C3=A0\r\n")
    assert inside.endswith(b"\r\n\r\ncitt=C3=A0\r\n")
    assert parse(copy).get_content().split() == ["città"]
    head = original(
        msgid="<18@client.example>",
        extra='Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=b',
        body=b"",
    )
    signed = (
        b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nperch\xc3\xa9\r\n--b\r\n"
        b"Content-Type: application/pkcs7-signature\r\n\r\nAAAA\r\n--b--\r\n"
    )
    await accepted(alfa, head + signed)
    assert (alfa.outbox()[1].certified.original or b"").endswith(signed)
    assert alfa.mailbox("anna")[3].raw == head + signed


@pytest.mark.edge("E19")
async def test_a_message_without_identifier_gets_no_reference(alfa: Provider) -> None:
    pec_msgid = await accepted(alfa, original(msgid=None))
    receipt, envelope = alfa.mailbox("anna")[0].certified, alfa.outbox()[0].certified
    for made in (receipt, envelope):
        assert made.header("X-Riferimento-Message-ID") is None
        assert made.said("msgid") is None
    assert f"Message-ID: <{pec_msgid}>\r\n".encode() in (envelope.original or b"")


class TestTheSameSubmissionAgain:
    """D4: same account, msgid, recipients and bytes within a day."""

    async def test_is_answered_as_before_and_makes_nothing(self, alfa: Provider) -> None:
        first = await alfa.hand_in(original(ALL), *ALL)
        before = (len(alfa.outbox()), len(alfa.mailbox("anna")), alfa.register())
        alfa.clock.pass_(hours=23, minutes=59)
        again = await alfa.hand_in(original(ALL), *(path.upper() for path in reversed(ALL)))
        assert again == first
        *rows, repeated = alfa.register()
        assert (len(alfa.outbox()), len(alfa.mailbox("anna")), rows) == before
        assert (repeated.event, repeated.pec_msgid, repeated.related) == ("submission", first.pec_msgid, ())

    async def test_is_told_again_that_it_was_not_accepted(self, alfa: Provider) -> None:
        first = await alfa.hand_in(original(), "nascosto@beta.example")
        assert isinstance(first, NotAccepted)
        assert await alfa.hand_in(original(), "nascosto@beta.example") == first
        assert alfa.kinds("anna") == ["non-acceptance"]

    async def test_under_another_reverse_path_is_another(self, alfa: Provider) -> None:
        """The first was refused for its reverse path: to call the second one a repetition would lose it."""
        alfa.alias("vendite@alfa.example", "anna")
        wrong = await alfa.hand_in(original(), reverse_path="vendite@alfa.example")
        assert isinstance(wrong, NotAccepted)
        right = await alfa.hand_in(original())
        assert isinstance(right, Accepted)
        assert right.pec_msgid != wrong.pec_msgid
        assert len(alfa.outbox()) == 1

    async def test_after_a_day_is_new(self, alfa: Provider) -> None:
        first = await accepted(alfa, original())
        alfa.clock.pass_(hours=24)
        assert await accepted(alfa, original()) != first
        assert len(alfa.outbox()) == 2

    @pytest.mark.parametrize(
        "other",
        [
            original(msgid="<18@client.example>"),
            original(body=b"altro\r\n"),
            original(subject="Altra"),
        ],
    )
    async def test_with_anything_else_is_new(self, alfa: Provider, other: bytes) -> None:
        await accepted(alfa, original())
        await accepted(alfa, other)
        assert len(alfa.outbox()) == 2

    async def test_of_another_account_is_new(self, alfa: Provider) -> None:
        raw = original(sender="vendite@alfa.example")
        alfa.alias("vendite@alfa.example", "anna")
        first = await alfa.hand_in(raw, reverse_path="vendite@alfa.example")
        second = await alfa.hand_in(raw, sender="bruno", reverse_path="vendite@alfa.example")
        assert isinstance(first, Accepted)
        assert isinstance(second, Accepted)  # whether bruno may write as this is asked at MAIL, not here
        assert first.pec_msgid != second.pec_msgid

    async def test_at_once_is_accepted_once(self, alfa: Provider) -> None:
        outcomes = await asyncio.gather(*(alfa.hand_in(original(ALL), *ALL) for _ in range(6)))
        assert len(set(outcomes)) == 1
        assert len(alfa.outbox()) == len(ALL)
        assert alfa.kinds("anna") == ["acceptance", "sent"]
        again = [detail for event, detail in alfa.events() if event == "submission"]
        assert again == [None, *["it came before: nothing is done again"] * 5]


@pytest.mark.req("AP-02")
async def test_an_account_that_was_disabled_meanwhile_submits_nothing(alfa: Provider) -> None:
    account = alfa.people["anna"].id
    alfa.storage.write_now(lambda connection: accounts.set_active(connection, account, START, active=False))
    with pytest.raises(TemporaryError):
        await alfa.hand_in(original())
    assert alfa.is_untouched()


async def test_a_large_message_is_the_same_message(alfa: Provider) -> None:
    """Over 1 MB nothing is copied whole, and reading happens in a thread."""
    body = b"".join(b"%07d and so on until the end of the line\r\n" % number for number in range(60_000))
    raw = original(body=body)
    outcome = await alfa.hand_in(Octets.whole(InMemory.of(raw)))
    assert isinstance(outcome, Accepted)
    receipt, copy = alfa.mailbox("anna")
    assert receipt.kind == "acceptance"
    assert copy.raw == raw
    assert (alfa.outbox()[0].certified.original or b"").endswith(body)


async def test_each_attempt_takes_a_new_instant(alfa: Provider, clock: HandClock) -> None:
    await accepted(alfa, original())
    clock.pass_(seconds=61)
    await accepted(alfa, original(msgid="<18@client.example>"))
    instants = [stored.certified.instant for stored in alfa.mailbox("anna") if stored.kind == "acceptance"]
    assert instants == [WHEN, "02/03/2026 09:31:16 +0100"]
