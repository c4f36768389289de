"""The rows of the incoming point's branch table (spec 5.2) that no virus has a part in, one by one."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.flows.outcomes import Refusal, Refused, Taken
from gateway.points.incoming import BAD_SIGNATURE
from gateway.points.ordinary import Ordinary
from receipts.octets import Octets
from receipts.scanner import scan_header
from tests.flows.credentials import START, authority, credential, other_signer
from tests.flows.house import CLEAR, Provider, original
from tests.flows.pens import Pen, altered, certifying, in_turn
from tests.flows.reading import Certified
from tests.providers.authorities import openssl_verifies

BRUNO, CARLA, NOBODY = "bruno@beta.example", "carla@beta.example", "nessuno@beta.example"
SERVICE = "posta-certificata@beta.example"


NO_DATA = in_turn(
    altered('application/xml; name="daticert.xml"', 'application/pdf; name="a.pdf"'),
    altered('filename="daticert.xml"', 'filename="a.pdf"'),
)


class TestB1:
    """A correct envelope: taken charge of, delivered, answered for each recipient."""

    @pytest.mark.req("RC-08", "IP-15", "XML-15")
    async def test_one_take_charge_receipt_names_all_local_recipients(self, beta: Provider, pen: Pen) -> None:
        data = pen.facts([BRUNO, CARLA, NOBODY, "x@mail.example"])
        assert await beta.arrive(pen.envelope(data), BRUNO, CARLA, NOBODY) == Taken()
        [receipt] = [post.certified for post in beta.outbox() if post.row.kind == "take-charge"]
        assert (receipt.type, receipt.header("X-Ricevuta")) == ("presa-in-carico", "presa-in-carico")
        assert receipt.each("ricezione") == [BRUNO, CARLA, NOBODY]
        assert list(receipt.recipients) == [BRUNO, CARLA, NOBODY, "x@mail.example"]
        assert receipt.said("identificativo") == data.pec_msgid
        assert receipt.said("gestore-emittente") == "Beta PEC"
        assert receipt.original is None

    @pytest.mark.req("HDR-11", "HDR-15", "SEC-04")
    async def test_it_goes_to_the_address_that_the_index_gives_the_signer(self, beta: Provider) -> None:
        """Gamma's service address is in another domain than its holders."""
        gamma = Pen("gamma.example")
        await beta.arrive(gamma.envelope(), reverse_path="anna@gamma.example")
        [post] = [post for post in beta.outbox() if post.row.kind == "take-charge"]
        assert post.row.forward_path == "posta-certificata@servizio.gamma.example"
        assert post.certified.header("To") == "posta-certificata@servizio.gamma.example"
        assert post.row.reverse_path == SERVICE

    @pytest.mark.edge("E15")
    @pytest.mark.req("RC-07", "DP-03", "DP-05", "DP-07", "DP-01")
    async def test_each_recipient_is_answered_apart(self, beta: Provider, pen: Pen) -> None:
        data = pen.facts([BRUNO, CARLA, NOBODY])
        await beta.arrive(pen.envelope(data), BRUNO, CARLA, NOBODY)
        answers = [post for post in beta.outbox() if post.row.kind != "take-charge"]
        assert [(post.certified.type, post.certified.said("consegna")) for post in answers] == [
            ("avvenuta-consegna", BRUNO),
            ("avvenuta-consegna", CARLA),
            ("errore-consegna", NOBODY),
        ]
        for post in answers:
            assert (post.row.reverse_path, post.row.forward_path) == (SERVICE, "anna@alfa.example")
            assert post.certified.header("To") == "anna@alfa.example"
            assert post.certified.said("identificativo") == data.pec_msgid
            assert post.certified.said("msgid") == "<17@client.example>"
            assert list(post.certified.recipients) == [BRUNO, CARLA, NOBODY]
        assert len({post.certified.message_id for post in answers}) == 3
        assert beta.kinds("bruno") == beta.kinds("carla") == ["envelope"]

    @pytest.mark.req("XML-16", "DP-05")
    async def test_an_unknown_mailbox_is_named_as_today_s_providers_do(self, beta: Provider, pen: Pen) -> None:
        await beta.arrive(pen.envelope(pen.facts([NOBODY])), NOBODY)
        [notice] = [post.certified for post in beta.outbox() if post.row.kind == "non-delivery"]
        assert notice.error == "no-dest"
        assert notice.said("errore-esteso") == "5.1.1 - Beta PEC - indirizzo non valido"
        assert "indirizzo non valido" in notice.text
        assert "invalid address" in notice.text
        assert notice.original is None

    @pytest.mark.req("DP-02", "DP-28", "EN-09")
    async def test_it_is_stored_byte_for_byte_below_our_own_lines(self, beta: Provider, pen: Pen) -> None:
        raw = pen.envelope(raw=original(body="perché\r\n".encode()))
        await beta.arrive(raw)
        [stored] = beta.mailbox("bruno")
        own, line, rest = stored.raw.partition(b"\r\n")
        assert own + line == b"Return-Path: <anna@alfa.example>\r\n"
        assert rest.startswith(b"Received: from [192.0.2.25] by mx.beta.example with ESMTPS\r\n id ")
        assert stored.raw.endswith(b"+0100\r\n" + raw)

    @pytest.mark.req("TIM-01", "LOG-05", "HDR-12")
    async def test_one_instant_stands_in_everything_it_makes(self, beta: Provider, pen: Pen) -> None:
        raw = pen.envelope(pen.facts([BRUNO, NOBODY]))
        beta.clock.pass_(minutes=31, microseconds=500_000)
        await beta.arrive(raw, BRUNO, NOBODY)
        assert {post.certified.instant for post in beta.outbox()} == {"02/03/2026 10:01:15 +0100"}
        assert {post.certified.date for post in beta.outbox()} == {beta.clock.at.replace(microsecond=0)}
        assert {row.at for row in beta.register()} == {beta.clock.at}
        assert {post.row.created_at for post in beta.outbox()} == {beta.clock.at}

    async def test_receipts_wait_five_days_for_a_server(self, beta: Provider, pen: Pen) -> None:
        await beta.arrive(pen.envelope())
        assert {(post.row.expires_at or START) - START for post in beta.outbox()} == {
            beta.receive_settings.receipt_expiry
        }

    @pytest.mark.edge("O10")
    async def test_an_alias_and_its_mailbox_are_one_copy_and_two_receipts(self, beta: Provider, pen: Pen) -> None:
        beta.alias("ufficio@beta.example", "bruno")
        data = pen.facts([BRUNO, "ufficio@beta.example"])
        await beta.arrive(pen.envelope(data), BRUNO, "Ufficio@Beta.example", "BRUNO@beta.example")
        assert beta.kinds("bruno") == ["envelope"]
        delivered = [post.certified.said("consegna") for post in beta.outbox() if post.row.kind == "delivery"]
        assert delivered == [BRUNO, "Ufficio@Beta.example"]

    async def test_postmaster_is_always_there(self, beta: Provider, pen: Pen) -> None:
        data = pen.facts(["postmaster@beta.example", "Abuse@beta.example"])
        await beta.arrive(pen.envelope(data), "postmaster@beta.example", "Abuse@beta.example")
        assert beta.kinds("operator") == ["envelope"]
        assert [post.row.kind for post in beta.outbox()] == ["take-charge", "delivery", "delivery"]

    @pytest.mark.edge("O17")
    async def test_clear_text_is_registered_and_no_obstacle(self, beta: Provider, pen: Pen) -> None:
        assert await beta.arrive(pen.envelope(), peer=CLEAR) == Taken()
        assert beta.kinds("bruno") == ["envelope"]
        assert ("deviation", "it came in clear text") in beta.events()
        assert b" with ESMTP\r\n" in beta.mailbox("bruno")[0].raw

    async def test_the_service_mailbox_takes_it_and_answers_nothing(self, beta: Provider, pen: Pen) -> None:
        data = pen.facts([SERVICE, BRUNO])
        await beta.arrive(pen.envelope(data), SERVICE, BRUNO)
        assert beta.kinds("posta-certificata") == ["envelope"]
        [take_charge, delivery] = beta.outbox()
        assert take_charge.certified.each("ricezione") == [BRUNO]
        assert delivery.certified.said("consegna") == BRUNO
        await beta.arrive(pen.envelope(pen.facts([SERVICE])), SERVICE)
        assert len(beta.outbox()) == 2


