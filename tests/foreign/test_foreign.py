"""Certified mail to and from a provider of somebody else's making, in the two layouts in production (D30)."""

import base64
import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.lab.clamd import EICAR, clamd_program
from tests.foreign.conftest import NOWHERE, World
from tests.foreign.layouts import JPEC, OPENPEC, Layout
from tests.foreign.openssl import run, verify
from tests.foreign.provider import Foreign, Opened, Sealed
from tests.lab.labs import letter
from tests.lab.mail import CertifiedMail
from tests.lab.tracing import standing, stories
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

FIRST, COPY, UNKNOWN = "anna@beta.example", "bruno@beta.example", "nessuno@beta.example"
OURS = "anna@alfa.example"


def port_of_beta(world: World) -> int:
    port: int = world.lab.provider("beta.example")["ports"]["smtp"]
    return port


def answers(foreign: Foreign, msgid: str | None, count: int) -> list[Opened]:
    """All that has come back about a message, once there are ``count``."""

    def probe() -> list[Opened] | None:
        found = [mail for mail in foreign.opened() if mail.msgid == msgid]
        return found if len(found) >= count else None

    return until(probe, f"{count} answers")


def sent_to(world: World, foreign: Foreign, name: str, subject: str) -> tuple[str, Opened]:
    """Send a message of ours to one of its holders; its Message-ID, and its envelope as it got there."""
    msgid = world.lab.send(letter(OURS, to=[foreign.holder(name)], subject=subject))
    (envelope,) = answers(foreign, msgid, 1)
    return msgid, envelope


def send(world: World, foreign: Foreign, message: bytes, reverse_path: str, forward_path: str) -> None:
    foreign.send(message, reverse_path, [forward_path], world.lab.provider("alfa.example")["ports"]["smtp"])


def state(world: World, msgid: str, address: str) -> str:
    found: str = standing(world.lab, "alfa.example", msgid)[address]["state"]
    return found


@pytest.fixture
def envelope(world: World, foreign: Foreign) -> Sealed:
    """An envelope of a foreign holder to a recipient, a copy and somebody unknown, handed in to ours."""
    sealed = foreign.envelope(foreign.holder("mario"), to=[FIRST, UNKNOWN], cc=[COPY])
    foreign.send(sealed.message, sealed.facts.sender, [FIRST, UNKNOWN, COPY], port_of_beta(world))
    return sealed


def test_its_messages_look_like_those_of_its_family(foreign: Foreign, layout: Layout, tmp_path: Path) -> None:
    sealed = foreign.envelope(foreign.holder("mario"), to=[FIRST], form="breve", header_form="breve").message
    header, _, body = sealed.partition(b"\r\n\r\n")
    signature = base64.b64decode(sealed.rpartition(b"\r\n\r\n")[2].partition(b"--")[0])
    certificate = run("x509", "-in", foreign.key.certificate, "-noout", "-text")
    if layout is OPENPEC:
        assert b"\r\nX-Tiporicevuta: breve\r\n" in header
        assert b'protocol="application/x-pkcs7-signature"; micalg="sha1"' in header
        assert body.count(b"Content-Transfer-Encoding: binary\r\n") == 2
        assert signature[:2] == b"\x30\x82"  # a definite length
        assert b"Extended Key Usage" not in certificate
    else:
        assert b"\r\nX-Attachment: yes" in header
        assert b'protocol="application/pkcs7-signature"; micalg=sha-256' in header
        assert b"name=postacert.eml\r\n" in body
        assert signature[:2] == b"\x30\x80"  # an indefinite one
    verify(sealed, foreign._ca_file, tmp_path)


