"""Extracts hold what was asked for and nothing else, in forms that programs, people and courts can check."""

import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
from base64 import b64decode
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway.app import extracts
from gateway.app.extracts import Form, periods, periods_as, write_extract
from gateway.flows.pdf import LINE_CHARACTERS, SignedPdf, shown_in_pdf
from gateway.flows.register_extract import Origin
from gateway.storage import accounts, domains, register
from gateway.storage.accounts import NewAccount
from gateway.storage.engine import Storage
from gateway.storage.extracts import Selection, extracted
from gateway.storage.register import Event, RegisterEntry
from tests.flows.credentials import ROME, START, authority, credential
from tests.flows.house import HandClock
from tests.flows.legal import Legal, openssl

ANNA, BRUNO = "anna@alfa.example", "bruno@beta.example"
HOSTILE = '=HYPERLINK("http://evil.example")\r\n\x1b[31m中'


def entry(at: datetime, number: int, **facts: object) -> RegisterEntry:
    defaults = {
        "event": Event.SUBMISSION,
        "at": at,
        "pec_msgid": f"{number}@alfa.example",
        "msgid": f"<{number}@client.example>",
        "sender": ANNA,
        "recipients": (BRUNO,),
        "subject": f"Perizia {number}",
        "provider": "Alfa PEC",
    }
    return RegisterEntry(**defaults | facts)  # type: ignore[arg-type]


@pytest.fixture
async def legal(storage: Storage, clock: HandClock) -> Legal:
    """Five rows: two of a closed day, two linked today, one not linked yet."""
    legal = Legal(storage, clock)
    await legal.storage.write(
        lambda connection: register.append(
            connection,
            [
                entry(START, 1),
                entry(START + timedelta(hours=1), 2, sender="Carla@BETA.example", subject=HOSTILE),
            ],
        )
    )
    await legal.link()
    clock.pass_(days=1)
    assert await legal.closing() == 1
    today = [
        entry(clock.now(), 1, event=Event.TRACKING, detail="delivered"),
        entry(clock.now(), 3, recipients=(BRUNO, "anna_x@alfa.example"), sender="other@alfa.example"),
    ]
    await legal.storage.write(lambda connection: register.append(connection, today))
    await legal.link()
    last = [entry(clock.now() + timedelta(seconds=1), 4, sender=None, account=ANNA, recipients=())]
    await legal.storage.write(lambda connection: register.append(connection, last))
    return legal


def found(legal: Legal, **asked: object) -> list[int]:
    selection = Selection(**asked)  # type: ignore[arg-type]
    return [one.row.id for one in extracted(legal.storage.read_now, selection, lambda _: None)]


@pytest.mark.parametrize(
    ("asked", "rows"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"message": "1@alfa.example"}, [1, 3]),
        ({"message": "<1@alfa.example>"}, [1, 3]),
        ({"message": "<2@client.example>"}, [2]),
        ({"message": "2@client.example"}, [2]),
        ({"message": "%"}, []),
        ({"address": "ANNA@alfa.EXAMPLE"}, [1, 3, 5]),
        ({"address": "carla@beta.example"}, [2]),
        ({"address": "anna_x@alfa.example"}, [4]),
        ({"address": "anna-x@alfa.example"}, []),
        ({"address": "%@alfa.example"}, []),
        ({"address": "nna@alfa.example"}, []),
        ({"since": START + timedelta(hours=1)}, [2, 3, 4, 5]),
        ({"until": START + timedelta(hours=1)}, [1]),
        ({"since": START, "until": START + timedelta(hours=2), "address": BRUNO}, [1, 2]),
        ({"message": "1@alfa.example", "since": START + timedelta(hours=1)}, [3]),
    ],
)
async def test_what_is_asked_for_is_found(legal: Legal, asked: dict[str, object], rows: list[int]) -> None:
    assert found(legal, **asked) == rows


