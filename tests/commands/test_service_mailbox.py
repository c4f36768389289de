"""``ceralacca service-mailbox`` and ``domain subaddress``."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection
from typer.testing import CliRunner, Result

from config.example import example_toml
from gateway.cli import app
from gateway.storage import accounts, content, mailboxes
from gateway.storage.batch import batch_of
from gateway.storage.engine import Storage
from gateway.storage.mailboxes import NewMessage
from receipts.octets import Octets

AT = datetime(2026, 7, 1, 10, 0, tzinfo=UTC)
SERVICE = "posta-certificata@alfa.example"
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    file = tmp_path / "gateway.toml"
    file.write_text(example_toml())
    monkeypatch.setenv("CERALACCA_STORAGE__URL", f"sqlite:///{tmp_path}/ceralacca.sqlite")
    monkeypatch.setenv("CERALACCA_PROVIDER__DOMAIN", "alfa.example")
    monkeypatch.setenv("CERALACCA_PROVIDER__SERVICE_ADDRESS", SERVICE)

    def ceralacca(*arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--config", str(file)])

    assert ceralacca("domain", "add", "alfa.example").exit_code == 0
    return ceralacca


@pytest.fixture
def filed(run: Run, tmp_path: Path) -> Run:
    """With a take-charge receipt, a virus notice and two messages that strayed."""
    storage = Storage.open(f"sqlite:///{tmp_path}/ceralacca.sqlite")

    def file(connection: Connection) -> None:
        box = accounts.mailbox_of(connection, SERVICE)
        assert box is not None
        new = []
        for number, kind in enumerate(("take-charge", "anomaly", "virus", "envelope")):
            message = Octets.of(f"Subject: {kind}\r\n\r\nx\r\n".encode())
            new.append(
                NewMessage(
                    mailbox_id=box.id,
                    token=f"{number:032x}",
                    body_id=content.save(connection, message, AT),
                    size=message.size,
                    kind=kind,
                    at=AT + timedelta(minutes=number),
                    return_path="" if kind == "anomaly" else "posta-certificata@beta.example",
                    pec_msgid="1@beta.example" if kind != "anomaly" else None,
                )
            )
        mailboxes.deliver(connection, new)
        batch_of(connection)

    storage.write_now(file)
    storage.close()
    return run


def test_all_of_it_is_listed_and_what_strayed_is_marked(filed: Run) -> None:
    lines = filed("service-mailbox", "list").output.splitlines()
    assert [line.split()[3] for line in lines[:-1]] == ["envelope", "virus", "anomaly", "take-charge"]
    assert [line.endswith("strayed") for line in lines[:-1]] == [True, False, True, False]
    assert lines[-1] == "4 shown, 2 of them strayed"
    assert "from <>" in lines[2]
    assert "about 1@beta.example" in lines[0]


def test_only_what_strayed_as_json(filed: Run) -> None:
    found = json.loads(filed("service-mailbox", "list", "--strayed", "--json").output)
    assert [(one["kind"], one["strayed"]) for one in found] == [("envelope", True), ("anomaly", True)]
    assert found[0]["at"] == "2026-07-01T10:03:00Z"
    assert "1 shown" in filed("service-mailbox", "list", "--limit", "1").output


def test_a_message_is_shown_byte_for_byte(filed: Run) -> None:
    number = json.loads(filed("service-mailbox", "list", "--json").output)[1]["number"]
    assert filed("service-mailbox", "show", str(number)).stdout_bytes == b"Subject: virus\r\n\r\nx\r\n"
    missing = filed("service-mailbox", "show", "999")
    assert (missing.exit_code, "no such message" in missing.output) == (1, True)


def test_a_domain_divides_its_addresses_or_not(run: Run) -> None:
    assert run("domain", "subaddress", "alfa.example").output == "alfa.example: addresses are taken as they are\n"
    assert run("domain", "subaddress", "alfa.example", "+").output == "alfa.example: anna+anything leads to anna\n"
    assert run("domain", "subaddress", "alfa.example").output == "alfa.example: anna+anything leads to anna\n"
    assert "taken as they are" in run("domain", "subaddress", "alfa.example", "off").output


@pytest.mark.parametrize("arguments", [["alfa.example", "%"], ["alfa.example", "++"], ["other.example", "+"]])
def test_what_cannot_divide_is_refused(run: Run, arguments: list[str]) -> None:
    assert run("domain", "subaddress", *arguments).exit_code == 1
