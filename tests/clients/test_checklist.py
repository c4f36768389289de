"""What programs of today demand of certified mail, point by point, on the bytes that ``ceralacca lab emit`` writes.

The patterns are those that such programs search for: by case, on raw header lines, at position 0. Each test names its
point of the checklist.
"""

import base64
import email
import email.policy
import re
import subprocess
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from lxml import etree
from lxml.etree import _Element
from typer.testing import CliRunner

from gateway.cli import app
from gateway.lab.samples import SAMPLES

DTD = Path(__file__).parents[1] / "receipts" / "postacert.dtd"
MARKER: Mapping[str, tuple[str, str]] = {
    "acceptance": ("X-Ricevuta", "accettazione"),
    "non-acceptance": ("X-Ricevuta", "non-accettazione"),
    "non-acceptance-virus": ("X-Ricevuta", "non-accettazione"),
    "envelope": ("X-Trasporto", "posta-certificata"),
    "take-charge": ("X-Ricevuta", "presa-in-carico"),
    "anomaly": ("X-Trasporto", "errore"),
    "anomaly-format": ("X-Trasporto", "errore"),
    "virus": ("X-Ricevuta", "rilevazione-virus"),
    "non-delivery-virus": ("X-Ricevuta", "errore-consegna"),
    "delivery-complete": ("X-Ricevuta", "avvenuta-consegna"),
    "delivery-brief": ("X-Ricevuta", "avvenuta-consegna"),
    "delivery-concise": ("X-Ricevuta", "avvenuta-consegna"),
    "non-delivery": ("X-Ricevuta", "errore-consegna"),
    "timeout-first": ("X-Ricevuta", "preavviso-errore-consegna"),
    "timeout-second": ("X-Ricevuta", "preavviso-errore-consegna"),
}
PREFIX: Mapping[str, str] = {
    "acceptance": "ACCETTAZIONE: ",
    "non-acceptance": "AVVISO DI NON ACCETTAZIONE: ",
    "non-acceptance-virus": "AVVISO DI NON ACCETTAZIONE PER VIRUS: ",
    "envelope": "POSTA CERTIFICATA: ",
    "take-charge": "PRESA IN CARICO: ",
    "anomaly": "ANOMALIA MESSAGGIO: ",
    "anomaly-format": "ANOMALIA MESSAGGIO: ",
    "virus": "PROBLEMA DI SICUREZZA: ",
    "non-delivery-virus": "AVVISO DI MANCATA CONSEGNA PER VIRUS: ",
    "delivery-complete": "CONSEGNA: ",
    "delivery-brief": "CONSEGNA: ",
    "delivery-concise": "CONSEGNA: ",
    "non-delivery": "AVVISO DI MANCATA CONSEGNA: ",
    "timeout-first": "AVVISO DI MANCATA CONSEGNA PER SUP. TEMPO MASSIMO: ",
    "timeout-second": "AVVISO DI MANCATA CONSEGNA PER SUP. TEMPO MASSIMO: ",
}
ANOMALIES = {"anomaly", "anomaly-format"}
ENVELOPES = {"envelope", *ANOMALIES}
WITH_ORIGINAL = {*ENVELOPES, "delivery-complete", "delivery-brief"}
SUBJECT = "Perizia n. 12 — città"
MSGID = "<17.sample@client.example>"
PEC_RECIPIENTS = ("bruno@beta.example", "nessuno@beta.example", "carla@beta.example")

each = pytest.mark.parametrize("name", SAMPLES)
each_certified = pytest.mark.parametrize("name", [name for name in SAMPLES if name not in ANOMALIES])