async def test_rows_come_page_by_page(legal: Legal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.storage.extracts.READ_AT_ONCE", 2)
    told: list[int] = []
    rows = extracted(legal.storage.read_now, Selection(), told.append)
    assert [one.row.id for one in rows] == [1, 2, 3, 4, 5]
    assert told == [2, 4, 5]


async def test_each_row_says_where_it_stands(legal: Legal) -> None:
    rows = list(extracted(legal.storage.read_now, Selection(), lambda _: None))
    assert [(one.position, one.segment) for one in rows] == [(1, 1), (2, 1), (3, None), (4, None), (None, None)]
    for one in rows:
        assert hashlib.sha256(one.text.encode()).digest() == one.sha256


def extract(legal: Legal, form: Form, file: io.BufferedRandom | io.BytesIO, **asked: object) -> int:
    selection = Selection(**asked)  # type: ignore[arg-type]
    origin = Origin(provider="Alfa PEC", domain="alfa.example", zone=ROME, selection=selection, at=START)
    return write_extract(legal.storage, origin, form, file, lambda: legal.signer, lambda _: None)  # type: ignore[arg-type]


async def test_csv_holds_all_facts_and_no_formulas(legal: Legal) -> None:
    file = io.BytesIO()
    assert extract(legal, Form.CSV, file) == 5
    rows = list(csv.DictReader(io.StringIO(file.getvalue().decode(), newline="")))
    assert rows[0]["at"] == "2026-03-02T08:30:15.123456+00:00"
    assert rows[3]["recipients"] == "bruno@beta.example anna_x@alfa.example"
    assert rows[1]["subject"] == f"'{HOSTILE}"
    assert [row["segment"] for row in rows] == ["1", "1", "", "", ""]


async def test_json_holds_what_an_expert_needs(legal: Legal, tmp_path: Path) -> None:
    file = io.BytesIO()
    assert extract(legal, Form.JSON, file, until=START + timedelta(days=1)) == 2
    whole = json.loads(file.getvalue())
    assert (whole["provider"], whole["count"]) == ("Alfa PEC", 2)
    assert whole["rows"][1]["subject"] == HOSTILE
    for row in whole["rows"]:
        assert hashlib.sha256(row["hashed"].encode()).hexdigest() == row["sha256"]
    (segment,) = whole["segments"]
    (tmp_path / "statement").write_text(segment["statement"])
    (tmp_path / "signature").write_bytes(b64decode(segment["signature"]))
    (tmp_path / "roots.pem").write_bytes(authority().root_pem)
    command = "cms -verify -binary -inform DER -in signature -content statement -CAfile roots.pem -out out"
    openssl(tmp_path, *command.split())


async def test_json_of_nothing_is_json(legal: Legal) -> None:
    file = io.BytesIO()
    assert extract(legal, Form.JSON, file, message="nothing@alfa.example") == 0
    whole = json.loads(file.getvalue())
    assert (whole["rows"], whole["segments"], whole["count"]) == ([], [], 0)


async def test_the_pdf_is_signed_and_says_it_all(legal: Legal, tmp_path: Path) -> None:
    with (tmp_path / "extract.pdf").open("w+b") as file:
        assert extract(legal, Form.PDF, file) == 5
    _signed(tmp_path)
    said = _words(tmp_path)
    assert "Extract from the legal register of Alfa PEC (alfa.example)" in said
    assert "2026-03-02 09:30:15.123+01:00 submission" in said
    assert "<U+000D><U+000A><U+001B>[31m<U+4E2D>" in said
    assert "row 5, not linked yet" in said
    assert "row 3, position 3, its day is not closed yet" in said
    assert f"SHA-256 of its statement {hashlib.sha256(legal.segments()[0].statement).hexdigest()}" in said


def _signed(folder: Path) -> None:
    """Cut the signature out of the file, and let OpenSSL hold it against the rest."""
    data = (folder / "extract.pdf").read_bytes()
    _, _, after = data.partition(b"/ByteRange [")
    first, length, second, rest = map(int, after.partition(b"]")[0].split())
    assert first == 0
    assert second + rest == len(data), "all of it is signed"
    signature = bytes.fromhex(data[length + 1 : second - 1].decode())
    size = int.from_bytes(signature[2:4], "big") + 4
    (folder / "signature").write_bytes(signature[:size])
    (folder / "content").write_bytes(data[:length] + data[second:])
    (folder / "roots.pem").write_bytes(authority().root_pem)
    command = "cms -verify -binary -inform DER -in signature -content content -CAfile roots.pem -out out"
    openssl(folder, *command.split())


def _poppler(program: str, folder: Path, *arguments: str) -> str:
    if shutil.which(program) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{program} is not installed (apt: poppler-utils)")
        pytest.skip(f"{program} is not installed (apt: poppler-utils)")
    done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


def _words(folder: Path) -> str:
    """What a reader that is not ours finds in the document, spaces made one."""
    return " ".join(_poppler("pdftotext", folder, "-layout", "extract.pdf", "-").split())


async def test_a_reader_of_pdf_finds_the_signature_good(legal: Legal, tmp_path: Path) -> None:
    with (tmp_path / "extract.pdf").open("w+b") as file:
        extract(legal, Form.PDF, file)
    said = _poppler("pdfsig", tmp_path, "-nocert", "extract.pdf")
    assert "Signature is Valid" in said
    assert "Total document signed" in said
    assert "O=Alfa PEC" in said


def test_a_long_pdf_has_all_its_pages(tmp_path: Path) -> None:
    with (tmp_path / "extract.pdf").open("w+b") as file:
        pdf = SignedPdf(file, credential("alfa.example").signer, title="Long", at=START)
        for number in range(1_000):
            pdf.line(f"number {number} {'word ' * (number % 50)}")
        pdf.line("x" * 400)
        pdf.end()
    _signed(tmp_path)
    said = _words(tmp_path)
    assert all(f"number {number}" in said for number in range(1_000))
    assert said.count("x" * (LINE_CHARACTERS - 2)) == 3


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain", "plain"), ("Città €", "Città €"), ("中", "<U+4E2D>"), ("a\nb", "a<U+000A>b"), ("\x85", "<U+0085>")],
)
def test_letters_that_are_not_there_are_named(text: str, shown: str) -> None:
    assert shown_in_pdf(text) == shown