class TestB3:
    """A receipt for a user: delivered unchanged, answered by nothing."""

    @pytest.mark.edge("E11")
    @pytest.mark.req("DP-04", "IP-15", "DP-02", "DP-01")
    @pytest.mark.parametrize("kind", ["acceptance", "delivery", "non-delivery"])
    async def test_it_is_delivered_unchanged_and_earns_nothing(self, beta: Provider, pen: Pen, kind: str) -> None:
        data = pen.facts(["dora@alfa.example"], sender=BRUNO)
        raw = {
            "acceptance": lambda: pen.acceptance(data),
            "delivery": lambda: pen.delivery(data, "dora@alfa.example"),
            "non-delivery": lambda: pen.non_delivery(data, "dora@alfa.example"),
        }[kind]()
        assert await beta.arrive(raw, reverse_path=pen.service_address) == Taken()
        [stored] = beta.mailbox("bruno")
        assert stored.kind == kind
        assert stored.raw.endswith(raw)
        assert beta.outbox() == []

    async def test_for_a_mailbox_that_is_gone_it_is_registered_with_an_alarm(self, beta: Provider, pen: Pen) -> None:
        data = pen.facts(["dora@alfa.example"], sender=NOBODY)
        assert await beta.arrive(pen.delivery(data, "dora@alfa.example"), NOBODY) == Taken()
        assert ("alarm", "delivery for nessuno@beta.example, who have no mailbox") in beta.events()
        assert not any(map(beta.mailbox, beta.people))
        assert beta.outbox() == []


