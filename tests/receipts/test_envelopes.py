"""The two envelopes: what is copied, what is replaced, what never gets out of the original."""

from datetime import datetime, timedelta, timezone
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receipts.envelopes import anomaly_envelope
from receipts.octets import Octets
from receipts.original import read_original
from receipts.scanner import scan
from receipts.writer import Boundaries
from tests.receipts.golden import GOLDEN, Golden, Words, cases, written

AT = datetime(2025, 2, 3, 9, 41, 7, tzinfo=timezone(timedelta(hours=1)))


def envelope(case: str) -> Golden:
    return Golden.of(GOLDEN / "envelope" / case)


def anomaly(case: str) -> Golden:
    return Golden.of(GOLDEN / "anomaly" / case)


@pytest.mark.req("EN-01")
def test_the_fields_of_the_way_are_copied_with_every_fold() -> None:
    header = envelope("folding-oddities").header
    copied = (
        b'to:\r\n\t"Bruno,\t Verdi" (nostro\r\n perito) <bruno@beta.example> ,\r\n'
        b"  =?utf-8?q?Citt=C3=A0?=\r\n <citta@beta.example>\r\nCC:Gruppo:carlo@beta.example;\r\n"
    )
    assert copied in header


@pytest.mark.edge("A18")
@pytest.mark.req("EN-01")
def test_trace_fields_and_return_path_are_copied_below_ours() -> None:
    golden = envelope("marker-headers-of-the-client")
    ours, theirs = golden.values("Received")
    assert ours.startswith("from [198.51.100.7]")
    assert theirs.startswith("from casa")
    assert golden.values("Return-Path") == ["<anna@alfa.example>"]
    assert golden.header.startswith(b"Received: ")


@pytest.mark.edge("E20")
@pytest.mark.req("EN-02")
def test_reply_to_is_copied() -> None:
    assert (
        b"\r\nReply-To: Studio Bianchi\r\n <studio@alfa.example>,\r\n carlo@gamma.example\r\n"
        in envelope("reply-to").header
    )


@pytest.mark.req("EN-02")
@pytest.mark.parametrize("case", ["plain", "empty-reply-to"])
def test_reply_to_is_the_author_where_there_is_none(case: str) -> None:
    assert envelope(case).values("Reply-To") == ["anna@alfa.example"]


@pytest.mark.req("EN-03", "MID-03")
@pytest.mark.parametrize("case", cases("envelope"), ids=lambda case: str(case.name))
def test_envelope_and_original_bear_the_certified_identifier(case: Path) -> None:
    golden = Golden.of(case)
    field = f"Message-ID: <{golden.facts['pec_msgid']}>\r\n".encode()
    inner, _, _ = golden.enclosed().partition(b"\r\n\r\n")
    assert golden.header.count(field) == 1
    assert (inner + b"\r\n").count(field) == 1
    assert b"\r\nMessage-ID: <17@" not in inner


@pytest.mark.edge("A2", "A17")
@pytest.mark.req("EN-05", "EN-06", "EN-10", "EN-15")
def test_the_author_is_the_provider_for_the_sender() -> None:
    golden = envelope("plain")
    assert b'\r\nFrom: "Per conto di: anna@alfa.example" <posta-certificata@alfa.example>\r\n' in golden.header
    assert golden.values("Sender") == []
    assert len(golden.tree["From"].addresses) == 1
    assert envelope("marker-headers-of-the-client").values("Sender") == []
    assert b"Anna Bianchi" not in golden.header
    assert b'From: "Anna Bianchi" <anna@alfa.example>' in golden.enclosed()


@pytest.mark.req("EN-08", "HDR-05")
@pytest.mark.parametrize(
    ("case", "form"),
    [("plain", "completa"), ("folding-oddities", "sintetica"), ("signed-original", "breve")],
)
def test_the_form_asked_for_always_stands_on_the_envelope(case: str, form: str) -> None:
    golden = envelope(case)
    assert f"\r\nX-TipoRicevuta: {form}\r\n".encode() in golden.header
    receipt = golden.certification().find("dati/ricevuta")
    assert receipt is not None
    assert receipt.get("tipo") == form


@pytest.mark.req("EN-11")
@pytest.mark.parametrize(
    "case", [case for case in cases("envelope") if case.name != "eight-bit-original"], ids=lambda case: str(case.name)
)
def test_the_original_travels_whole(case: Path) -> None:
    golden = Golden.of(case)
    received = golden.facts["received"].replace("\n", "\r\n").encode()
    pec_msgid = f"Message-ID: <{golden.facts['pec_msgid']}>".encode()
    reference = b"X-Riferimento-Message-ID: <17@client.example>\r\n"
    header, blank, body = golden.original.partition(b"\r\n\r\n")
    if case.name == "no-message-id":
        expected = header + b"\r\n" + pec_msgid + blank + body
    else:
        for written_so in (b"Message-ID: <17@client.example>", b"Message-Id:\r\n\t<17@client.example>"):
            header = header.replace(written_so, pec_msgid)
        expected = header + b"\r\n" + reference + b"\r\n" + body
    assert golden.enclosed() == received + expected