class Emitted:
    """One sample, as bytes and as a mail program's library reads it."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.header = raw[: raw.index(b"\r\n\r\n") + 2].decode("ascii")
        message = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.message = message
        assert message.get_content_type() == "multipart/signed"
        content, signature = (part for part in message.iter_parts() if isinstance(part, EmailMessage))
        self.content: EmailMessage = content
        self.signature: EmailMessage = signature
        self.parts = [part for part in content.iter_parts() if isinstance(part, EmailMessage)]

    def part(self, name: str) -> EmailMessage:
        (found,) = [part for part in self.parts if part.get_filename() == name]
        return found

    @property
    def xml(self) -> bytes:
        payload = self.part("daticert.xml").get_payload(decode=True)
        assert isinstance(payload, bytes)
        return payload

    @property
    def data(self) -> _Element:
        return etree.fromstring(self.xml)

    @property
    def text(self) -> str:
        """The first text part there is."""
        plain = next(part for part in self.message.walk() if part.get_content_type() == "text/plain")
        assert isinstance(plain, EmailMessage)
        text = plain.get_content()
        assert isinstance(text, str)
        return text

    @property
    def enclosed(self) -> bytes:
        """The bytes of postacert.eml."""
        start = self.raw.index(b"\r\n\r\n", self.raw.index(b'filename="postacert.eml"')) + 4
        boundary = self.content.get_boundary()
        assert boundary is not None
        return self.raw[start : self.raw.index(f"\r\n--{boundary}".encode(), start)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lab's folder with keys, and samples in ``samples``."""
    folder = tmp_path_factory.mktemp("lab")
    arguments = ["lab", "emit", "all", "--dir", str(folder / "lab"), "--to", str(folder / "samples")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def samples(folder: Path) -> Mapping[str, Emitted]:
    return {name: Emitted((folder / "samples" / f"{name}.eml").read_bytes()) for name in SAMPLES}


def test_there_is_a_sample_of_every_kind(folder: Path) -> None:
    assert {sample.number for sample in SAMPLES.values()} == {f"T{number}" for number in range(1, 12)}
    assert {file.stem for file in (folder / "samples").iterdir()} == set(SAMPLES) == set(MARKER) == set(PREFIX)


@each
def test_point_1_one_marker_stands_at_the_top_level(samples: Mapping[str, Emitted], name: str) -> None:
    names = [found for found in ("X-Ricevuta", "X-Trasporto") if found in samples[name].message]
    assert names == [MARKER[name][0]]


@each
def test_points_2_and_3_markers_are_spelled_as_programs_search_for_them(
    samples: Mapping[str, Emitted], name: str
) -> None:
    marker, value = MARKER[name]
    header = samples[name].header
    assert re.findall(rf"(?m)^{marker}: (.*)\r$", header) == [value]
    for other in ("X-TipoRicevuta", "X-Riferimento-Message-ID", "X-VerificaSicurezza"):
        found = re.findall(rf"(?im)^({other}):( *)(.*)\r$", header)
        assert all((spelled, spaces) == (other, " ") and rest for spelled, spaces, rest in found)
    if name == "envelope":
        assert re.findall(r"(?m)^X-TipoRicevuta: (\w+)\r$", header) == ["completa"]


@each
def test_point_4_the_clients_own_identifier_comes_back_byte_for_byte(samples: Mapping[str, Emitted], name: str) -> None:
    found = re.findall(r"(?m)^X-Riferimento-Message-ID: (.*)\r$", samples[name].header)
    assert found == ([] if name in ANOMALIES else [MSGID])


@each
def test_point_5_viruses_are_marked(samples: Mapping[str, Emitted], name: str) -> None:
    about_virus = name in {"non-acceptance-virus", "non-delivery-virus"}
    assert ("\r\nX-VerificaSicurezza: errore\r\n" in samples[name].header) is about_virus
    assert ("\r\nX-Mittente: anna@alfa.example\r\n" in samples[name].header) is (name == "virus")


@each
def test_point_6_from_says_on_whose_behalf(samples: Mapping[str, Emitted], name: str) -> None:
    header = samples[name].header
    (sender,) = re.findall(r"(?m)^From: (.*)\r$", header)
    if name not in ENVELOPES:
        assert re.fullmatch(r"posta-certificata@(alfa|beta)\.example", sender)
        return
    author = "dora@mail.example" if name == "anomaly" else "anna@alfa.example"
    found = re.search(r"Per conto di: ([\w.-]+@[\w.-]+)", sender)
    assert found is not None
    assert found[1] == author
    assert re.search(r"<posta-certificata@(alfa|beta)\.example>$", sender)
    assert author in str(samples[name].message["Reply-To"])


@each
def test_point_7_the_subject_begins_with_its_prefix_in_plain_ascii(samples: Mapping[str, Emitted], name: str) -> None:
    prefix = PREFIX[name]
    assert str(samples[name].message["Subject"]) == prefix + SUBJECT
    raw = re.sub(r"\r\n(?=[ \t])", "", samples[name].header)  # unfolded
    assert f"\r\nSubject: {prefix}" in raw


def test_point_8_identifiers_are_unique_and_dates_can_be_read(samples: Mapping[str, Emitted]) -> None:
    own = [sample.message["Message-ID"] for name, sample in samples.items() if name not in ANOMALIES]
    assert len(set(own)) == len(own)
    for sample in samples.values():
        assert parsedate_to_datetime(sample.message["Date"]).utcoffset() is not None


@each
def test_point_9_return_path_is_the_sender_or_the_provider(samples: Mapping[str, Emitted], name: str) -> None:
    (found,) = re.findall(r"(?m)^Return-Path: <(.*)>\r$", samples[name].header)
    if name in ENVELOPES:
        assert found == ("dora@mail.example" if name == "anomaly" else "anna@alfa.example")
    else:
        assert re.fullmatch(r"posta-certificata@(alfa|beta)\.example", found)


@each
def test_points_10_12_14_and_15_the_tree_is_flat_and_in_order(samples: Mapping[str, Emitted], name: str) -> None:
    sample = samples[name]
    assert sample.content.get_content_type() == "multipart/mixed"
    types = ["multipart/alternative"]
    types += [] if name in ANOMALIES else ["application/xml"]
    types += ["message/rfc822"] if name in WITH_ORIGINAL else []
    assert [part.get_content_type() for part in sample.parts] == types
    assert [part.get_content_type() for part in sample.parts[0].iter_parts()] == ["text/plain", "text/html"]


@each
def test_points_11_and_16_files_are_named_twice_and_typed_exactly(samples: Mapping[str, Emitted], name: str) -> None:
    sample = samples[name]
    expected = {"smime.p7s": "application/pkcs7-signature"}
    expected |= {} if name in ANOMALIES else {"daticert.xml": "application/xml"}
    expected |= {"postacert.eml": "message/rfc822"} if name in WITH_ORIGINAL else {}
    for file, type_ in expected.items():
        assert re.search(rf'Content-Type: {type_}; name="{file}"\r\n'.encode(), sample.raw)
        assert f'filename="{file}"\r\n'.encode() in sample.raw
    assert sample.signature.get_filename() == "smime.p7s"
    assert sample.message.get_param("protocol") == "application/pkcs7-signature"
    assert b"*=" not in sample.header.encode()
    assert not re.search(rb"name\*", sample.raw)


@pytest.mark.parametrize("name", sorted(WITH_ORIGINAL))
def test_point_13_the_original_is_not_encoded(samples: Mapping[str, Emitted], name: str) -> None:
    part = samples[name].part("postacert.eml")
    assert part["Content-Transfer-Encoding"] in {None, "7bit", "8bit"}
    assert part.get_content_disposition() == "inline"


@pytest.mark.parametrize("name", sorted(WITH_ORIGINAL))
def test_point_17_fields_of_the_client_stand_untouched_inside(samples: Mapping[str, Emitted], name: str) -> None:
    inside = samples[name].enclosed
    assert b"\r\nX-Pratica: 2026/0017\r\n" in inside
    if name == "delivery-brief":
        hashed = email.message_from_bytes(inside, policy=email.policy.default)
        files = [part for part in hashed.walk() if part.get_filename()]
        assert [(part.get_content_type(), part.get_filename()) for part in files] == [
            ("text/plain", "perizia.pdf.hash")
        ]
        assert re.fullmatch(r"[0-9a-f]{40}\s*", str(files[0].get_payload()))


@each_certified
def test_point_18_the_certification_data_are_complete(samples: Mapping[str, Emitted], name: str) -> None:
    sample = samples[name]
    root = sample.data
    dtd = etree.DTD(str(DTD))
    assert dtd.validate(root), dtd.error_log
    assert sample.xml.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
    assert root.findtext("intestazione/risposte")
    assert root.xpath("intestazione/destinatari[@tipo]")
    assert b"<msgid>&lt;17.sample@client.example&gt;</msgid>" in sample.xml
    identifier = samples["envelope"].data.findtext("dati/identificativo")
    assert root.findtext("dati/identificativo") == identifier
    assert identifier == str(samples["envelope"].message["Message-ID"]).strip("<>")
    assert re.fullmatch(r"\d\d/\d\d/\d{4}", root.findtext("dati/data/giorno") or "")
    assert re.fullmatch(r"\d\d:\d\d:\d\d", root.findtext("dati/data/ora") or "")
    zone = root.find("dati/data")
    assert zone is not None
    assert re.fullmatch(r"[+-]\d{4}", zone.get("zona") or "")
    if MARKER[name][1] in {"avvenuta-consegna", "errore-consegna", "preavviso-errore-consegna"}:
        assert root.findtext("dati/consegna") in PEC_RECIPIENTS


@each_certified
def test_point_19_the_type_is_that_of_the_header(samples: Mapping[str, Emitted], name: str) -> None:
    assert samples[name].data.get("tipo") == MARKER[name][1]


@each_certified
def test_point_20_errors_are_those_of_the_dtd_and_say_why(samples: Mapping[str, Emitted], name: str) -> None:
    expected = {
        "non-acceptance": "altro",
        "non-acceptance-virus": "virus",
        "virus": "virus",
        "non-delivery-virus": "virus",
        "non-delivery": "no-dest",
        "timeout-first": "altro",
        "timeout-second": "altro",
    }
    root = samples[name].data
    assert root.get("errore", "nessuno") == expected.get(name, "nessuno")
    said = root.findtext("dati/errore-esteso")
    assert (said is not None) is (name in expected)
    if name in {"non-delivery", "timeout-first", "timeout-second"}:
        assert re.fullmatch(r"[45]\.\d\.\d+ - (Alfa|Beta) PEC - .+", said or "")


def test_point_21_the_texts_hold_the_phrases_that_programs_search_for(samples: Mapping[str, Emitted]) -> None:
    for name in ANOMALIES:
        assert "dati non sono stati certificati" in samples[name].text
    assert "Firma non presente o non autentica" in samples["anomaly"].text
    for recipient in PEC_RECIPIENTS:
        assert f'{recipient} ("posta certificata")' in samples["acceptance"].text
    for sample in samples.values():
        assert 0 <= sample.text.index("Il giorno") < sample.text.index("On ")  # Italian first


@each
def test_point_22_the_seal_holds_for_openssl(samples: Mapping[str, Emitted], folder: Path, name: str) -> None:
    sample, ca_file = samples[name], folder / "lab" / "email-ca.pem"
    assert sample.message.get_param("micalg") == "sha-256"
    command = ["openssl", "cms", "-verify", "-CAfile", str(ca_file), "-purpose", "smimesign"]
    verified = subprocess.run(command, input=sample.raw, capture_output=True, check=True)
    assert verified.stdout.startswith(b"Content-Type: multipart/mixed;")
    assert b"\n" not in sample.raw.replace(b"\r\n", b"")
    der = sample.signature.get_payload(decode=True)
    assert isinstance(der, bytes)
    shown = subprocess.run(
        ["openssl", "cms", "-cmsout", "-print", "-inform", "DER"], input=der, capture_output=True, check=True
    ).stdout.decode()
    assert "eContent: <ABSENT>" in shown
    assert "sha256 (2.16.840.1.101.3.4.2.1)" in shown
    assert shown.count("d.certificate:") == 2  # leaf and issuing authority
    certificates = subprocess.run(
        ["openssl", "pkcs7", "-inform", "DER", "-print_certs", "-text", "-noout"],
        input=der,
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert "E-mail Protection" in certificates
    assert f"email:{_address(sample)}\n" in certificates


def _address(sample: Emitted) -> str:
    (found,) = sample.message["From"].addresses
    return str(found.addr_spec)


def test_points_4_and_8_hold_for_the_bytes_that_base64_hides(samples: Mapping[str, Emitted]) -> None:
    """The certification data travel in base64 of one width, which every reader can undo."""
    for name, sample in samples.items():
        if name not in ANOMALIES:
            coded = str(sample.part("daticert.xml").get_payload()).split()
            assert base64.b64decode("".join(coded)) == sample.xml
            assert {len(line) for line in coded[:-1]} <= {76}
