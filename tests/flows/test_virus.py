"""A virus: not accepted, not delivered, kept apart, and told to whom it concerns (spec: section 7; B2, B6, B8)."""

from dataclasses import replace

import pytest
from sqlalchemy import delete

from gateway.drivers.antivirus import Clamd, ScannerUnavailable
from gateway.flows.outcomes import Accepted, NotAccepted, Refusal, Refused, Taken
from gateway.flows.screening import Screen
from gateway.lab.clamd import ClamdProcess
from gateway.points.screening import Look, NotScreened, ScanPolicy, Verdict
from gateway.storage import received
from gateway.storage.tables import outbox
from receipts.wire import ErrorKind, MessageKind
from tests.flows.credentials import START
from tests.flows.house import Network, Provider, original
from tests.flows.pens import Pen, altered, certifying
from tests.flows.scanners import NAME, Bells, PlainSight, screened
from tests.scanner import EICAR, FOUND, attached, encrypted_zip, written, zipped

INFECTED = original(body=b"Ecco:\r\n" + EICAR + b"\r\n")
ALFA, BETA = "posta-certificata@alfa.example", "posta-certificata@beta.example"
THREE = ("bruno@beta.example", "carla@beta.example", "nessuno@beta.example")
HIDDEN = {
    "attached": attached(("tabella.com", EICAR)),
    "in an archive": attached(("a.zip", zipped("tabella.com", EICAR))),
    "in an archive in an archive": attached(("a.zip", zipped("b.zip", zipped("tabella.com", EICAR)))),
    "in an attached message": attached(inside=written(("tabella.com", EICAR))),
    "in an archive in an attached message": attached(inside=written(("a.zip", zipped("b.com", EICAR)))),
    "two messages deep": attached(inside=written(inside=written(("b.com", EICAR)))),
    "beside something encrypted": attached(("s.zip", encrypted_zip()), ("tabella.com", EICAR)),
}


def real(provider: Provider, clamd: ClamdProcess, policy: ScanPolicy | None = None) -> None:
    """Give a provider the real scanner."""
    scanner = Clamd(clamd.socket, timeout_seconds=60)
    provider.screening = Screen(scanner, policy or ScanPolicy(), alarms=Bells(), clock=provider.clock)
    provider.wire()


def scans(provider: Provider) -> list[str | None]:
    return [detail for event, detail in provider.events() if event == "scan"]


def ends(provider: Provider, pec_msgid: str) -> dict[str, str]:
    found = provider.storage.read_now(lambda connection: received.ends_of(connection, pec_msgid))
    return {one.address_key: one.end.value for one in found}


def everything_left(provider: Provider) -> None:
    """The relay has delivered all that waits."""
    provider.leaving.clear()
    provider.storage.write_now(lambda connection: connection.execute(delete(outbox)).rowcount)


def alarms(provider: Provider) -> list[str | None]:
    return [detail for event, detail in provider.events() if event == "alarm"]


