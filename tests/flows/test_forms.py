"""Which delivery receipt each recipient earns, as it really comes (spec 6.1, RFC 6109 section 3.3.2)."""

import hashlib
import re

import pytest

from gateway.storage.engine import Storage
from receipts.wire import ReceiptForm
from tests.flows.house import Provider, original
from tests.flows.pens import Pen, altered, certifying
from tests.flows.reading import Certified

TO, CC, BOTH, NEITHER = "bruno@beta.example", "carla@beta.example", "anna@beta.example", "ufficio@beta.example"
ATTACHED = (
    b"--b\r\nContent-Type: text/plain\r\n\r\nciao\r\n"
    b'--b\r\nContent-Type: application/pdf; name="perizia.pdf"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    b"JVBERi0xLjQK\r\n--b--\r\n"
)
RAW = original([f"Bruno <{TO}>", BOTH], [CC, BOTH], extra="Content-Type: multipart/mixed; boundary=b", body=ATTACHED)
HASH = hashlib.sha1(b"JVBERi0xLjQK").hexdigest().encode()

COMPLETE, BRIEF, CONCISE = "Ricevuta di avvenuta", "Ricevuta breve di avvenuta", "Ricevuta sintetica di avvenuta"


@pytest.fixture
def storage(sqlite_storage: Storage) -> Storage:
    """Which form is issued does not depend on the database."""
    return sqlite_storage


def issued(receipt: Certified) -> str:
    """The form, by what is in it."""
    title = receipt.text.partition("\n")[0]
    if receipt.original is None:
        assert receipt.parts == ["multipart/alternative", "application/xml"]
        assert title.startswith(CONCISE)
        return "sintetica"
    assert receipt.parts == ["multipart/alternative", "application/xml", "message/rfc822"]
    if b"perizia.pdf.hash" in receipt.original:
        assert re.search(rb"\r\n\r\n" + HASH + rb"\r\n", receipt.original)
        assert b"JVBERi0xLjQK" not in receipt.original
        assert title.startswith(BRIEF)
        return "breve"
    assert receipt.original.endswith(ATTACHED)
    assert title.startswith(COMPLETE)
    return "completa"


async def receipts(beta: Provider, raw: bytes, *to: str) -> dict[str, Certified]:
    await beta.arrive(raw, *to)
    found = [post.certified for post in beta.outbox() if post.row.kind == "delivery"]
    return {receipt.said("consegna") or "": receipt for receipt in found}


@pytest.mark.edge("A13", "E1")
@pytest.mark.req("DP-10", "DP-11", "DP-13", "DP-14", "DP-12", "DP-29", "XML-13")
@pytest.mark.parametrize(
    ("asked", "to", "cc", "both", "neither"),
    [
        (None, "completa", "sintetica", "completa", "completa"),
        (ReceiptForm.COMPLETE, "completa", "sintetica", "completa", "completa"),
        (ReceiptForm.BRIEF, "breve", "sintetica", "breve", "breve"),
        (ReceiptForm.CONCISE, "sintetica", "sintetica", "sintetica", "sintetica"),
    ],
)
async def test_the_whole_table(
    beta: Provider, pen: Pen, asked: ReceiptForm | None, to: str, cc: str, both: str, neither: str
) -> None:
    beta.alias(NEITHER, "bruno")
    paths = (TO, CC, BOTH, NEITHER)
    found = await receipts(beta, pen.envelope(pen.facts(paths, form=asked), RAW), *paths)
    assert {path: issued(found[path]) for path in paths} == {TO: to, CC: cc, BOTH: both, NEITHER: neither}
    for receipt in found.values():
        assert receipt.form == (asked or "completa")  # what was asked, whatever was issued (A13)
        assert receipt.header("Subject") == "CONSEGNA: Perizia"
        assert receipt.header("X-Ricevuta") == "avvenuta-consegna"


async def test_addresses_are_compared_however_they_are_spelt(beta: Provider, pen: Pen) -> None:
    raw = original(['"Uffici: Bruno" <BRUNO@Beta.example>'], ["gruppo: Carla <Carla@BETA.example>;"], body=b"x\r\n")
    found = await receipts(beta, pen.envelope(pen.facts([TO, CC]), raw), TO, CC)
    assert {path: receipt.original is not None for path, receipt in found.items()} == {TO: True, CC: False}


