"""Every golden message: byte for byte, then as the email package and lxml read it."""

from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from lxml import etree

from receipts.wire import SUBJECT_PREFIX, MessageKind
from tests.receipts.golden import GOLDEN, Golden, built, cases, original_of, written

DTD = Path(__file__).parent / "postacert.dtd"
ALL = cases()
ENVELOPES = ("envelope", "anomaly")

each_case = pytest.mark.parametrize("case", ALL, ids=lambda case: f"{case.parent.name}/{case.name}")
each_certified = pytest.mark.parametrize(
    "case",
    [case for case in ALL if case.parent.name != "anomaly"],
    ids=lambda case: f"{case.parent.name}/{case.name}",
)

KIND = {
    "acceptance": MessageKind.ACCEPTANCE,
    "anomaly": MessageKind.ANOMALY,
    "delivery-brief": MessageKind.DELIVERY,
    "delivery-complete": MessageKind.DELIVERY,
    "delivery-concise": MessageKind.DELIVERY,
    "envelope": MessageKind.ENVELOPE,
    "non-acceptance": MessageKind.NON_ACCEPTANCE,
    "non-delivery": MessageKind.NON_DELIVERY,
    "take-charge": MessageKind.TAKE_CHARGE,
    "timeout": MessageKind.TIMEOUT,
    "virus": MessageKind.VIRUS,
}
PREFIX_OF_VIRUS_NOTICES = {
    "non-acceptance": SUBJECT_PREFIX[MessageKind.NON_ACCEPTANCE_VIRUS],
    "non-delivery": SUBJECT_PREFIX[MessageKind.NON_DELIVERY_VIRUS],
    "virus": SUBJECT_PREFIX[MessageKind.VIRUS],
}
MARKER = {  # spec: HDR-01
    "acceptance": ("X-Ricevuta", "accettazione"),
    "anomaly": ("X-Trasporto", "errore"),
    "delivery-brief": ("X-Ricevuta", "avvenuta-consegna"),
    "delivery-complete": ("X-Ricevuta", "avvenuta-consegna"),
    "delivery-concise": ("X-Ricevuta", "avvenuta-consegna"),
    "envelope": ("X-Trasporto", "posta-certificata"),
    "non-acceptance": ("X-Ricevuta", "non-accettazione"),
    "non-delivery": ("X-Ricevuta", "errore-consegna"),
    "take-charge": ("X-Ricevuta", "presa-in-carico"),
    "timeout": ("X-Ricevuta", "preavviso-errore-consegna"),
    "virus": ("X-Ricevuta", "rilevazione-virus"),
}
WITH_ORIGINAL = {"anomaly", "delivery-brief", "delivery-complete", "envelope"}
CARRIED = {  # what stands in "dati" beside what always does: table 3.2
    "acceptance": set(),
    "delivery-brief": {"ricevuta", "consegna"},
    "delivery-complete": {"ricevuta", "consegna"},
    "delivery-concise": {"ricevuta", "consegna"},
    "envelope": {"ricevuta"},
    "non-acceptance": {"errore-esteso"},
    "non-delivery": {"consegna", "errore-esteso"},
    "take-charge": {"ricezione"},
    "timeout": {"consegna", "errore-esteso"},
    "virus": {"consegna", "errore-esteso"},
}


def test_every_kind_has_its_cases() -> None:
    assert {case.parent.name for case in ALL} == set(KIND) == {folder.name for folder in GOLDEN.glob("*/")}


@each_case
def test_the_bytes_are_the_golden_ones(case: Path) -> None:
    assert written(built(case)) == (case / "expected.eml").read_bytes()


@pytest.mark.edge("A3")
@pytest.mark.req("HDR-01", "HDR-03", "HDR-04")
@each_case
def test_one_marker_stands_alone_on_one_line(case: Path) -> None:
    golden = Golden.of(case)
    name, value = MARKER[golden.kind]
    assert golden.header.count(f"\r\n{name}: {value}\r\n".encode()) == 1
    found = {each: golden.values(each) for each in ("X-Ricevuta", "X-Trasporto") if golden.values(each)}
    assert found == {name: [value]}


@pytest.mark.req("HDR-06")
@each_case
def test_the_security_check_stands_on_virus_notices_only(case: Path) -> None:
    golden = Golden.of(case)
    told_to_people = golden.facts.get("error") == "virus" and golden.kind != "virus"
    expected = ["errore"] if told_to_people else []
    assert golden.values("X-VerificaSicurezza") == expected
    assert (b"\r\nX-VerificaSicurezza: errore\r\n" in golden.header) is bool(expected)


@pytest.mark.req("HDR-07")
@each_case
def test_the_sender_stands_on_virus_notices_between_providers_alone(case: Path) -> None:
    golden = Golden.of(case)
    expected = ["anna@alfa.example"] if golden.kind == "virus" else []
    assert golden.values("X-Mittente") == expected
    assert golden.header.count(b"\r\nX-Mittente: anna@alfa.example\r\n") == len(expected)