class TestAccessPoint:
    @pytest.mark.edge("E16")
    @pytest.mark.req("VIR-01", "VIR-02", "VIR-08")
    @pytest.mark.parametrize("hidden", HIDDEN)
    async def test_an_infected_submission_goes_nowhere_and_gives_a_notice(
        self, alfa: Provider, clamd: ClamdProcess, hidden: str
    ) -> None:
        real(alfa, clamd)
        outcome = await alfa.hand_in(HIDDEN[hidden])
        assert isinstance(outcome, NotAccepted)
        assert alfa.outbox() == []
        [notice] = alfa.mailbox("anna")
        assert notice.kind == MessageKind.NON_ACCEPTANCE_VIRUS
        assert notice.certified.header("X-VerificaSicurezza") == "errore"
        assert notice.certified.header("Subject") == "AVVISO DI NON ACCETTAZIONE PER VIRUS: Perizia"
        assert (notice.certified.type, notice.certified.error) == ("non-accettazione", "virus")
        assert notice.certified.said("identificativo") == outcome.pec_msgid
        assert notice.certified.said("errore-esteso") == FOUND
        assert notice.certified.text.count(FOUND) == 2
        assert notice.certified.original is None
        assert EICAR not in notice.raw
        [(kept, raw)] = alfa.quarantined()
        assert raw == HIDDEN[hidden]
        assert (kept.kind, kept.virus, kept.pec_msgid) == ("submission", FOUND, outcome.pec_msgid)
        assert (kept.sender, kept.recipients) == ("anna@alfa.example", ("bruno@beta.example",))
        assert alfa.sent(outcome.pec_msgid).recipients == ()
        assert [event for event, _ in alfa.events()] == ["refusal", "emission", "scan"]

    async def test_a_clean_one_goes_its_way(self, alfa: Provider, clamd: ClamdProcess) -> None:
        real(alfa, clamd)
        assert isinstance(await alfa.hand_in(attached(("a.zip", zipped("a.txt", b"ciao")))), Accepted)
        assert [post.row.kind for post in alfa.outbox()] == ["envelope"]
        assert alfa.quarantined() == []
        assert scans(alfa) == []

    @pytest.mark.req("VIR-02")
    async def test_it_is_kept_as_it_came_though_it_would_have_been_encoded(self, alfa: Provider) -> None:
        screened(alfa)
        eight_bit = original(
            extra="Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit",
            body="è qui\r\n".encode() + EICAR + b"\r\n",
        )
        await alfa.hand_in(eight_bit)
        [(_, raw)] = alfa.quarantined()
        assert raw == eight_bit

    async def test_what_is_encrypted_passes_and_stands_in_the_register(
        self, alfa: Provider, clamd: ClamdProcess
    ) -> None:
        real(alfa, clamd)
        assert isinstance(await alfa.hand_in(attached(("s.zip", encrypted_zip()))), Accepted)
        name = "Heuristics.Encrypted.Zip"
        assert scans(alfa) == [f"passed by policy: {name}: encrypted content that the scanner cannot examine"]

    async def test_or_is_refused_where_that_is_the_policy(self, alfa: Provider, clamd: ClamdProcess) -> None:
        real(alfa, clamd, ScanPolicy(encrypted="refuse"))
        assert isinstance(await alfa.hand_in(attached(("s.zip", encrypted_zip()))), NotAccepted)
        [notice] = alfa.mailbox("anna")
        words = "Heuristics.Encrypted.Zip: contenuto cifrato, che l'antivirus non può esaminare"
        assert words in notice.certified.text.replace("=\n", "")
        assert notice.certified.said("errore-esteso") == words

    @pytest.mark.req("VIR-01")
    async def test_formal_faults_come_first_and_need_no_scan(self, alfa: Provider) -> None:
        scanner = screened(alfa)
        await alfa.hand_in(original(extra="Bcc: dora@alfa.example", body=EICAR + b"\r\n"))
        assert alfa.kinds("anna") == [MessageKind.NON_ACCEPTANCE]
        assert scanner.scanned == []
        assert alfa.quarantined() == []

    @pytest.mark.parametrize("choice", ["defer", "pass", "refuse"])
    async def test_what_the_scanner_cannot_look_through_is_a_matter_of_policy(
        self, alfa: Provider, choice: str
    ) -> None:
        screened(
            alfa,
            PlainSight(says=Verdict(Look.INCOMPLETE, "INSTREAM size limit exceeded")),
            ScanPolicy(unscannable=choice),  # type: ignore[arg-type]
        )
        if choice == "defer":
            with pytest.raises(NotScreened):
                await alfa.hand_in(original())
            assert alfa.is_untouched()
            assert isinstance(alfa.screening, Screen)
            return
        accepted = isinstance(await alfa.hand_in(original()), Accepted)
        assert accepted is (choice == "pass")
        assert len(scans(alfa)) == 1
        assert bool(alfa.quarantined()) is (choice == "refuse")

    async def test_handed_in_twice_it_is_one_message(self, alfa: Provider) -> None:
        screened(alfa)
        first, second = await alfa.hand_in(INFECTED), await alfa.hand_in(INFECTED)
        assert first == second
        assert len(alfa.quarantined()) == len(alfa.mailbox("anna")) == 1