@pytest.mark.req("DP-12")
async def test_the_signed_form_wins_over_the_header(beta: Provider, pen: Pen) -> None:
    data = pen.facts([TO], form=ReceiptForm.BRIEF)
    raw = pen.resealed(pen.envelope(data, RAW), headers=altered("X-TipoRicevuta: breve", "X-TipoRicevuta: sintetica"))
    assert issued((await receipts(beta, raw, TO))[TO]) == "breve"


@pytest.mark.req("DP-12")
@pytest.mark.parametrize(("header", "form"), [("sintetica", "sintetica"), ("junk", "completa"), (None, "completa")])
async def test_the_header_counts_where_the_signed_data_say_nothing(
    beta: Provider, pen: Pen, header: str | None, form: str
) -> None:
    replaced = "" if header is None else f"X-TipoRicevuta: {header}\r\n"
    raw = pen.resealed(
        pen.envelope(pen.facts([TO]), RAW),
        headers=altered("X-TipoRicevuta: completa\r\n", replaced),
        content=certifying('    <ricevuta tipo="completa"/>\n', ""),
    )
    assert issued((await receipts(beta, raw, TO))[TO]) == form


@pytest.mark.req("DP-10")
async def test_to_and_cc_are_those_of_the_signed_original(beta: Provider, pen: Pen) -> None:
    """The outer To and Cc are not signed: whoever changes them changes no receipt."""
    raw = altered(f"To: Bruno <{TO}>, {BOTH}\r\nCc: ", f"To: {CC}\r\nCc: Bruno <{TO}>, ")(
        pen.envelope(pen.facts([TO, CC]), RAW)
    )
    found = await receipts(beta, raw, TO, CC)
    assert {path: issued(receipt) for path, receipt in found.items()} == {TO: "completa", CC: "sintetica"}


@pytest.mark.req("DP-13")
async def test_the_complete_receipt_holds_the_original_of_the_envelope(beta: Provider, pen: Pen) -> None:
    raw = pen.envelope(pen.facts([TO]), RAW)
    receipt = (await receipts(beta, raw, TO))[TO]
    assert receipt.original == Certified(raw).original
    assert b"X-Riferimento-Message-ID: <17@client.example>" in (receipt.original or b"")


@pytest.mark.edge("E21")
@pytest.mark.req("DP-27", "DP-25")
async def test_an_encrypted_original_stays_whole_in_the_brief_receipt(beta: Provider, pen: Pen) -> None:
    raw = original(
        [TO],
        extra='Content-Type: application/pkcs7-mime; name="smime.p7m"\r\nContent-Transfer-Encoding: base64',
        body=b"TUlJ\r\n",
    )
    receipt = (await receipts(beta, pen.envelope(pen.facts([TO], form=ReceiptForm.BRIEF), raw), TO))[TO]
    assert (receipt.original or b"").endswith(b"\r\n\r\nTUlJ\r\n")
    assert receipt.text.startswith(BRIEF)


@pytest.mark.req("RC-05")
async def test_machines_read_the_xml_and_never_the_text(alfa: Provider) -> None:
    """The text speaks of another message and of another recipient."""
    outcome = await alfa.hand_in(original([TO, CC]), TO, CC)
    pen = Pen("beta.example")
    data = pen.facts([TO, CC], sender="anna@alfa.example", pec_msgid=outcome.pec_msgid)

    def retold(content: bytes) -> bytes:
        text, mark, rest = content.partition(b"Content-Type: application/xml")
        text = text.replace(outcome.pec_msgid.encode(), b"altro@alfa.example").replace(TO.encode(), CC.encode())
        return text + mark + rest

    raw = pen.resealed(pen.delivery(data, TO), content=retold)
    assert outcome.pec_msgid not in Certified(raw).text
    await alfa.arrive(raw, "anna@alfa.example", reverse_path=pen.service_address)
    assert alfa.states(outcome.pec_msgid) == {TO: "delivered", CC: "accepted"}