@pytest.mark.req("VIR-08")
@pytest.mark.parametrize(
    "case",
    [case for case in ALL if Golden.of(case).facts.get("error") == "virus"],
    ids=lambda case: f"{case.parent.name}/{case.name}",
)
def test_a_virus_notice_says_what_was_found_and_what_followed(case: Path) -> None:
    golden = Golden.of(case)
    found = golden.facts["error_text"]
    assert golden.certification().get("errore") == "virus"
    assert golden.certification().findtext("dati/errore-esteso") == found
    followed = {
        "non-acceptance": ("Il messaggio non è stato accettato.", "The message was not accepted."),
        "non-delivery": ("Il messaggio non è stato consegnato.", "The message was not delivered."),
        "virus": (
            "Per questo motivo la trasmissione non è stata completata.",
            "For this reason the transmission was not completed.",
        ),
    }[golden.kind]
    for subtype in ("plain", "html"):
        text = golden.text(subtype)
        assert text.count(found) == 2  # in both languages
        assert all(clause in text for clause in followed)
        assert "è stato rilevato un problema di sicurezza:" in text
        assert "a security problem was detected:" in text


@pytest.mark.req("HDR-02", "EN-04", "MID-04")
@each_case
def test_the_clients_own_identifier_is_repeated_where_it_gave_one(case: Path) -> None:
    golden = Golden.of(case)
    msgid = "<17@client.example>"
    if golden.kind == "anomaly" or case.name == "no-message-id":
        assert golden.values("X-Riferimento-Message-ID") == []
    else:
        assert golden.header.count(f"\r\nX-Riferimento-Message-ID: {msgid}\r\n".encode()) == 1
        assert golden.values("X-Riferimento-Message-ID") == [msgid]


@pytest.mark.req("HDR-14")
@each_case
def test_the_subject_decodes_to_the_prefix_and_the_whole_original(case: Path) -> None:
    golden = Golden.of(case)
    virus = golden.facts.get("error") == "virus"
    prefix = PREFIX_OF_VIRUS_NOTICES[golden.kind] if virus else SUBJECT_PREFIX[KIND[golden.kind]]
    assert f"\r\nSubject: {prefix}".rstrip().encode() in golden.header
    subject = golden.values("Subject")[0]
    assert subject.startswith(prefix)
    if golden.kind != "anomaly":
        assert subject.removeprefix(prefix) == (golden.certification().findtext("intestazione/oggetto") or "")


@pytest.mark.req("HDR-12", "TIM-05")
@each_case
def test_the_date_is_the_instant_of_the_transaction(case: Path) -> None:
    golden = Golden.of(case)
    read = parsedate_to_datetime(golden.values("Date")[0])
    assert read == golden.facts["at"]
    assert read.utcoffset() == golden.facts["at"].utcoffset()


@pytest.mark.edge("A7")
@pytest.mark.req("TIM-01", "TIM-03", "TIM-04")
@each_certified
def test_header_text_and_data_tell_one_time(case: Path) -> None:
    golden = Golden.of(case)
    at = golden.facts["at"]
    day, time, zone = f"{at:%d/%m/%Y}", f"{at:%H:%M:%S}", f"{at:%z}"
    data = golden.certification().find("dati/data")
    assert data is not None
    assert (data.findtext("giorno"), data.findtext("ora"), data.get("zona")) == (day, time, zone)
    for subtype in ("plain", "html"):
        assert f"Il giorno {day} alle ore {time} ({zone}) " in golden.text(subtype)


@pytest.mark.req("HDR-09")
@pytest.mark.parametrize(
    "case", [case for case in ALL if case.parent.name not in ENVELOPES], ids=lambda case: str(case.parent.name)
)
def test_a_receipt_comes_from_the_bare_service_address(case: Path) -> None:
    golden = Golden.of(case)
    assert f"\r\nFrom: {golden.facts['service_address']}\r\n".encode() in golden.header
    assert golden.values("Reply-To") == []


@pytest.mark.edge("E20")
@pytest.mark.req("HDR-10")
@pytest.mark.parametrize(
    "case",
    [case for case in ALL if case.parent.name not in (*ENVELOPES, "take-charge", "virus")],
    ids=lambda case: str(case.parent.name),
)
def test_a_receipt_goes_to_the_reverse_path_whatever_reply_to_says(case: Path) -> None:
    golden = Golden.of(case)
    assert golden.values("To") == ["anna@alfa.example"]
    assert golden.values("Cc") == []


@pytest.mark.req("HDR-13")
@each_case
def test_receipts_have_an_identifier_of_their_own_and_envelopes_the_certified_one(case: Path) -> None:
    golden = Golden.of(case)
    if golden.kind == "envelope":
        assert golden.values("Message-ID") == [f"<{golden.facts['pec_msgid']}>"]
    elif golden.kind != "anomaly":
        assert golden.values("Message-ID") == [f"<{golden.facts['message_id']}>"]
        assert golden.facts["message_id"] != golden.facts["pec_msgid"]