class TestIncomingPoint:
    @pytest.mark.edge("A12")
    @pytest.mark.req("VIR-04", "VIR-07", "RC-07")
    async def test_an_infected_envelope_is_taken_in_charge_and_reported_for_each_recipient(
        self, beta: Provider, pen: Pen
    ) -> None:
        scanner = screened(beta)
        data = pen.facts([*THREE, "dora@mail.example"])
        raw = pen.envelope(data, original([*THREE, "dora@mail.example"], body=EICAR + b"\r\n"))
        assert await beta.arrive(raw, *THREE) == Taken()
        assert len(scanner.scanned) == 1
        assert not any(map(beta.mailbox, beta.people))
        posts = beta.outbox()
        assert [post.row.kind for post in posts] == ["take-charge", "virus", "virus", "virus"]
        assert {post.row.forward_path for post in posts} == {ALFA}
        assert [post.certified.said("consegna") for post in posts[1:]] == list(THREE)
        assert ends(beta, data.pec_msgid) == dict.fromkeys(THREE, "isolated")
        [(kept, stored)] = beta.quarantined()
        assert stored == raw
        assert (kept.kind, kept.virus, kept.pec_msgid, kept.recipients) == ("envelope", NAME, data.pec_msgid, THREE)
        assert kept.provider == "Alfa PEC"
        assert scans(beta) == [f"{NAME}; kept in the virus store"]

    @pytest.mark.edge("A14")
    @pytest.mark.req("HDR-07", "HDR-11", "VIR-08", "VIR-10")
    async def test_a_virus_notice_says_all_that_the_other_provider_needs(self, beta: Provider, pen: Pen) -> None:
        screened(beta)
        data = pen.facts()
        await beta.arrive(pen.envelope(data, INFECTED))
        notice = beta.outbox()[1].certified
        assert notice.header("X-Ricevuta") == "rilevazione-virus"
        assert notice.header("X-Mittente") == "anna@alfa.example"
        assert notice.header("To") == ALFA
        assert notice.header("Subject") == "PROBLEMA DI SICUREZZA: Perizia"
        assert notice.header("X-Riferimento-Message-ID") == "<17@client.example>"
        assert (notice.type, notice.error) == ("rilevazione-virus", "virus")
        assert notice.said("identificativo") == data.pec_msgid
        assert notice.said("errore-esteso") == NAME
        assert NAME in notice.text
        assert notice.original is None
        assert beta.outbox()[1].row.reverse_path == BETA

    @pytest.mark.req("VIR-04")
    async def test_the_real_scanner_finds_it_inside_an_envelope(
        self, beta: Provider, pen: Pen, clamd: ClamdProcess
    ) -> None:
        real(beta, clamd)
        hidden = HIDDEN["in an archive in an attached message"]
        assert await beta.arrive(pen.envelope(pen.facts(), hidden)) == Taken()
        assert [post.row.kind for post in beta.outbox()] == ["take-charge", "virus"]
        assert beta.quarantined()[0][0].virus == FOUND

    async def test_the_same_envelope_again_is_neither_scanned_nor_answered_but_its_receipts_may_leave_again(
        self, beta: Provider, pen: Pen
    ) -> None:
        scanner = screened(beta)
        raw = pen.envelope(pen.facts(), INFECTED)
        await beta.arrive(raw)
        everything_left(beta)
        beta.clock.pass_(minutes=11)
        await beta.arrive(raw)
        assert len(scanner.scanned) == 1
        assert len(beta.quarantined()) == 1
        assert [(post.row.kind, post.row.forward_path) for post in beta.outbox()] == [
            ("virus", ALFA),
            ("take-charge", ALFA),
        ]

    @pytest.mark.req("VIR-10")
    async def test_a_recipient_for_whom_the_envelope_is_not_right_gets_nothing_and_the_provider_is_told_once(
        self, beta: Provider, pen: Pen
    ) -> None:
        screened(beta)
        raw = pen.envelope(pen.facts(), INFECTED)
        for _ in range(2):
            assert await beta.arrive(raw, "carla@beta.example") == Taken()
        assert beta.mailbox("carla") == []
        assert [(post.row.kind, post.certified.said("consegna")) for post in beta.outbox()] == [
            ("virus", "carla@beta.example")
        ]
        assert len(beta.quarantined()) == 1
        assert alarms(beta) == [f"infected envelope: {NAME}"]

    async def test_one_message_may_be_right_for_one_and_wrong_for_another(self, beta: Provider, pen: Pen) -> None:
        screened(beta)
        await beta.arrive(pen.envelope(pen.facts(), INFECTED), "bruno@beta.example", "carla@beta.example")
        assert [post.row.kind for post in beta.outbox()] == ["take-charge", "virus", "virus"]
        [(kept, _)] = beta.quarantined()
        assert kept.recipients == ("bruno@beta.example", "carla@beta.example")

    @pytest.mark.parametrize("form", ["envelope with a fault", "anomaly envelope", "no identifier"])
    async def test_what_does_not_conform_is_reported_too_if_its_origin_is_proven(
        self, beta: Provider, pen: Pen, form: str
    ) -> None:
        """B6: "anything else", also what nobody can read."""
        screened(beta)
        raw = pen.envelope(pen.facts(), INFECTED)
        if form == "envelope with a fault":
            raw = pen.resealed(raw, headers=altered("X-Trasporto: posta-certificata", "X-Trasporto: altro"))
        else:
            raw = pen.resealed(raw, content=altered("application/xml", "application/octet-stream"))
            raw = pen.resealed(raw, content=altered('name="daticert.xml"', 'name="altro.bin"'))
            raw = pen.resealed(raw, content=altered('name="daticert.xml"', 'name="altro.bin"'))
        if form == "no identifier":
            raw = raw.replace(b"\r\nMessage-ID:", b"\r\nX-Message-ID:", 1)
        assert await beta.arrive(raw) == Taken()
        assert beta.mailbox("bruno") == []
        told = ["virus"] if form != "no identifier" else []
        assert [post.row.kind for post in beta.outbox()] == told
        assert [raw_kept for _, raw_kept in beta.quarantined()] == [raw]
        assert len(alarms(beta)) == 1

    async def test_a_sender_that_no_header_can_hold_stops_no_report(self, beta: Provider, pen: Pen) -> None:
        screened(beta)
        raw = pen.resealed(
            pen.envelope(pen.facts(), INFECTED),
            content=certifying("<mittente>anna@alfa.example", "<mittente>an\u00e0 \nCc: x"),
        )
        assert await beta.arrive(raw) == Taken()
        [post] = beta.outbox()
        assert post.certified.header("X-Mittente") == ALFA

    @pytest.mark.edge("E16")
    @pytest.mark.req("VIR-03", "VIR-10")
    async def test_infected_ordinary_mail_is_refused_and_nobody_is_told(self, beta: Provider, pen: Pen) -> None:
        screened(beta)
        assert await beta.arrive(INFECTED) == Refused(Refusal.INFECTED)
        assert not any(map(beta.mailbox, beta.people))
        assert beta.outbox() == []
        assert beta.quarantined() == []
        [row] = beta.register()
        assert (row.event, row.detail) == ("scan", f"{NAME}; refused")
        assert (row.sender, row.recipients) == ("anna@alfa.example", ("bruno@beta.example",))

    @pytest.mark.req("VIR-10")
    async def test_an_envelope_with_a_broken_signature_is_ordinary_mail(self, beta: Provider, pen: Pen) -> None:
        screened(beta)
        raw = pen.envelope(pen.facts(), INFECTED).replace(b"Ecco:", b"ecco:")
        assert await beta.arrive(raw) == Refused(Refusal.INFECTED)
        assert beta.outbox() == []

    async def test_what_is_refused_anyway_is_not_scanned(self, beta: Provider) -> None:
        scanner = screened(beta)
        assert await beta.arrive(INFECTED, "nessuno@beta.example") == Refused(Refusal.UNKNOWN_RECIPIENT)
        assert scanner.scanned == []

    @pytest.mark.req("VIR-03")
    async def test_clean_ordinary_mail_goes_its_way_and_what_is_encrypted_is_registered(self, beta: Provider) -> None:
        scanner = screened(beta)
        assert await beta.arrive(original()) == Taken()
        assert beta.kinds("bruno") == ["anomaly"]
        assert scans(beta) == []
        scanner.says = Verdict(Look.ENCRYPTED, "Heuristics.Encrypted.Zip")
        assert await beta.arrive(original(msgid="<18@client.example>")) == Taken()
        assert beta.kinds("bruno") == ["anomaly", "anomaly"]
        assert len(scans(beta)) == 1

    async def test_the_service_mailbox_answers_nothing(self, beta: Provider, pen: Pen) -> None:
        screened(beta)
        data = pen.facts([BETA])
        await beta.arrive(pen.envelope(data, original([BETA], body=EICAR + b"\r\n")), BETA)
        assert beta.outbox() == []
        assert beta.mailbox("posta-certificata") == []
        assert len(beta.quarantined()) == 1