@pytest.mark.req("SIG-05", "SIG-06", "SIG-07", "HDR-08", "MID-05", "RC-08")
def test_its_envelope_is_taken_in_charge_and_delivered(world: World, foreign: Foreign, envelope: Sealed) -> None:
    found = answers(foreign, envelope.facts.msgid, 4)
    assert sorted((mail.kind, mail.delivered_to or "") for mail in found) == [
        ("avvenuta-consegna", FIRST),
        ("avvenuta-consegna", COPY),
        ("errore-consegna", UNKNOWN),
        ("presa-in-carico", ""),
    ]
    by_kind = {(mail.kind, mail.delivered_to): mail for mail in found}
    taken = by_kind["presa-in-carico", None]
    assert sorted(filter(None, taken.taken_for)) == sorted([FIRST, COPY, UNKNOWN])
    assert taken.arrival.forward_paths == (foreign.service_address,)
    assert by_kind["avvenuta-consegna", FIRST].original == envelope.facts.original
    assert by_kind["avvenuta-consegna", COPY].original is None
    for mail in found:
        assert mail.data.findtext("dati/identificativo") == envelope.facts.pec_msgid
        assert mail.data.findtext("dati/gestore-emittente") == "Beta PEC"
        if mail is not taken:
            assert mail.arrival.forward_paths == (envelope.facts.sender,)


@pytest.mark.req("DP-02")
def test_its_envelope_is_in_the_mailbox_as_it_was_sent(world: World, envelope: Sealed) -> None:
    for address in (FIRST, COPY):
        mail = world.lab.mailbox(address).wait(
            lambda mail: mail.reference == envelope.facts.msgid, "envelope of the foreign provider"
        )
        assert mail.kind == "T4 envelope"
        assert mail.raw.endswith(envelope.message)
        assert mail.return_path == f"<{envelope.facts.sender}>"


@pytest.mark.req("HDR-08")
@pytest.mark.parametrize(("form", "header_form"), [("breve", "breve"), (None, "breve"), ("breve", None)])
def test_the_form_it_asks_for_is_found_in_data_or_header(
    world: World, foreign: Foreign, form: str | None, header_form: str | None
) -> None:
    sealed = foreign.envelope(foreign.holder("lucia"), to=[FIRST], form=form, header_form=header_form)
    foreign.send(sealed.message, sealed.facts.sender, [FIRST], port_of_beta(world))
    (receipt,) = (mail for mail in answers(foreign, sealed.facts.msgid, 2) if mail.kind == "avvenuta-consegna")
    assert receipt.original is not None
    assert b"fattura.pdf.hash" in receipt.original


@pytest.mark.req("MID-06", "DP-09")
def test_its_receipts_change_what_we_know_and_reach_our_holder(world: World, foreign: Foreign) -> None:
    mario = foreign.holder("mario")
    msgid, envelope = sent_to(world, foreign, "mario", f"A un altro gestore {foreign.name}")
    assert state(world, msgid, mario) == "accepted"
    taken = foreign.take_charge(envelope, [mario])
    send(world, foreign, taken, foreign.service_address, "posta-certificata@alfa.example")
    assert state(world, msgid, mario) == "taken"
    send(world, foreign, foreign.delivery(envelope, mario), foreign.service_address, OURS)
    assert state(world, msgid, mario) == "delivered"
    row = standing(world.lab, "alfa.example", msgid)[mario]
    assert row["accepted_at"] <= row["taken_at"] <= row["ended_at"]
    found = world.lab.mailbox(OURS).about(msgid)
    assert [mail.kind for mail in found] == ["T1 acceptance", "T9 delivery, complete"]
    assert found[1].original is not None
    assert [mail.raw.endswith(taken) for mail in world.lab.service_mailbox("alfa.example").about(msgid)] == [True]


def test_its_take_charge_receipt_is_noted_even_after_the_end(world: World, foreign: Foreign) -> None:
    mario = foreign.holder("mario")
    msgid, envelope = sent_to(world, foreign, "mario", f"Ricevute incrociate {foreign.name}")
    send(world, foreign, foreign.delivery(envelope, mario), foreign.service_address, OURS)
    taken = foreign.take_charge(envelope, [mario])
    send(world, foreign, taken, foreign.service_address, "posta-certificata@alfa.example")
    row = standing(world.lab, "alfa.example", msgid)[mario]
    assert row["state"] == "delivered"
    assert row["taken_at"] >= row["ended_at"]


