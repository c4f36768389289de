"""Certification data: what is written is what was meant, and what is read can be relied on."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from lxml import etree

from receipts.daticert import MAX_BYTES, DaticertError, read_daticert, write_daticert
from receipts.facts import CertificationData, Recipient
from receipts.wire import CertificationType, ErrorKind, ReceiptForm, RecipientKind

MANY = b"<destinatari>a@b.example</destinatari>" * 10_000
DTD = etree.DTD(str(Path(__file__).parent / "postacert.dtd"))

XML = """\
<?xml version="1.0" encoding="UTF-8"?>
<postacert tipo="avvenuta-consegna" errore="nessuno">
  <intestazione>
    <mittente>ufficio@pec.alfa.example</mittente>
    <destinatari tipo="certificato">protocollo@pec.beta.example</destinatari>
    <destinatari tipo="esterno">copia@gamma.example</destinatari>
    <risposte>risposte@pec.alfa.example</risposte>
    <oggetto>Perizia n. 12 &amp; allegati — città</oggetto>
  </intestazione>
  <dati>
    <gestore-emittente>Gestore Beta S.p.A.</gestore-emittente>
    <data zona="+0100">
      <giorno>03/02/2025</giorno>
      <ora>09:41:07</ora>
    </data>
    <identificativo>a1b2c3d420250203094105@pec.alfa.example</identificativo>
    <msgid>&lt;17@client.example&gt;</msgid>
    <ricevuta tipo="completa"/>
    <consegna>protocollo@pec.beta.example</consegna>
  </dati>