class TestInfectedReceipts:
    @pytest.mark.edge("O15")
    async def test_the_user_does_not_get_it_but_its_outcome_counts(self, network: Network) -> None:
        """13.3: reported to the provider that sent it, with an alarm; the state changes all the same."""
        alfa, beta = network.providers
        scanner = screened(alfa)
        outcome = await alfa.hand_in(original())
        assert isinstance(outcome, Accepted)
        await network.step()
        [receipt] = [leased for leased in beta.leaving if leased.row.kind == "delivery"]
        scanner.says = Verdict(Look.INFECTED, NAME)
        raw = receipt.message.read()
        for _ in range(2):
            assert await alfa.arrive(raw, "anna@alfa.example", reverse_path=BETA) == Taken()
        assert alfa.kinds("anna") == ["acceptance", "sent"]
        assert alfa.states(outcome.pec_msgid) == {"bruno@beta.example": "delivered"}
        [notice] = [post for post in alfa.outbox() if post.row.kind == "virus"]
        assert notice.row.forward_path == BETA
        assert notice.certified.said("consegna") == "anna@alfa.example"
        assert alarms(alfa) == [f"infected delivery: {NAME}"]
        [(kept, stored)] = alfa.quarantined()
        assert (kept.kind, stored) == ("delivery", raw)

    async def test_no_notice_answers_a_notice(self, alfa: Provider) -> None:
        scanner = screened(alfa)
        other = Pen("beta.example")
        scanner.says = Verdict(Look.INFECTED, NAME)
        data = other.facts(sender="anna@alfa.example")
        notice = other.virus_notice(data, "bruno@beta.example", to=ALFA)
        assert await alfa.arrive(notice, ALFA, reverse_path=BETA) == Taken()
        assert alfa.outbox() == []
        assert alfa.mailbox("posta-certificata") == []
        assert len(alfa.quarantined()) == 1