@pytest.mark.req("RC-01", "RC-02", "EN-12", "SIG-03", "DP-13", "DP-14")
@each_case
def test_the_tree_is_that_of_its_kind(case: Path) -> None:
    golden = Golden.of(case)
    shape = ["multipart/alternative"]
    if golden.kind != "anomaly":
        shape.append("application/xml")
    if golden.kind in WITH_ORIGINAL:
        shape.append("message/rfc822")
    assert golden.tree.get_content_type() == "multipart/mixed"
    assert golden.shape() == shape
    alternative = next(golden.tree.iter_parts())
    texts = list(alternative.iter_parts())
    assert [part.get_content_type() for part in texts] == ["text/plain", "text/html"]
    assert {part.get_content_charset() for part in texts} == {"iso-8859-1"}
    assert not any(part.defects for part in (golden.tree, alternative, *texts))


@pytest.mark.req("RC-06")
@each_case
def test_files_are_named_twice_inline_and_in_ascii(case: Path) -> None:
    golden = Golden.of(case)
    names = {"application/xml": "daticert.xml", "message/rfc822": "postacert.eml"}
    for part in list(golden.tree.iter_parts())[1:]:
        name = names[part.get_content_type()]
        assert f'Content-Type: {part.get_content_type()}; name="{name}"\r\n'.encode() in golden.content
        assert part.get_content_disposition() == "inline"
        assert part["Content-Disposition"].params["filename"] == name


@pytest.mark.req("RC-04")
@each_case
def test_what_we_write_is_seven_bit_and_what_we_carry_is_labelled(case: Path) -> None:
    golden = Golden.of(case)
    ours, carried = golden.content, b""
    if golden.kind in WITH_ORIGINAL:
        carried = golden.enclosed()
        ours = golden.content.replace(carried, b"")
        label = next(p for p in golden.tree.iter_parts() if p.get_content_type() == "message/rfc822")
        assert label["Content-Transfer-Encoding"] == ("7bit" if carried.isascii() else "8bit")
    assert ours.isascii()
    if golden.kind != "anomaly":
        assert golden.header.isascii()
    assert golden.values("Content-Transfer-Encoding")[:1] == ([] if carried.isascii() else ["8bit"])
    assert max(map(len, ours.split(b"\r\n"))) <= 100
    assert b"\n" not in golden.content.replace(b"\r\n", b"")


@pytest.mark.req("XML-17", "XML-18")
@each_certified
def test_the_certification_data_are_valid(case: Path) -> None:
    golden = Golden.of(case)
    root = golden.certification()
    dtd = etree.DTD(str(DTD))
    assert dtd.validate(root), dtd.error_log
    assert root.getroottree().docinfo.doctype == ""
    assert root.getroottree().docinfo.encoding == "UTF-8"


@pytest.mark.req("XML-13", "XML-14", "XML-15", "XML-16", "XML-20")
@each_certified
def test_the_certification_data_are_those_of_the_kind(case: Path) -> None:
    golden = Golden.of(case)
    facts, root = golden.facts, golden.certification()
    dati = root.find("dati")
    assert dati is not None
    always = {"gestore-emittente", "data", "identificativo"}
    msgid = {"msgid"} if golden.values("X-Riferimento-Message-ID") else set()
    assert {element.tag for element in dati} == always | msgid | CARRIED[golden.kind]
    assert root.get("tipo") == ("posta-certificata" if golden.kind == "envelope" else MARKER[golden.kind][1])
    assert dati.findtext("identificativo") == facts["pec_msgid"]
    assert [element.text for element in dati.iter("ricezione")] == facts.get("taken_for", [])
    assert dati.findtext("consegna") == facts.get("delivered_to")
    assert dati.findtext("errore-esteso") == facts.get("error_text")
    said = [(r.text, r.get("tipo")) for r in root.iter("destinatari")]
    assert said == [(r["address"], r["kind"]) for r in facts["recipients"]]
    assert facts["pec_msgid"] in golden.text("plain")


@pytest.mark.parametrize("case", cases("delivery-complete"), ids=lambda case: str(case.name))
@pytest.mark.req("DP-13")
def test_a_complete_receipt_carries_the_message_byte_for_byte(case: Path) -> None:
    golden = Golden.of(case)
    assert golden.enclosed() == golden.original


@pytest.mark.parametrize("case", cases("anomaly"), ids=lambda case: str(case.name))
@pytest.mark.req("EN-12")
def test_an_anomaly_envelope_carries_what_arrived_byte_for_byte(case: Path) -> None:
    golden = Golden.of(case)
    assert golden.enclosed() == golden.original


def test_an_original_full_of_our_boundaries_is_found_whole() -> None:
    case = GOLDEN / "envelope" / "our-boundaries-inside"
    original = original_of(case)
    assert original is not None
    inner = list(Golden.of(case).tree.iter_parts())[2].get_content()
    assert inner["Subject"] == "Perizia n. 12"
    assert [part.get_content_type() for part in inner.iter_parts()] == ["multipart/alternative", "text/plain"]
