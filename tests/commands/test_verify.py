"""``ceralacca verify``: its JSON, its exit codes, its report."""

import json
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.cli import app
from gateway.lab.authority import Authority
from providers.checks import CheckName
from providers.directory import sign_index, write_ldif
from providers.judgement import Verdict
from providers.sealing import seal
from receipts.brief import brief_copy
from receipts.octets import Octets
from receipts.scanner import scan
from receipts.wire import MessageKind
from tests.providers.authorities import AT, Network, network, records
from tests.receipts.golden import built, cases

BOUNDARY = "sg" + "0123456789abcdef" * 2
CHECKS = [
    *("structure", "digest", "signature", "chain", "validity", "key-usage", "index", "email", "from-domain"),
    *("form", "marker", "on-behalf", "sender-domain"),
]
AT_2026 = ("--at", AT.isoformat())


def ceralacca(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["verify", *map(str, arguments)])


def objects(*arguments: str | Path) -> list[dict[str, Any]]:
    found = json.loads(ceralacca("--json", *arguments).stdout)
    assert isinstance(found, list)
    return found


@pytest.fixture(scope="module")
def net() -> Network:
    return network()


@pytest.fixture(scope="module")
def folder(net: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Messages, authorities and indexes in files."""
    folder = tmp_path_factory.mktemp("verify")
    (folder / "root.pem").write_bytes(net.authority.root_pem)
    (folder / "email-ca.pem").write_bytes(net.authority.email_ca.pem)
    (folder / "other.pem").write_bytes(Authority.create([], AT).root_pem)
    (folder / "index.ldif").write_bytes(write_ldif(records(net)))
    signer = net.authority.index_signer().signer()
    (folder / "index.ldif.p7m").write_bytes(sign_index(write_ldif(records(net)), signer, AT))
    for kind, issued in (("envelope", net.alfa), ("delivery-complete", net.beta)):
        case = next(each for each in cases(kind) if each.name == "plain")
        message = seal(built(case), issued.signer(), at=AT, boundary=BOUNDARY).read()
        (folder / f"{kind}.eml").write_bytes(message)
        (folder / f"{kind}-changed.eml").write_bytes(message.replace(b"daticert.xml", b"DATICERT.XML"))
    (folder / "ordinary.eml").write_bytes(b"Subject: A\r\n\r\nCiao.\r\n")
    return folder


@pytest.fixture
def trusted(folder: Path) -> list[str | Path]:
    return ["--ca", folder / "root.pem", "--index", folder / "index.ldif.p7m", *AT_2026]


def test_json_is_a_list_of_objects_with_fixed_fields(folder: Path, trusted: list[str | Path], net: Network) -> None:
    first, second = objects(*trusted, folder / "envelope.eml", folder / "delivery-complete.eml")
    assert list(first) == ["file", "verdict", "kind", "signer", "certified", "checks"]
    assert (first["file"], first["verdict"], first["kind"]) == (str(folder / "envelope.eml"), "valid", "envelope")
    assert (second["verdict"], second["kind"]) == ("valid", "delivery")
    assert first["signer"] == {
        "subject": "CN=Posta Certificata,O=Alfa PEC,C=IT",
        "issuer": "CN=Ceralacca Lab E-mail CA,O=Ceralacca Lab,C=IT",
        "email": "posta-certificata@alfa.example",
        "sha256": net.alfa.certificate.fingerprint(net.alfa.certificate.signature_hash_algorithm).hex(),  # type: ignore[arg-type]
    }
    assert second["certified"] == {
        "type": "avvenuta-consegna",
        "error": "nessuno",
        "sender": "anna@alfa.example",
        "recipients": [{"address": "bruno@beta.example", "kind": "certificato"}],
        "reply_to": "anna@alfa.example",
        "subject": "Perizia n. 12",
        "provider": "Beta PEC S.p.A.",
        "at": "2025-02-03T08:41:07Z",
        "pec_msgid": "a1b2c3d420250203094107@alfa.example",
        "msgid": "<17@client.example>",
        "receipt_form": "completa",
        "delivered_to": "bruno@beta.example",
        "taken_for": [],
        "error_text": None,
    }
    assert [check["name"] for check in first["checks"]] == CHECKS
    assert {tuple(check) for check in first["checks"]} == {("name", "ok", "detail")}
    assert all(check["ok"] is True and check["detail"] for check in first["checks"])


def test_nothing_certified_is_null(folder: Path) -> None:
    (found,) = objects(folder / "ordinary.eml")
    assert (found["verdict"], found["kind"], found["signer"], found["certified"]) == ("unreadable", None, None, None)
    assert found["checks"][0]["ok"] is False


@pytest.mark.parametrize(
    ("files", "verdicts", "code"),
    [
        (["envelope.eml"], ["valid"], 0),
        (["envelope.eml", "delivery-complete.eml"], ["valid", "valid"], 0),
        (["envelope-changed.eml"], ["invalid"], 1),
        (["ordinary.eml"], ["unreadable"], 2),
        (["missing.eml"], ["unreadable"], 2),
        (["envelope.eml", "envelope-changed.eml"], ["valid", "invalid"], 1),
        (["ordinary.eml", "envelope-changed.eml", "envelope.eml"], ["unreadable", "invalid", "valid"], 2),
    ],
)
def test_the_exit_code_is_that_of_the_worst(
    folder: Path, trusted: list[str | Path], files: list[str], verdicts: list[str], code: int
) -> None:
    arguments = [*trusted, *(folder / file for file in files)]
    assert ceralacca(*arguments).exit_code == code
    assert [found["verdict"] for found in objects(*arguments)] == verdicts


@pytest.mark.parametrize(
    ("options", "undone"),
    [
        ([], {"chain", "index", "from-domain", "sender-domain"}),
        (["--ca", "root.pem"], {"index", "from-domain", "sender-domain"}),
        (["--index", "index.ldif"], {"chain"}),
        (["--index", "index.ldif.p7m"], {"chain", "index", "from-domain", "sender-domain"}),
    ],
    ids=["nothing", "authority", "plain index", "index without authority"],
)
def test_without_authority_or_index_it_is_untrusted(folder: Path, options: list[str], undone: set[str]) -> None:
    given = [folder / each if "." in each else each for each in options]
    result = ceralacca(*given, *AT_2026, folder / "envelope.eml")
    assert result.exit_code == 3
    (found,) = objects(*given, *AT_2026, folder / "envelope.eml")
    assert found["verdict"] == "untrusted"
    assert {check["name"] for check in found["checks"] if check["ok"] is None} == undone


def test_several_authorities_are_trusted_together(folder: Path) -> None:
    index = ("--index", folder / "index.ldif")
    both = ("--ca", folder / "other.pem", "--ca", folder / "email-ca.pem")
    assert ceralacca(*both, *index, *AT_2026, folder / "envelope.eml").exit_code == 0
    assert ceralacca(*both[:2], *index, *AT_2026, folder / "envelope.eml").exit_code == 1


def test_the_default_time_is_the_certified_one_and_said(folder: Path) -> None:
    """The golden messages are of 2025, the certificates of 2026."""
    trusted = ("--ca", folder / "root.pem", "--index", folder / "index.ldif.p7m")
    (found,) = objects(*trusted, folder / "envelope.eml")
    details = {check["name"]: check for check in found["checks"]}
    assert details["validity"]["ok"] is False
    assert "2025-02-03 08:41:07 UTC, the time of the signed certification data" in details["validity"]["detail"]
    assert "today" in details["validity"]["detail"]
    (asked,) = objects(*trusted, "--at", "2026-03-02T10:30:15+01:00", folder / "envelope.eml")
    assert asked["verdict"] == "valid"


def test_the_report_for_people_says_what_holds(folder: Path, trusted: list[str | Path]) -> None:
    text = ceralacca(*trusted, folder / "delivery-complete.eml").stdout
    assert f"{folder / 'delivery-complete.eml'}: valid\n" in text
    assert "It is a delivery receipt." in text
    assert "Sealed by Beta PEC (posta-certificata@beta.example)." in text
    assert "delivery to: bruno@beta.example" in text
    assert all(name in text for name in CHECKS)
    assert "note: judged at" in text


def test_what_others_wrote_cannot_steer_the_terminal(folder: Path, tmp_path: Path) -> None:
    message = (folder / "envelope.eml").read_bytes()
    odd = tmp_path / "odd.eml"
    odd.write_bytes(message.replace(b'From: "Per', b'From: "\x1b[2J\xe2\x80\xae\x07Per', 1))
    result = ceralacca(odd)
    assert result.exit_code == 1
    assert not {"\x1b", "\x07", "\u202e"} & set(result.stdout)


@pytest.mark.parametrize(
    "options",
    [
        ("--ca", "missing.pem"),
        ("--ca", "ordinary.eml"),
        ("--index", "missing.ldif"),
        ("--index", "ordinary.eml"),
        ("--at", "yesterday"),
    ],
)
def test_options_that_cannot_be_used_are_refused(folder: Path, options: tuple[str, str]) -> None:
    name, value = options
    result = ceralacca(name, folder / value if "." in value else value, folder / "envelope.eml")
    assert result.exit_code == 2
    assert result.stdout == ""


def test_an_index_that_was_tampered_with_is_not_used(folder: Path, tmp_path: Path) -> None:
    forged = tmp_path / "index.p7m"
    forged.write_bytes((folder / "index.ldif.p7m").read_bytes().replace(b"alfa.example", b"ALFA.example"))
    result = ceralacca("--ca", folder / "root.pem", "--index", forged, *AT_2026, folder / "envelope.eml")
    assert result.exit_code == 3
    assert "the index is not used" in result.stderr


def test_validity_today_is_only_a_note(folder: Path, trusted: list[str | Path]) -> None:
    (found,) = objects(*trusted, folder / "envelope.eml")
    validity = next(check for check in found["checks"] if check["name"] == "validity")
    assert validity["ok"] is True
    inside = AT <= datetime.now(UTC) <= AT.replace(year=2028)
    assert ("not valid today" in validity["detail"]) != inside


def test_the_page_about_it_names_every_check_and_kind() -> None:
    page = (Path(__file__).parents[2] / "docs" / "verify.md").read_text("utf-8")
    listed = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert (
        [name for name in listed if name not in set(Verdict)]
        == [*CHECKS, "enclosures", "revocation"]
        == list(CheckName)
    )
    assert [verdict for verdict in listed if verdict in set(Verdict)] == list(Verdict)
    assert all(f"`{kind}`" in page for kind in MessageKind)


@pytest.mark.parametrize("ending", [b"", b"\r\n"], ids=["plain", "empty-line-before-the-boundary"])
def test_the_shell_line_of_the_page_makes_the_hash_of_the_receipt(ending: bytes, tmp_path: Path) -> None:
    """Python's mail package, for one, leaves the empty line."""
    page = (Path(__file__).parents[2] / "docs" / "verify.md").read_text("utf-8")
    (line,) = (block for block in page.split("```") if "sha1sum" in block and "sed" in block)
    case = next(each for each in cases("delivery-brief") if each.name == "with-files")
    sent = re.sub(rb"(?=\r\n--)", ending, (case / "original.eml").read_bytes())
    kept = tmp_path / "sent.eml"
    kept.write_bytes(sent)
    done = subprocess.run(
        ["sh", "-c", line.replace("sent.eml", str(kept))], capture_output=True, check=True, timeout=60
    )
    stated = brief_copy(Octets.of(sent), scan(Octets.of(sent))).read()
    assert done.stdout.split()[0] in stated
    assert (done.stdout.split()[0] in (case / "expected.eml").read_bytes()) is (not ending)


def test_a_brief_receipt_is_compared_with_the_message_kept(
    folder: Path, trusted: list[str | Path], net: Network, tmp_path: Path
) -> None:
    case = next(each for each in cases("delivery-brief") if each.name == "with-files")
    receipt = tmp_path / "brief.eml"
    receipt.write_bytes(seal(built(case), net.beta.signer(), at=AT, boundary=BOUNDARY).read())
    (found,) = objects(*trusted, "--original", case / "original.eml", receipt)
    assert found["verdict"] == "valid"
    assert found["checks"][-1]["name"] == "enclosures"
    assert "perizia.pdf: matches the encoded part" in found["checks"][-1]["detail"]
    assert ceralacca(*trusted, "--original", folder / "envelope.eml", receipt).exit_code == 1
    assert ceralacca(*trusted, "--original", folder / "missing.eml", receipt).exit_code == 2