class TestB4:
    """What providers tell each other: into the service mailbox, whoever it is addressed to."""

    @pytest.mark.req("DP-08", "RC-09", "SEC-04")
    @pytest.mark.parametrize("to", [(SERVICE,), (BRUNO,), (BRUNO, SERVICE, NOBODY)])
    @pytest.mark.parametrize("kind", ["take-charge", "virus"])
    async def test_it_never_reaches_a_user(self, beta: Provider, pen: Pen, kind: str, to: tuple[str, ...]) -> None:
        data = pen.facts(["dora@alfa.example"], sender=BRUNO)
        if kind == "virus":
            raw = pen.virus_notice(data, "dora@alfa.example", to=to[0])
        else:
            raw = pen.take_charge(data, "dora@alfa.example", to=to[0])
        assert await beta.arrive(raw, *to, reverse_path=pen.service_address) == Taken()
        assert beta.kinds("posta-certificata") == [kind]
        assert not beta.mailbox("bruno")
        assert beta.outbox() == []
        addressed_right = to == (SERVICE,)
        assert any(event == "deviation" for event, _ in beta.events()) is not addressed_right


class TestB5:
    """From a provider, but not as it should be: wrapped, and always propagated."""

    @pytest.mark.edge("E13")
    @pytest.mark.req("IP-04", "DP-04", "IP-15", "EN-12", "EN-07", "EN-03")
    async def test_it_reaches_the_mailbox_in_an_anomaly_envelope(self, beta: Provider, pen: Pen) -> None:
        raw = pen.resealed(pen.envelope(), headers=altered("X-TipoRicevuta", "X-Ricevuta: accettazione\r\nX-Tipo"))
        beta.clock.pass_(minutes=5)
        assert await beta.arrive(raw) == Taken()
        [stored] = beta.mailbox("bruno")
        anomaly = stored.certified
        assert stored.kind == "anomaly"
        assert stored.raw.startswith(b"Return-Path: <anna@alfa.example>\r\n")
        assert anomaly.header("X-Trasporto") == "errore"
        assert anomaly.header("Subject") == "ANOMALIA MESSAGGIO: POSTA CERTIFICATA: Perizia"
        assert anomaly.date == beta.clock.at.replace(microsecond=0)
        assert f"<{anomaly.message_id}>".encode() in raw
        assert anomaly.parts == ["multipart/alternative", "message/rfc822"]
        assert "Formato del messaggio non conforme" in anomaly.text
        assert (anomaly.original or b"").endswith(raw)
        assert beta.outbox() == []

    @pytest.mark.req("IP-04")
    @pytest.mark.parametrize(
        ("headers", "content"),
        [
            (altered("X-Trasporto: posta-certificata\r\n", ""), None),
            (altered("X-Trasporto: posta-certificata", "X-Trasporto: altro"), None),
            (altered("X-Trasporto: ", "X-Trasporto: posta-certificata\r\nX-Trasporto: "), None),
            (altered("From: ", "From: altri@gamma.example\r\nFrom: "), None),
            (None, altered("multipart/mixed", "multipart/related")),
            (None, NO_DATA),
            (None, certifying("</postacert>", "")),
            (None, certifying("<identificativo>", "<identificato>")),
            (None, certifying("<postacert ", "<!DOCTYPE postacert><postacert ")),
            (None, altered("Content-Type: message/rfc822", "Content-Type: text/plain")),
        ],
    )
    async def test_each_hard_defect_is_enough(self, beta: Provider, pen: Pen, headers: object, content: object) -> None:
        changes = {name: change for name, change in (("headers", headers), ("content", content)) if change}
        raw = pen.resealed(pen.envelope(), **changes)  # type: ignore[arg-type]
        await beta.arrive(raw)
        assert beta.kinds("bruno") == ["anomaly"]
        assert beta.outbox() == []

    @pytest.mark.req("SIG-04", "IP-05", "EN-10")
    async def test_an_author_who_is_not_in_the_certificate_is_a_defect(self, beta: Provider, pen: Pen) -> None:
        """The From field is not signed: whoever changes it changes nothing that the signature covers."""
        raw = altered("<posta-certificata@alfa.example>", "<anna@alfa.example>")(pen.envelope())
        await beta.arrive(raw)
        assert beta.kinds("bruno") == ["anomaly"]

    @pytest.mark.req("IP-06", "HDR-01")
    @pytest.mark.parametrize(
        "change",
        [
            altered("X-Trasporto: posta-certificata", "X-Ricevuta: avvenuta-consegna"),
            altered("X-Trasporto: posta-certificata", "X-Trasporto: errore"),
            altered("X-Trasporto: posta-certificata", "X-Ricevuta: presa-in-carico"),
        ],
    )
    async def test_a_marker_that_somebody_changed_is_a_defect(self, beta: Provider, pen: Pen, change: object) -> None:
        """The signature holds, for the marker headers stand outside it: the signed type is what counts."""
        await beta.arrive(change(pen.envelope()))  # type: ignore[operator]
        assert beta.kinds("bruno") == ["anomaly"]
        assert not beta.mailbox("posta-certificata")
        assert beta.outbox() == []

    @pytest.mark.req("IP-06")
    async def test_no_receipt_can_be_made_of_an_envelope_nor_change_a_state(self, alfa: Provider) -> None:
        outcome = await alfa.hand_in(original())
        beta = Pen("beta.example")
        data = replace(beta.facts([BRUNO]), sender="anna@alfa.example", pec_msgid=outcome.pec_msgid)
        forged = altered("errore-consegna", "avvenuta-consegna")(beta.non_delivery(data, BRUNO))
        await alfa.arrive(forged, "anna@alfa.example", reverse_path=beta.service_address)
        assert alfa.states(outcome.pec_msgid) == {BRUNO: "accepted"}
        assert alfa.kinds("anna")[-1] == "anomaly"

    async def test_an_original_that_cannot_be_decoded_is_a_defect(self, beta: Provider, pen: Pen) -> None:
        labelled = altered(
            'filename="postacert.eml"\r\nContent-Transfer-Encoding: 7bit',
            'filename="postacert.eml"\r\nContent-Transfer-Encoding: base64',
        )
        raw = pen.resealed(pen.envelope(raw=original(body=b"x")), content=labelled)
        await beta.arrive(raw)
        assert beta.kinds("bruno") == ["anomaly"]
        assert any("the message inside" in (detail or "") for _, detail in beta.events())

    async def test_another_provider_s_anomaly_envelope_is_wrapped(self, beta: Provider, pen: Pen) -> None:
        arrived = Octets.of(original())
        raw = pen.issuer.anomaly(
            at=START,
            sender="x@mail.example",
            recipients=[BRUNO],
            subject="Perizia",
            reason=BAD_SIGNATURE,
            arrived=arrived,
            header=scan_header(arrived),
            reverse_path="x@mail.example",
        ).message.read()
        await beta.arrive(raw, reverse_path="x@mail.example")
        assert beta.kinds("bruno") == ["anomaly"]

    @pytest.mark.req("DP-06")
    async def test_for_nobody_we_know_it_is_left_to_smtp(self, beta: Provider, pen: Pen) -> None:
        raw = pen.resealed(pen.envelope(pen.facts([NOBODY])), headers=altered("X-Trasporto", "X-Trasportato"))
        assert await beta.arrive(raw, NOBODY) == Refused(Refusal.UNKNOWN_RECIPIENT)
        assert beta.is_untouched()

    @pytest.mark.req("DP-06")
    async def test_who_is_not_known_beside_others_is_registered_and_nobody_is_told(
        self, beta: Provider, pen: Pen
    ) -> None:
        raw = pen.resealed(pen.envelope(pen.facts([BRUNO, NOBODY])), headers=altered("X-Trasporto", "X-Trasportato"))
        assert await beta.arrive(raw, BRUNO, NOBODY) == Taken()
        assert beta.kinds("bruno") == ["anomaly"]
        assert beta.outbox() == []
        [failure] = [row for row in beta.register() if row.event == "failure"]
        assert failure.recipients == (NOBODY,)