</postacert>
"""
FACTS = CertificationData(
    type=CertificationType.DELIVERY,
    sender="ufficio@pec.alfa.example",
    recipients=(
        Recipient(address="protocollo@pec.beta.example", kind=RecipientKind.CERTIFIED),
        Recipient(address="copia@gamma.example", kind=RecipientKind.EXTERNAL),
    ),
    reply_to="risposte@pec.alfa.example",
    subject="Perizia n. 12 & allegati — città",
    provider="Gestore Beta S.p.A.",
    at=datetime(2025, 2, 3, 9, 41, 7, tzinfo=timezone(timedelta(hours=1))),
    pec_msgid="a1b2c3d420250203094105@pec.alfa.example",
    msgid="<17@client.example>",
    receipt_form=ReceiptForm.COMPLETE,
    delivered_to="protocollo@pec.beta.example",
)


def read(old: str, new: str) -> CertificationData:
    """What is read after one change to the XML."""
    assert XML.count(old) == 1
    return read_daticert(XML.replace(old, new).encode())


def refusal(old: str, new: str) -> str:
    with pytest.raises(DaticertError) as error:
        read(old, new)
    return str(error.value)


def without(element: str) -> tuple[str, str]:
    """The change that takes an element out."""
    start = XML.index(f"<{element}")
    end = XML.find(f"</{element}>", start)
    stop = end + len(f"</{element}>") if end >= 0 else XML.index("/>", start) + 2
    return XML[start:stop], ""


@pytest.mark.req("XML-01", "XML-03", "XML-04", "XML-05", "XML-06", "XML-07", "XML-08", "XML-09", "XML-10", "XML-11")
@pytest.mark.req("XML-12", "TIM-04")
def test_reads_the_facts() -> None:
    assert read_daticert(XML.encode()) == FACTS


@pytest.mark.req("XML-01", "XML-03", "XML-04", "XML-05", "XML-06", "XML-07", "XML-08", "XML-09", "XML-10", "XML-11")
@pytest.mark.req("XML-12", "TIM-04")
def test_writes_the_facts() -> None:
    assert write_daticert(FACTS).decode() == XML


@pytest.mark.parametrize("kind", CertificationType)
@pytest.mark.req("XML-01")
def test_every_type_is_written_and_read(kind: CertificationType) -> None:
    written = write_daticert(replace(FACTS, type=kind))
    assert f'tipo="{kind}"'.encode() in written
    assert read_daticert(written).type is kind


@pytest.mark.req("XML-04")
def test_every_recipient_is_written_in_order() -> None:
    recipients = tuple(
        Recipient(address=f"r{number}@pec.beta.example", kind=RecipientKind.CERTIFIED) for number in range(50)
    )
    assert read_daticert(write_daticert(replace(FACTS, recipients=recipients))).recipients == recipients


def test_what_is_not_known_is_left_out() -> None:
    bare = replace(FACTS, subject=None, msgid=None, receipt_form=None, delivered_to=None)
    written = write_daticert(bare)
    for element in (b"<oggetto", b"<msgid", b"<ricevuta", b"<consegna", b"<ricezione", b"<errore-esteso"):
        assert element not in written
    assert DTD.validate(etree.fromstring(written))
    assert read_daticert(written) == bare


def test_all_there_is_stands_in_the_order_of_the_dtd() -> None:
    full = replace(FACTS, error=ErrorKind.OTHER, taken_for=("a@b.example", "c@d.example"), error_text="5.1.1 - Beta")
    written = write_daticert(full)
    assert DTD.validate(etree.fromstring(written)), DTD.error_log
    assert read_daticert(written) == full


def test_markup_in_a_fact_stays_a_fact() -> None:
    hostile = replace(FACTS, subject=']]></oggetto><mittente>x@y.example</mittente>&amp;"', provider="A & B <C>")
    assert read_daticert(write_daticert(hostile)) == hostile


def test_characters_that_xml_cannot_hold_are_replaced() -> None:
    written = write_daticert(replace(FACTS, subject="a\x00b\x1fc\ud800d\ufffee\U0001f4e7"))
    assert read_daticert(written).subject == "a\ufffdb\ufffdc\ufffdd\ufffde\U0001f4e7"


def test_a_line_end_cannot_leave_a_fact() -> None:
    data = read("17@client.example&gt;", "17@client&#13;&#10;Bcc: x@y.example&gt;")
    assert data.msgid == "<17@client  Bcc: x@y.example>"
    assert read("Perizia n. 12", "Perizia&#13;&#10;n.\n12").subject == "Perizia  n. 12 & allegati — città"


@pytest.mark.parametrize(
    ("at", "zone", "day", "hour"),
    [
        (datetime(2025, 7, 1, 23, 59, 59, tzinfo=ZoneInfo("Europe/Rome")), "+0200", "01/07/2025", "23:59:59"),
        (datetime(2025, 1, 1, 0, 0, 0, tzinfo=ZoneInfo("Europe/Rome")), "+0100", "01/01/2025", "00:00:00"),
        (datetime(2025, 10, 26, 2, 30, tzinfo=ZoneInfo("Europe/Rome"), fold=1), "+0100", "26/10/2025", "02:30:00"),
        (datetime(2025, 1, 1, 1, 2, 3, 999999, tzinfo=ZoneInfo("America/St_Johns")), "-0330", "01/01/2025", "01:02:03"),
    ],
)
@pytest.mark.req("XML-09", "XML-10", "TIM-04")
def test_writes_local_time_to_the_second(at: datetime, zone: str, day: str, hour: str) -> None:
    written = write_daticert(replace(FACTS, at=at)).decode()
    assert f'<data zona="{zone}">' in written
    assert f"<giorno>{day}</giorno>" in written
    assert f"<ora>{hour}</ora>" in written
    assert read_daticert(written.encode()).at == at.astimezone(UTC).replace(microsecond=0)


@pytest.mark.req("XML-10")
def test_a_leap_second_is_the_second_after() -> None:
    assert read("09:41:07", "23:59:60").at == datetime(2025, 2, 4, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("element", "complaint"),
    [
        ("intestazione", "mittente is missing"),
        ("mittente", "mittente is missing"),
        ("risposte", None),
        ("oggetto", None),
        ("dati", "gestore-emittente is missing"),
        ("gestore-emittente", "gestore-emittente is missing"),
        ("data", "giorno is missing"),
        ("giorno", "giorno is missing"),
        ("ora", "ora is missing"),
        ("identificativo", "identificativo is missing"),
        ("msgid", None),
        ("ricevuta", None),
        ("consegna", None),
    ],
)
@pytest.mark.req("XML-19")
def test_requires_what_is_essential(element: str, complaint: str | None) -> None:
    old, new = without(element)
    if complaint is None:
        assert read(old, new).sender == FACTS.sender
    else:
        assert complaint in refusal(old, new)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('<postacert tipo="avvenuta-consegna"', "<postacert", "type"),
        ('tipo="avvenuta-consegna"', 'tipo="errore"', "type"),
        ("ufficio@pec.alfa.example", "", "mittente is missing"),
        ("ufficio@pec.alfa.example", "ufficio", "mittente is no address"),
        ("ufficio@pec.alfa.example", "Ufficio &lt;ufficio@pec.alfa.example>", "mittente is no address"),
        ("Gestore Beta S.p.A.", " ", "gestore-emittente is missing"),
        (' zona="+0100"', "", "no instant"),
        ('"+0100"', '"+01:00"', "no instant"),
        ('"+0100"', '"+2500"', "no instant"),
        ('"+0100"', '"CET"', "no instant"),
        ("03/02/2025", "2025-02-03", "no instant"),
        ("03/02/2025", "30/02/2025", "no instant"),
        ("03/02/2025", "01/01/0001", "no instant"),
        ("03/02/2025", "31/12/9999", "no instant"),
        ("09:41:07", "24:00:00", "no instant"),
        ("09:41:07", "09:41:61", "no instant"),
        ("09:41:07", "09:41", "no instant"),
        ("09:41:07", "٠٩:41:07", "no instant"),
        ("a1b2c3d420250203094105@pec.alfa.example", "a b@pec.alfa.example", "no message id"),
        ("a1b2c3d420250203094105@pec.alfa.example", "a&gt;b@pec.alfa.example", "no message id"),
        ("a1b2c3d420250203094105@pec.alfa.example", "à@pec.alfa.example", "no message id"),
        ("a1b2c3d420250203094105@pec.alfa.example", "a" * 901, "no message id"),
    ],
    ids=lambda value: repr(value)[:40],
)
@pytest.mark.req("XML-19")
def test_refuses_what_is_essential_and_wrong(old: str, new: str, complaint: str) -> None:
    assert complaint in refusal(old, new)


@pytest.mark.req("XML-19")
def test_requires_a_recipient() -> None:
    bare = "\n".join(line for line in XML.splitlines() if "destinatari" not in line)
    with pytest.raises(DaticertError, match="destinatari is missing"):
        read_daticert(bare.encode())


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (b"", "well-formed"),
        (b"not XML", "well-formed"),
        (XML.encode()[:-5], "well-formed"),
        (XML.encode() + b"<x/>", "well-formed"),
        (XML.encode().replace("città".encode(), "città".encode("latin-1")), "well-formed"),
        (XML.encode().replace(b"Perizia", b"&perizia;"), "well-formed"),
        (b"<altro/>", "root"),
        (b'<p:postacert xmlns:p="x" tipo="accettazione"/>', "root"),
        (b"<!DOCTYPE postacert>" + XML.encode().partition(b"\n")[2], "document type"),
        (b"<!DOCTYPE p SYSTEM 'http://x.example/'>" + XML.encode().partition(b"\n")[2], "document type"),
        (b'<!DOCTYPE p [<!ENTITY a "x"><!ENTITY b "&a;&a;&a;">]><p>&b;</p>', "document type"),
        (b" " * (MAX_BYTES + 1), "too large"),
        (b"<postacert>" + b"<a/>" * 50_000 + b"</postacert>", "too many elements"),
        (b"<postacert>" + b"<a>" * 40 + b"</a>" * 40 + b"</postacert>", "too many elements"),
        (b"<a>" * 1_000_000, "too many elements"),
        (XML.encode().replace(b"Perizia", b"x" * 70_000), "too long"),
        (XML.encode().replace(b"<risposte>", MANY + b"<risposte>"), "often"),
        (XML.encode().replace(b"<risposte>", b"<mittente>x@y.example</mittente><risposte>"), "often"),
        (XML.encode().replace(b"<consegna>", b"<consegna>x@y.example</consegna><consegna>"), "often"),
        (XML.encode().replace(b"<dati>", b"<dati/><dati>"), "often"),
    ],
    ids=lambda value: repr(value)[:40],
)
@pytest.mark.req("XML-19")
def test_refuses_what_is_not_safe_to_read(document: bytes, complaint: str) -> None:
    with pytest.raises(DaticertError, match=complaint):
        read_daticert(document)


@pytest.mark.req("XML-19")
def test_reads_ten_thousand_recipients() -> None:
    recipients = (Recipient(address="a@b.example", kind=RecipientKind.EXTERNAL),) * 10_000
    assert len(read_daticert(write_daticert(replace(FACTS, recipients=recipients))).recipients) == 10_000


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<intestazione>", '<intestazione xmlns:x="y" x:nuovo="1"><nuovo><mittente>z@z.example</mittente></nuovo>'),
        ("<dati>", "<dati><!-- jpec --><?pi ?><segnatura><identificativo>z</identificativo></segnatura>"),
        ("</mittente>", "<nuovo>z</nuovo></mittente>"),
        ('encoding="UTF-8"', 'encoding="ISO-8859-1"'),
        ("</postacert>\n", "</postacert>\r\n\r\n"),
        ("<?xml", "\ufeff<?xml"),
        (">ufficio@pec.alfa.example<", ">\n      ufficio@pec.alfa.example\n    <"),
        (">a1b2c3d420250203094105@pec.alfa.example<", ">&lt;a1b2c3d420250203094105@pec.alfa.example&gt;<"),
        (' errore="nessuno"', ""),
    ],
)
@pytest.mark.req("XML-19")
def test_forgives_what_other_providers_may_write(old: str, new: str) -> None:
    assert read(old, new) == FACTS


@pytest.mark.req("XML-19")
def test_the_order_of_elements_does_not_matter() -> None:
    head, dati = XML.index("  <intestazione>"), XML.index("  <dati>")
    end = XML.index("</postacert>")
    swapped = XML[:head] + XML[dati:end] + XML[head:dati] + XML[end:]
    assert read_daticert(swapped.encode()) == FACTS


@pytest.mark.req("XML-05")
def test_a_recipient_of_unsaid_kind_is_certified() -> None:
    assert read('<destinatari tipo="certificato">', "<destinatari>") == FACTS


@pytest.mark.req("XML-05")
def test_a_recipient_of_unknown_kind_is_not_certified() -> None:
    data = read('"certificato"', '"qualificato"')
    assert data.recipients[0].kind is RecipientKind.EXTERNAL


@pytest.mark.req("XML-06")
def test_the_reply_address_is_written_even_if_it_is_empty() -> None:
    written = write_daticert(replace(FACTS, reply_to=""))
    assert b"<risposte></risposte>" in written
    assert DTD.validate(etree.fromstring(written)), DTD.error_log


@pytest.mark.req("XML-06")
@pytest.mark.parametrize("replies", ["<risposte/>", "<risposte> </risposte>", ""])
def test_an_empty_or_absent_reply_address_is_read_as_empty(replies: str) -> None:
    assert read("<risposte>risposte@pec.alfa.example</risposte>", replies).reply_to == ""


@pytest.mark.parametrize(
    ("old", "new", "field", "expected"),
    [
        ('errore="nessuno"', 'errore="guasto"', "error", ErrorKind.OTHER),
        ('<ricevuta tipo="completa"/>', '<ricevuta tipo="breve"></ricevuta>', "receipt_form", ReceiptForm.BRIEF),
        ('<ricevuta tipo="completa"/>', '<ricevuta tipo="lunga"/>', "receipt_form", ReceiptForm.COMPLETE),
        ('<ricevuta tipo="completa"/>', "<ricevuta/>", "receipt_form", ReceiptForm.COMPLETE),
        ('<ricevuta tipo="completa"/>', "", "receipt_form", None),
        ("<consegna>protocollo@pec.beta.example</consegna>", "<consegna/>", "delivered_to", None),
        ("&lt;17@client.example&gt;", "", "msgid", None),
        ("&lt;17@client.example&gt;", "&lt;ì@client.example&gt;", "msgid", None),
        ("&lt;17@client.example&gt;", "x" * 901, "msgid", None),
        ("&lt;17@client.example&gt;", "17 of client", "msgid", "17 of client"),
        ("</dati>", "<errore-esteso>5.1.1 - Beta</errore-esteso></dati>", "error_text", "5.1.1 - Beta"),
        ("</dati>", "<ricezione>a@b.example</ricezione></dati>", "taken_for", ("a@b.example",)),
    ],
)
def test_reads_what_is_not_essential_as_far_as_it_goes(old: str, new: str, field: str, expected: object) -> None:
    assert getattr(read(old, new), field) == expected