def test_a_file_that_is_not_finished_has_no_name(tmp_path: Path) -> None:
    def half() -> None:
        with extracts.new_file(tmp_path / "x") as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert list(tmp_path.iterdir()) == []


class TestFigures:
    async def test_every_two_months_are_counted_in_legal_time(self, storage: Storage) -> None:
        midnight = datetime(2026, 3, 1, 0, 0, tzinfo=ROME)
        rows = [
            entry(midnight - timedelta(microseconds=1), 1),
            entry(midnight, 2),
            entry(midnight, 2, detail="it came before: nothing is done again"),
            entry(midnight, 2, event=Event.EMISSION, detail="acceptance"),
            entry(midnight, 2, event=Event.EMISSION, detail="envelope"),
            entry(midnight, 3, event=Event.REFUSAL, detail="Bcc"),
            entry(midnight, 4, event=Event.RECEPTION, detail="envelope"),
            entry(midnight, 4, event=Event.RECEPTION, detail="it came before: nothing is done again"),
            entry(midnight, 4, event=Event.DELIVERY, detail="envelope"),
            entry(midnight, 4, event=Event.DELIVERY, detail="envelope"),
            entry(midnight, 4, event=Event.EMISSION, detail="take-charge"),
        ]

        def prepare(connection: object) -> None:
            register.append(connection, rows)  # type: ignore[arg-type]
            domains.add_domain(connection, "alfa.example", midnight)  # type: ignore[arg-type]
            accounts.add_account(connection, NewAccount(address=ANNA, at=midnight))  # type: ignore[arg-type]

        await storage.write(prepare)
        first, second = periods(storage, ROME, None, datetime(2026, 4, 1, tzinfo=ROME))
        assert (first.row()["from"], first.row()["to"]) == ("2026-01-01", "2026-02-28")
        assert (first.figures.sent, first.figures.boxes) == (1, 0)
        assert (second.row()["from"], second.row()["to"]) == ("2026-03-01", "2026-04-30")
        got = second.figures
        assert (got.sent, got.refused, got.received, got.delivered, got.boxes) == (1, 1, 1, 2, 1)
        assert got.emitted == {"acceptance": 1, "envelope": 1, "take-charge": 1}
        table = list(csv.DictReader(io.StringIO(periods_as(Form.CSV, [first, second]))))
        assert [row["messages sent"] for row in table] == ["1", "1"]
        assert json.loads(periods_as(Form.JSON, [second]))[0]["deliveries"] == 2
        assert "messages received" in periods_as(None, [first, second])

    def test_of_an_empty_register_there_are_none(self, storage: Storage) -> None:
        assert periods(storage, ROME, None, START) == []
        assert periods_as(None, []) == "nothing is registered\n"