def test_its_notice_of_non_delivery_ends_the_message(world: World, foreign: Foreign) -> None:
    nobody = foreign.holder("nessuno")
    msgid, envelope = sent_to(world, foreign, "nessuno", f"A nessuno {foreign.name}")
    send(world, foreign, foreign.non_delivery(envelope, nobody), foreign.service_address, OURS)
    row = standing(world.lab, "alfa.example", msgid)[nobody]
    assert (row["state"], row["end_detail"]) == ("failed", f"5.1.1 - {foreign.name} - indirizzo non valido")
    assert [mail.kind for mail in world.lab.mailbox(OURS).about(msgid)] == ["T1 acceptance", "T10 non-delivery"]


@pytest.mark.req("VIR-06", "VIR-08")
def test_its_virus_notice_reaches_our_holder_as_our_own_notice(world: World, foreign: Foreign) -> None:
    mario = foreign.holder("mario")
    msgid, envelope = sent_to(world, foreign, "mario", f"Con virus {foreign.name}")
    notice = foreign.virus_notice(envelope, mario, "Win.Test.Perizia-1")
    send(world, foreign, notice, foreign.service_address, "posta-certificata@alfa.example")
    row = standing(world.lab, "alfa.example", msgid)[mario]
    assert (row["state"], row["end_detail"]) == ("failed", "Win.Test.Perizia-1")
    accepted, told = world.lab.mailbox(OURS).about(msgid)
    assert (accepted.kind, told.kind) == ("T1 acceptance", "T8 non-delivery, virus")
    assert "Win.Test.Perizia-1" in told.text
    (filed,) = (mail for mail in world.lab.service_mailbox("alfa.example").mails() if mail.reference == msgid)
    assert filed.kind == "T7 virus"


@pytest.mark.req("VIR-04", "VIR-07", "HDR-07", "HDR-11")
def test_it_hears_from_us_of_a_virus_for_each_recipient(world: World, foreign: Foreign) -> None:
    if clamd_program() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("clamd is not installed")
        pytest.skip("clamd is not installed (apt: clamav-daemon)")
    sealed = foreign.envelope(foreign.holder("mario"), to=[FIRST, UNKNOWN], cc=[COPY], attachment=EICAR)
    foreign.send(sealed.message, sealed.facts.sender, [FIRST, UNKNOWN, COPY], port_of_beta(world))
    found = answers(foreign, sealed.facts.msgid, 4)
    assert sorted(mail.kind for mail in found) == ["presa-in-carico", *["rilevazione-virus"] * 3]
    notices = [mail for mail in found if mail.kind == "rilevazione-virus"]
    assert {mail.delivered_to for mail in notices} == {FIRST, UNKNOWN, COPY}
    for notice in notices:
        assert notice.arrival.forward_paths == (foreign.service_address,)
        assert notice.outer["X-Mittente"] == sealed.facts.sender
        assert notice.outer["X-VerificaSicurezza"] is None
        assert notice.data.get("errore") == "virus"
        assert "Eicar-Test-Signature" in (notice.data.findtext("dati/errore-esteso") or "")
        assert notice.original is None
    assert not [mail for mail in world.lab.mailbox(FIRST).mails() if mail.reference == sealed.facts.msgid]


@pytest.mark.req("IP-08")
def test_nobody_reports_on_the_holders_of_another_provider(world: World, foreign: Foreign, layout: Layout) -> None:
    other = world.foreign(JPEC if layout is OPENPEC else OPENPEC)
    mario = foreign.holder("mario")
    msgid, envelope = sent_to(world, foreign, "mario", f"Non tuo {foreign.name}")
    send(world, other, other.delivery(envelope, mario), other.service_address, OURS)
    assert state(world, msgid, mario) == "accepted"
    assert len(world.lab.mailbox(OURS).about(msgid)) == 2  # it is his to read