@pytest.mark.req("SEC-08")
def test_the_clients_own_marker_fields_stay_inside() -> None:
    golden = envelope("marker-headers-of-the-client")
    assert golden.values("X-Ricevuta") == []
    assert golden.values("X-Trasporto") == ["posta-certificata"]
    assert golden.values("X-TipoRicevuta") == ["completa"]
    assert golden.values("X-VerificaSicurezza") == []
    assert golden.values("X-Riferimento-Message-ID") == ["<17@client.example>"]
    assert golden.values("In-Reply-To") == []
    inner = golden.enclosed()
    assert b"\r\nX-Ricevuta: avvenuta-consegna\r\nX-Trasporto: errore\r\n" in inner


@pytest.mark.req("EN-14")
def test_ordinary_recipients_are_told_apart_only_in_the_data() -> None:
    golden = envelope("certified-and-ordinary")
    kinds = [(r.text, r.get("tipo")) for r in golden.certification().iter("destinatari")]
    assert kinds == [("bruno@beta.example", "certificato"), ("dora@mail.example", "esterno")]
    assert golden.values("X-Trasporto") == ["posta-certificata"]


@pytest.mark.req("EN-01", "EN-03")
def test_an_anomaly_envelope_keeps_the_identifier_and_the_way() -> None:
    golden = anomaly("ordinary-mail")
    assert golden.values("Message-ID") == ["<33@mail.example>"]
    assert golden.values("Return-Path") == ["<dora@mail.example>"]
    assert len(golden.values("Received")) == 2
    assert b"\r\nTo: Bruno <bruno@beta.example>\r\nCc: =?utf-8?q?Citt=C3=A0?= <citta@mail.example>\r\n" in golden.header


def test_an_anomaly_envelope_invents_no_identifier() -> None:
    assert anomaly("no-message-id").values("Message-ID") == []


@pytest.mark.req("EN-02")
def test_an_anomaly_envelope_answers_to_the_author_or_to_reply_to() -> None:
    assert anomaly("ordinary-mail").values("Reply-To") == ["dora@mail.example"]
    assert anomaly("bad-signature").values("Reply-To") == ["anna@alfa.example"]


@pytest.mark.req("EN-05", "EN-10")
def test_an_anomaly_envelope_comes_from_our_service_address() -> None:
    golden = anomaly("ordinary-mail")
    assert b'\r\nFrom: "Per conto di: dora@mail.example" <posta-certificata@beta.example>\r\n' in golden.header


def test_a_bounce_has_the_null_path() -> None:
    assert anomaly("bounce").header.startswith(b"Return-Path: <>\r\n")


def test_an_anomaly_text_names_a_bad_signature_as_programs_expect() -> None:
    assert "Firma non presente o non autentica" in anomaly("bad-signature").text("plain")
    assert "dati non sono stati certificati" in anomaly("bad-signature").text("plain")


@pytest.mark.req("SEC-08")
def test_the_markers_of_what_arrived_stay_inside_an_anomaly_envelope() -> None:
    golden = anomaly("bad-signature")
    assert golden.values("X-Trasporto") == ["errore"]
    assert b"X-Trasporto: posta-certificata" in golden.enclosed()


hostile = st.text(max_size=60) | st.sampled_from(["a\r\nX-Ricevuta: accettazione", "\udcff@x", "x" * 2000, '"\\'])


@pytest.mark.req("SEC-07")
@given(sender=hostile, subject=st.none() | hostile, body=st.binary(max_size=200), recipient=hostile)
def test_whatever_arrives_is_wrapped_with_one_marker(
    sender: str, subject: str | None, body: bytes, recipient: str
) -> None:
    arrived = Octets.of(body)
    message = anomaly_envelope(
        at=AT,
        service_address="posta-certificata@beta.example",
        sender=sender,
        recipients=[recipient],
        subject=subject,
        reason=Words("errore", "error"),
        arrived=arrived,
        arrived_header=read_original(arrived, scan(arrived)).header,
        reverse_path="dora@mail.example",
        boundaries=Boundaries("0123456789abcdef" * 2),
    )
    tree: Any = message_from_bytes(written(message), policy=policy.compat32)
    assert tree.get_all("X-Trasporto") == ["errore"]
    assert tree.get_all("X-Ricevuta") is None
    assert len(tree.get_all("From", [])) == 1
    assert [part.get_content_type() for part in tree.get_payload()][:2] == ["multipart/alternative", "message/rfc822"]