class TestB7:
    """Ordinary mail, and whatever pretends to be more."""

    @pytest.mark.edge("E12")
    @pytest.mark.req("DP-04", "IP-15", "EN-12", "IP-01", "EN-09")
    async def test_it_is_wrapped_and_answered_by_nothing(self, beta: Provider) -> None:
        raw = original(sender="x@mail.example", extra="Received: from a by b; Mon, 2 Mar 2026 09:00:00 +0100")
        assert await beta.arrive(raw, BRUNO, CARLA, reverse_path="x@mail.example", peer=CLEAR) == Taken()
        for name in ("bruno", "carla"):
            [stored] = beta.mailbox(name)
            assert stored.certified.header("X-Trasporto") == "errore"
            assert "Firma non presente o non autentica" in stored.certified.text
            assert stored.raw.startswith(b"Return-Path: <x@mail.example>\r\n")
            assert (stored.certified.original or b"").endswith(raw)
        assert beta.mailbox("bruno")[0].raw == beta.mailbox("carla")[0].raw
        assert beta.outbox() == []

    @pytest.mark.edge("O2")
    @pytest.mark.req("DP-06")
    async def test_a_bounce_keeps_its_null_path_and_causes_nothing(self, beta: Provider) -> None:
        assert await beta.arrive(original(sender="mailer-daemon@mail.example"), reverse_path="") == Taken()
        assert beta.mailbox("bruno")[0].raw.startswith(b"Return-Path: <>\r\n")
        assert beta.outbox() == []

    @pytest.mark.edge("E14")
    @pytest.mark.req("IP-13")
    @pytest.mark.parametrize("flaw", ["expired", "unlisted", "stranger"])
    async def test_a_seal_that_is_not_to_be_believed_makes_it_ordinary_mail(self, beta: Provider, flaw: str) -> None:
        """And not a faulty envelope: policy may refuse it."""
        forger = Pen("alfa.example", other_signer("alfa.example", flaw))
        data = forger.facts()
        await beta.arrive(forger.envelope(data))
        [stored] = beta.mailbox("bruno")
        assert stored.kind == "anomaly"
        assert "Firma non presente o non autentica" in stored.certified.text
        assert beta.outbox() == []
        [reception] = [row for row in beta.register() if row.event == "reception"]
        assert reception.provider is None
        assert reception.pec_msgid is None
        assert (reception.detail or "").startswith("ordinary mail: ")
        beta.receive_settings = replace(beta.receive_settings, ordinary_mail=Ordinary.REFUSE)
        beta.wire()
        assert await beta.arrive(forger.envelope(data)) == Refused(Refusal.POLICY)

    @pytest.mark.req("IP-02", "IP-13", "DIR-10")
    async def test_a_provider_that_left_the_index_is_nobody(self, beta: Provider, pen: Pen) -> None:
        full = beta.index()
        rest = tuple(record for record in full.records if record.name != "Alfa PEC")
        certificates = {key: found for key, found in full.certificates.items() if found in rest}
        beta.index = lambda: replace(full, records=rest, certificates=certificates)
        await beta.arrive(pen.envelope())
        assert beta.kinds("bruno") == ["anomaly"]
        assert beta.outbox() == []

    @pytest.mark.req("IP-03")
    async def test_changed_content_breaks_the_seal(self, beta: Provider, pen: Pen) -> None:
        raw = pen.envelope()
        position = raw.index(b"In allegato la perizia")
        await beta.arrive(raw[:position] + b"X" + raw[position + 1 :])
        assert "Firma non presente" in beta.mailbox("bruno")[0].certified.text
        assert beta.outbox() == []

    async def test_policy_may_refuse_it(self, beta: Provider, pen: Pen) -> None:
        beta.receive_settings = replace(beta.receive_settings, ordinary_mail=Ordinary.REFUSE)
        beta.wire()
        assert await beta.arrive(original(), reverse_path="x@mail.example") == Refused(Refusal.POLICY)
        assert beta.is_untouched()
        damaged = pen.resealed(pen.envelope(), headers=altered("X-Trasporto", "X-Trasportato"))
        assert await beta.arrive(damaged) == Taken()  # B5 must be propagated, whatever the policy
        assert beta.kinds("bruno") == ["anomaly"]

    async def test_for_nobody_we_know_it_is_refused(self, beta: Provider) -> None:
        answer = await beta.arrive(original(), NOBODY, reverse_path="x@mail.example")
        assert answer == Refused(Refusal.UNKNOWN_RECIPIENT)
        assert beta.is_untouched()

    @pytest.mark.edge("E12")
    async def test_who_is_known_gets_it_and_the_others_are_registered(self, beta: Provider) -> None:
        assert await beta.arrive(original(), BRUNO, NOBODY, reverse_path="x@mail.example") == Taken()
        assert beta.kinds("bruno") == ["anomaly"]
        assert beta.outbox() == []
        [failure] = [row for row in beta.register() if row.event == "failure"]
        assert failure.recipients == (NOBODY,)

    async def test_for_the_service_address_it_is_filed_there(self, beta: Provider) -> None:
        await beta.arrive(original(), SERVICE, reverse_path="x@mail.example")
        assert beta.kinds("posta-certificata") == ["anomaly"]
        assert beta.outbox() == []