@pytest.mark.req("IP-11", "SEC-03", "AP-22")
def test_it_takes_what_we_seal(world: World, foreign: Foreign) -> None:
    mario, lucia = foreign.holder("mario"), foreign.holder("lucia")
    message = letter(OURS, to=[mario, FIRST], cc=[lucia], subject="Tutto bene: sì")
    msgid = world.lab.send(message)
    envelopes = answers(foreign, msgid, 1)  # opening it checked signature, chain, certificate and addresses
    (ours,) = (mail for mail in world.lab.mailbox(FIRST).mails() if mail.reference == msgid)
    assert sorted(path for mail in envelopes for path in mail.arrival.forward_paths) == sorted([mario, lucia])
    for envelope in envelopes:
        assert envelope.arrival.secured
        assert envelope.arrival.reverse_path == OURS
        assert envelope.data.findtext("dati/identificativo") == ours.pec_msgid
        assert signed_part(envelope.arrival.message) == signed_part(ours.raw)
        kinds = [element.get("tipo") for element in envelope.data.iterfind("intestazione/destinatari")]
        assert kinds == ["certificato"] * 3
        assert envelope.original is not None
        assert envelope.original.endswith(b"X-Riferimento-Message-ID: " + msgid.encode() + b"\r\n\r\nciao\r\n")


@pytest.mark.edge("O9")
@pytest.mark.req("IP-11", "SEC-03")
def test_nothing_goes_to_a_provider_that_offers_no_tls(world: World, foreign: Foreign) -> None:
    foreign.server.offers_tls = False
    foreign.server.hang_up()
    try:
        msgid = world.lab.send(letter(OURS, to=[foreign.holder("mario")], subject="Mai in chiaro"))

        def put_off() -> bool:
            (story,) = stories(world.lab, "alfa.example", msgid)
            return any(row["attempts"] for row in story["waiting"])

        until(put_off, "attempt that was put off")
        assert [mail for mail in foreign.opened() if mail.msgid == msgid] == []
        assert state(world, msgid, foreign.holder("mario")) == "accepted"
    finally:
        foreign.server.offers_tls = True


def test_a_certified_domain_to_which_no_way_leads_fails_at_once(world: World) -> None:
    address = f"anna@{NOWHERE}"
    msgid = world.lab.send(letter(OURS, to=[address], subject="Senza strada"))

    def ended(mail: CertifiedMail) -> bool:
        return mail.reference == msgid and mail.kind == "T10 non-delivery"

    notice = world.lab.mailbox(OURS).wait(ended, "notice of non-delivery")
    assert notice.data is not None
    assert (notice.data.get("errore"), notice.delivered_to) == ("no-dominio", address)
    assert (notice.value("dati/errore-esteso") or "").startswith("5.1.2 - Alfa PEC - ")
    assert state(world, msgid, address) == "failed"


def test_verify_finds_its_messages_valid(world: World, foreign: Foreign, tmp_path: Path) -> None:
    file = tmp_path / "envelope.eml"
    file.write_bytes(foreign.envelope(foreign.holder("mario"), to=[FIRST]).message)
    lab = world.lab.description
    options = ["--ca", lab["ca_file"], "--index", lab["index"]["file"]]
    done = CliRunner().invoke(app, ["verify", *options, str(file)])
    assert done.exit_code == 0, done.output


def signed_part(message: bytes) -> bytes:
    """What lies between the first and the second boundary of a multipart/signed."""
    found = re.search(rb'boundary="?([^"\r\n;]+)', message)
    assert found is not None
    return message.split(b"--" + found.group(1))[1]