class TestSendersProvider:
    @pytest.mark.edge("E17")
    @pytest.mark.req("VIR-06", "VIR-07", "VIR-08", "TIM-14", "RC-07")
    async def test_three_recipients_three_notices_to_the_provider_and_three_to_the_user(self, network: Network) -> None:
        alfa, beta = network.providers
        scanner = screened(beta)
        to = ["bruno@beta.example", "carla@beta.example", "nessuno@beta.example"]
        outcome = await alfa.hand_in(original(to, body=EICAR + b"\r\n"), *to)
        assert isinstance(outcome, Accepted)
        network.relays = {provider.domain: network.relay(provider) for provider in network.providers}
        await network.carry()
        assert len(scanner.scanned) == 1
        notices = [stored for stored in alfa.mailbox("anna") if stored.kind == MessageKind.NON_DELIVERY_VIRUS]
        assert [notice.certified.said("consegna") for notice in notices] == to
        assert alfa.kinds("anna") == ["acceptance", "sent", *["non-delivery-virus"] * 3]
        assert sorted(alfa.kinds("posta-certificata")) == ["take-charge", "virus", "virus", "virus"]
        assert alfa.states(outcome.pec_msgid) == dict.fromkeys(to, "failed")
        first = notices[0].certified
        assert first.header("X-Ricevuta") == "errore-consegna"
        assert first.header("X-VerificaSicurezza") == "errore"
        assert first.header("X-Mittente") is None
        assert first.header("Subject") == "AVVISO DI MANCATA CONSEGNA PER VIRUS: Perizia"
        assert first.header("To") == "anna@alfa.example"
        assert (first.type, first.error) == ("errore-consegna", "virus")
        assert first.said("identificativo") == outcome.pec_msgid
        assert first.said("gestore-emittente") == "Alfa PEC"
        assert first.said("errore-esteso") == NAME
        assert list(first.recipients) == to
        assert first.text.count(NAME) == 2
        assert all(recipient.ended_at is not None for recipient in alfa.sent(outcome.pec_msgid).recipients)
        assert alarms(alfa) == [f"Beta PEC found in a message of ours what we let pass: {NAME}"] * 3
        assert not any(beta.mailbox(name) for name in ("bruno", "carla"))

    @pytest.mark.req("VIR-06")
    async def test_ours_to_ours_takes_the_same_path(self, network: Network) -> None:
        alfa = network.providers[0]
        scanner = screened(alfa, PlainSight(says=Verdict(Look.CLEAN)))
        network.relays = {provider.domain: network.relay(provider) for provider in network.providers}
        outcome = await alfa.hand_in(original(["bruno@alfa.example"], body=EICAR + b"\r\n"), "bruno@alfa.example")
        assert isinstance(outcome, Accepted)
        scanner.says = None
        await network.carry()
        assert alfa.mailbox("bruno") == []
        assert alfa.kinds("anna") == ["acceptance", "sent", "non-delivery-virus"]
        assert sorted(alfa.kinds("posta-certificata")) == ["take-charge", "virus"]
        assert alfa.states(outcome.pec_msgid) == {"bruno@alfa.example": "failed"}

    @pytest.mark.req("IP-08", "VIR-06")
    @pytest.mark.parametrize("wrong", ["provider", "message", "recipient"])
    async def test_a_notice_from_who_may_not_give_it_changes_nothing(self, alfa: Provider, wrong: str) -> None:
        """D2: filed in the service mailbox, with an alarm; no notice to the user."""
        outcome = await alfa.hand_in(original())
        assert isinstance(outcome, Accepted)
        other = Pen("gamma.example" if wrong == "provider" else "beta.example")
        data = other.facts(
            sender="anna@alfa.example", pec_msgid="other@alfa.example" if wrong == "message" else outcome.pec_msgid
        )
        about = "carla@beta.example" if wrong == "recipient" else "bruno@beta.example"
        notice = other.virus_notice(data, about, to=ALFA)
        assert await alfa.arrive(notice, ALFA, reverse_path=other.service_address) == Taken()
        assert alfa.kinds("posta-certificata") == ["virus"]
        assert alfa.kinds("anna") == ["acceptance", "sent"]
        assert alfa.states(outcome.pec_msgid) == {"bruno@beta.example": "accepted"}
        assert len(alarms(alfa)) == 1

    async def test_a_second_notice_about_the_same_recipient_tells_nobody_twice(self, alfa: Provider) -> None:
        outcome = await alfa.hand_in(original())
        other = Pen("beta.example")
        data = other.facts(sender="anna@alfa.example", pec_msgid=outcome.pec_msgid)
        for found in (NAME, "Altro"):
            notice = other.virus_notice(data, "BRUNO@beta.example", to=ALFA, found=found)
            assert await alfa.arrive(notice, ALFA, reverse_path=BETA) == Taken()
        assert alfa.kinds("posta-certificata") == ["virus", "virus"]
        assert alfa.kinds("anna") == ["acceptance", "sent", "non-delivery-virus"]
        assert alfa.mailbox("anna")[2].certified.said("consegna") == "bruno@beta.example"

    async def test_a_notice_without_words_and_one_with_far_too_many(self, alfa: Provider) -> None:
        other = Pen("beta.example")
        for number, found in enumerate(["x" * 4_000, ""]):
            outcome = await alfa.hand_in(original(msgid=f"<{number}@client.example>"))
            data = replace(other.facts(sender="anna@alfa.example", pec_msgid=outcome.pec_msgid), error=ErrorKind.VIRUS)
            raw = other.virus_notice(data, "bruno@beta.example", to=ALFA, found=found or "WEG", at=START)
            if not found:
                raw = other.resealed(raw, content=certifying("<errore-esteso>WEG</errore-esteso>", ""))
            assert await alfa.arrive(raw, ALFA, reverse_path=BETA) == Taken()
        notices = [stored for stored in alfa.mailbox("anna") if stored.kind == "non-delivery-virus"]
        assert [notice.certified.said("errore-esteso") for notice in notices] == ["x" * 300, "virus"]


class TestWithoutVerdict:
    async def test_nothing_is_certified_while_the_scanner_is_away(self, network: Network) -> None:
        alfa, beta = network.providers
        ours, theirs = screened(alfa), screened(beta)
        ours.away = theirs.away = True
        with pytest.raises(ScannerUnavailable):
            await alfa.hand_in(original())
        with pytest.raises(ScannerUnavailable):
            await beta.arrive(Pen("alfa.example").envelope())
        assert alfa.is_untouched()
        assert beta.is_untouched()
        assert not alfa.quarantined()
        ours.away = theirs.away = False
        assert isinstance(await alfa.hand_in(original()), Accepted)