@pytest.mark.parametrize(("fields", "answer"), [(49, Taken()), (50, Refused(Refusal.LOOP))])
async def test_a_message_that_went_round_is_refused(beta: Provider, pen: Pen, fields: int, answer: object) -> None:
    """The envelope has one Received field of its own, from submission."""
    hop = b"Received: from a by b; Mon, 2 Mar 2026 09:00:00 +0100\r\n"
    assert await beta.arrive(hop * fields + pen.envelope()) == answer
    assert beta.is_untouched() is (answer != Taken())


@pytest.mark.req("SIG-01", "SIG-02", "SIG-03", "SIG-04", "SIG-09")
async def test_all_that_is_issued_is_sealed_so_that_openssl_believes_it(
    beta: Provider, pen: Pen, tmp_path: Path
) -> None:
    """OpenSSL is given the root alone: leaf and issuing authority have to be inside."""
    ca_file = tmp_path / "root.pem"
    ca_file.write_bytes(authority().root.pem)
    await beta.arrive(pen.envelope(pen.facts([CARLA, NOBODY])), CARLA, NOBODY)
    await beta.arrive(original(), CARLA, reverse_path="x@mail.example")
    raw = original(["anna@alfa.example"], sender=BRUNO)
    await beta.hand_in(raw, "anna@alfa.example", sender="bruno")
    await beta.hand_in(raw, "nascosto@alfa.example", sender="bruno")
    stored = [*beta.mailbox("bruno"), *beta.mailbox("carla")[1:]]
    issued = {post.row.kind: post.raw for post in beta.outbox()} | {each.kind: each.raw for each in stored}
    del issued["sent"]
    assert set(issued) == {
        "take-charge",
        "delivery",
        "non-delivery",
        "envelope",
        "anomaly",
        "acceptance",
        "non-acceptance",
    }
    for message in issued.values():
        assert openssl_verifies(message, ca_file, at=START)
        assert Certified(message).message.get_content_type() == "multipart/signed"
        assert Certified(message).from_address.addr_spec == credential("beta.example").service_address
