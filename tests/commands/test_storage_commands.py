"""``ceralacca domain|account|queue|trace|register`` on a real storage."""

import fcntl
import json
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from typer.testing import CliRunner, Result

from config.example import example_toml
from gateway.cli import app
from gateway.drivers.passwords import device_lookup, is_device, is_password
from gateway.points.tracking import RecipientState
from gateway.storage import accounts, certified, chain, content, outbox, register, signins
from gateway.storage.accounts import BoxKind
from gateway.storage.certified import NewCertifiedMessage, NewRecipient
from gateway.storage.engine import Storage
from gateway.storage.outbox import NewOutboxRow
from gateway.storage.register import Event, RegisterEntry
from gateway.storage.signins import Use
from receipts.octets import Octets
from receipts.wire import ReceiptForm, RecipientKind

AT = datetime(2026, 7, 1, 10, 0, tzinfo=UTC)
PASSWORD = "correct horse battery"
SERVICE = "posta-certificata@alfa.example"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration whose storage does not exist yet."""
    file = tmp_path / "gateway.toml"
    url = f'url = "sqlite:///{tmp_path}/data/ceralacca.sqlite"'
    lines = example_toml().splitlines()
    file.write_text("\n".join(url if line.lstrip("# ").startswith('url = "sqlite') else line for line in lines))
    monkeypatch.setenv("CERALACCA_PROVIDER__DOMAIN", "alfa.example")
    monkeypatch.setenv("CERALACCA_PROVIDER__SERVICE_ADDRESS", SERVICE)
    return file


Run = Callable[..., Result]


@pytest.fixture
def ceralacca(config: Path) -> Run:
    def run(*arguments: str, given: str | None = None) -> Result:
        return CliRunner().invoke(app, [*arguments, "--config", str(config)], input=given)

    return run


@pytest.fixture
def opened(config: Path, tmp_path: Path, ceralacca: Run) -> Callable[[], Storage]:
    """The storage of the commands, with a domain and an account."""
    assert ceralacca("domain", "add", "alfa.example").exit_code == 0
    assert ceralacca("account", "add", "anna@alfa.example", given=PASSWORD + "\n").exit_code == 0
    return lambda: Storage.open(f"sqlite:///{tmp_path}/data/ceralacca.sqlite")


def test_the_first_domain_brings_operator_and_service(ceralacca: Run, opened: Callable[[], Storage]) -> None:
    storage = opened()
    found = storage.read_now(
        lambda connection: accounts.mailboxes_of(
            connection, [SERVICE, "postmaster@alfa.example", "ABUSE@alfa.example", "nobody@alfa.example"]
        )
    )
    storage.close()
    assert {address: box.kind for address, box in found.items()} == {
        SERVICE: BoxKind.SERVICE,
        "postmaster@alfa.example": BoxKind.OPERATOR,
        "ABUSE@alfa.example": BoxKind.OPERATOR,
    }
    assert ceralacca("domain", "list").output == "alfa.example\n"


def test_a_domain_can_be_added_twice_and_nonsense_cannot(ceralacca: Run) -> None:
    assert ceralacca("domain", "add", "Alfa.Example").output == "alfa.example: added\n"
    assert ceralacca("domain", "add", "alfa.example").output == "alfa.example: is ours already\n"
    for nonsense in ("alfa", "a b.example", "@x.example", "-", "[127.0.0.1]"):
        result = ceralacca("domain", "add", "--", nonsense)
        assert result.exit_code != 0, nonsense


def test_the_password_of_a_new_account_comes_from_standard_input(opened: Callable[[], Storage]) -> None:
    storage = opened()
    credentials = storage.read_now(lambda connection: accounts.credentials_of(connection, "anna@alfa.example"))
    storage.close()
    assert credentials is not None
    assert credentials.password is not None
    assert credentials.password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert is_password(credentials.password, PASSWORD)


def test_no_option_takes_a_password(ceralacca: Run) -> None:
    """What stands on a command line, everybody on the machine can read."""
    for command in ("add", "password"):
        text_ = CliRunner().invoke(app, ["account", command, "--help"]).output
        assert "--password" not in text_
    refused = ceralacca("account", "add", "anna@alfa.example", PASSWORD)
    assert refused.exit_code == 2


def test_a_terminal_is_asked_twice_and_shows_nothing(config: Path, opened: Callable[[], Storage]) -> None:
    shown = _typed(config, "account", "add", "bruno@alfa.example", lines=[PASSWORD, PASSWORD])
    assert "added" in shown
    assert PASSWORD not in shown
    storage = opened()
    credentials = storage.read_now(lambda connection: accounts.credentials_of(connection, "bruno@alfa.example"))
    storage.close()
    assert credentials is not None
    assert is_password(credentials.password or "", PASSWORD)


def _typed(config: Path, *arguments: str, lines: list[str]) -> str:
    """Run a command on a terminal, typing a line at each prompt; everything that the terminal showed."""
    main, other = pty.openpty()
    command = [sys.executable, "-m", "gateway.cli", *arguments, "--config", str(config)]
    process = subprocess.Popen(
        command,
        stdin=other,
        stdout=other,
        stderr=other,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(other)
    shown, waiting = "", list(lines)
    while True:
        try:
            data = os.read(main, 4096)
        except OSError:  # the other side is closed
            break
        if not data:
            break
        shown += data.decode()
        if waiting and shown.endswith(": "):
            os.write(main, waiting.pop(0).encode() + b"\n")
    process.wait()
    os.close(main)
    return shown


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (SERVICE, "service address"),
        ("Posta-Certificata@ALFA.example", "service address"),
        ("postmaster@alfa.example", "operator"),
        ("Abuse@alfa.example", "operator"),
        ("anna@alfa.example", "exists"),
        ("ANNA@Alfa.Example", "exists"),
        ("anna@beta.example", "not a domain of this provider"),
        ("anna", "no address"),
        ("anna@[127.0.0.1]", "no address"),
    ],
)
def test_addresses_that_are_nobodys_are_refused(
    ceralacca: Run, opened: Callable[[], Storage], address: str, reason: str
) -> None:
    result = ceralacca("account", "add", address, given=PASSWORD + "\n")
    assert result.exit_code == 1
    assert reason in result.output
    alias = ceralacca("account", "alias", "anna@alfa.example", address)
    assert alias.exit_code == 1
    assert reason in alias.output


@pytest.mark.parametrize("bad", ["", "short", "x" * 1_025])
def test_passwords_too_short_or_too_long_are_refused(ceralacca: Run, opened: Callable[[], Storage], bad: str) -> None:
    result = ceralacca("account", "add", "bruno@alfa.example", given=bad + "\n")
    assert result.exit_code == 1
    assert "8 to 1024" in result.output
    assert "bruno" not in ceralacca("account", "list").output


def test_an_account_is_disabled_and_enabled(ceralacca: Run, opened: Callable[[], Storage]) -> None:
    assert ceralacca("account", "disable", "anna@alfa.example").exit_code == 0
    assert "anna@alfa.example  user  disabled" in ceralacca("account", "list").output
    assert ceralacca("account", "enable", "anna@alfa.example").exit_code == 0
    assert "disabled" not in ceralacca("account", "list").output
    assert ceralacca("account", "disable", "nobody@alfa.example").exit_code == 1


def test_a_password_is_replaced(ceralacca: Run, opened: Callable[[], Storage]) -> None:
    assert ceralacca("account", "password", SERVICE, given="another password\n").exit_code == 0
    storage = opened()
    credentials = storage.read_now(lambda connection: accounts.credentials_of(connection, SERVICE))
    storage.close()
    assert credentials is not None
    assert is_password(credentials.password or "", "another password")


def test_a_device_gets_a_password_once_and_loses_it(ceralacca: Run, opened: Callable[[], Storage]) -> None:
    secret = ceralacca("account", "device", "anna@alfa.example", "telephone").output.strip()
    lookup = device_lookup(secret)
    assert lookup is not None
    storage = opened()
    credentials = storage.read_now(lambda connection: accounts.credentials_of(connection, "anna@alfa.example"))
    assert credentials is not None
    assert is_device(credentials.devices[lookup], secret)
    listed = ceralacca("account", "devices", "anna@alfa.example").output
    assert listed.splitlines()[1].startswith(lookup)
    assert "telephone" in listed
    assert secret not in listed
    assert ceralacca("account", "revoke", SERVICE, lookup).exit_code == 1, "a device of somebody else"
    assert ceralacca("account", "revoke", "anna@alfa.example", lookup).exit_code == 0
    after = storage.read_now(lambda connection: accounts.credentials_of(connection, "anna@alfa.example"))
    storage.close()
    assert after is not None
    assert after.devices == {}
    assert after.account.changed_at > credentials.account.changed_at


def test_a_storage_that_was_never_made_is_named(ceralacca: Run) -> None:
    result = ceralacca("queue", "list")
    assert result.exit_code == 3
    assert "storage" in result.output


@pytest.fixture
def message(opened: Callable[[], Storage]) -> Storage:
    """A message to two recipients, one of whom has it; the other copy waits."""
    storage = opened()
    storage.write_now(_message)
    return storage


def _message(connection: Connection) -> None:
    account = accounts.account_by_address(connection, "anna@alfa.example")
    assert account is not None
    body = content.save(connection, Octets.of(b"x"), AT)
    recipients = tuple(
        NewRecipient(
            address=address, kind=RecipientKind.CERTIFIED, role="to", provider="Beta", state=RecipientState.ACCEPTED
        )
        for address in ("bruno@beta.example", "carla@gamma.example")
    )
    new = NewCertifiedMessage(
        pec_msgid="opec1@alfa.example",
        msgid="<17@client.example>",
        account_id=account.id,
        sender="anna@alfa.example",
        reply_to="anna@alfa.example",
        subject="Contratto \x1b[31m rosso",
        receipt_form=ReceiptForm.COMPLETE,
        at=AT,
        original_body_id=body,
        envelope_body_id=body,
        recipients=recipients,
    )
    certified.add_message(connection, new)
    rows = [
        NewOutboxRow(
            body_id=body,
            kind="envelope",
            reverse_path="anna@alfa.example",
            forward_path=f"someone@{domain}",
            domain=domain,
            certified=True,
            pec_msgid="opec1@alfa.example",
            at=AT,
        )
        for domain in ("beta.example", "gamma.example")
    ]
    outbox.enqueue(connection, rows)
    certified.advance(
        connection,
        "opec1@alfa.example",
        "bruno@beta.example",
        RecipientState.DELIVERED,
        AT,
        from_states={RecipientState.ACCEPTED},
    )
    entries = [
        RegisterEntry(event=event, at=AT, pec_msgid="opec1@alfa.example", msgid="<17@client.example>", detail=detail)
        for event, detail in ((Event.SUBMISSION, None), (Event.EMISSION, "acceptance"))
    ]
    register.append(connection, entries)


def test_the_queue_is_listed_held_and_tried_again(ceralacca: Run, message: Storage) -> None:
    listed = json.loads(ceralacca("queue", "list", "--json").output)
    assert [(row["forward_path"], row["held"]) for row in listed] == [
        ("someone@beta.example", False),
        ("someone@gamma.example", False),
    ]
    first = str(listed[0]["id"])
    assert ceralacca("queue", "hold", first).output == "1 held\n"
    assert "2 waiting, 1 of them held" in ceralacca("queue", "list").output
    held = json.loads(ceralacca("queue", "list", "--held", "--json").output)
    assert [row["id"] for row in held] == [int(first)]
    assert ceralacca("queue", "retry", "--domain", "beta.example").output == "1 due now\n"
    assert "0 of them held" in ceralacca("queue", "list").output
    assert ceralacca("queue", "hold", "--all").output == "2 held\n"
    assert ceralacca("queue", "retry", "12345").exit_code == 1
    assert ceralacca("queue", "retry").exit_code == 1, "nobody retries everything by leaving something out"
    message.close()


def test_the_queue_has_no_way_to_delete(ceralacca: Run) -> None:
    for word in ("delete", "remove", "rm", "flush", "purge"):
        assert ceralacca("queue", word).exit_code == 2


@pytest.mark.parametrize(
    "term",
    [
        "opec1@alfa.example",
        "<opec1@alfa.example>",
        "<17@client.example>",
        "17@client.example",
        "Anna@ALFA.example",
        "carla@gamma.example",
    ],
)
def test_a_message_is_traced_by_any_of_its_names(ceralacca: Run, message: Storage, term: str) -> None:
    result = ceralacca("trace", term)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == "opec1@alfa.example"
    assert "  bruno@beta.example: delivered at 2026-07-01 12:00:00+02:00" in lines
    assert "  carla@gamma.example: accepted at 2026-07-01 12:00:00+02:00" in lines
    assert "  waiting: envelope to someone@beta.example, 0 attempts" in lines
    assert "    2026-07-01 12:00:00+02:00  submission" in lines
    assert "    2026-07-01 12:00:00+02:00  emission (acceptance)" in lines
    assert "\x1b" not in result.output, "a subject paints no terminal"
    message.close()


def test_a_trace_in_json_holds_the_same(ceralacca: Run, message: Storage) -> None:
    (found,) = json.loads(ceralacca("trace", "opec1@alfa.example", "--json").output)
    assert found["pec_msgid"] == "opec1@alfa.example"
    states = {recipient["address"]: recipient["state"] for recipient in found["sent"]["recipients"]}
    assert states == {"bruno@beta.example": "delivered", "carla@gamma.example": "accepted"}
    assert [event["event"] for event in found["events"]] == ["submission", "emission"]
    assert len(found["waiting"]) == 2
    message.close()


def test_what_is_unknown_has_no_story(ceralacca: Run, message: Storage) -> None:
    result = ceralacca("trace", "nobody@nowhere.example")
    assert result.exit_code == 1
    assert "nothing is known" in result.output
    message.close()


def test_the_register_is_verified(ceralacca: Run, message: Storage) -> None:
    result = ceralacca("register", "verify", "--no-seals")
    assert result.exit_code == 0
    assert result.output == "2 rows, 0 links\nnot linked yet: 1 to 2\nthe register is whole\n"
    message.write_now(lambda connection: chain.link(connection, "test", AT))
    assert ceralacca("register", "verify", "--no-seals").output == "2 rows, 2 links\nthe register is whole\n"

    def tamper(connection: Connection) -> None:
        connection.execute(text("DROP TRIGGER register_unchanged"))
        connection.execute(text("UPDATE register SET detail = 'x' WHERE id = 2"))

    message.write_now(tamper)
    result = ceralacca("register", "verify", "--no-seals")
    assert result.exit_code == 1
    assert "first bad place: row 2 was changed" in result.output
    as_json = json.loads(ceralacca("register", "verify", "--no-seals", "--json").output)
    assert (as_json["whole"], as_json["rows"], as_json["links"], as_json["unlinked"]) == (False, 2, 2, [])
    assert as_json["faults"] == ["row 2 was changed"] == [as_json["first_bad_place"]]
    message.close()


def test_how_programs_sign_in_is_said_and_set(ceralacca: Run, opened: Callable[[], Storage]) -> None:
    shown = ceralacca("account", "access", "anna@alfa.example").output
    assert shown == "protocols: imap, pop3, smtp, sieve\npasswords: any\n"
    assert ceralacca("account", "device", "anna@alfa.example", "telephone").exit_code == 0
    set_ = ceralacca("account", "access", "anna@alfa.example", "--protocols", "IMAP, smtp", "--devices-only")
    assert set_.output == "protocols: imap, smtp\npasswords: of devices only\n"
    assert ceralacca("account", "access", "anna@alfa.example").output == set_.output
    back = ceralacca("account", "access", "anna@alfa.example", "--protocols", "all", "--any-password")
    assert back.output == "protocols: imap, pop3, smtp, sieve\npasswords: any\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--protocols", "telnet"), "'telnet': a protocol is imap, pop3, smtp, sieve; or all"),
        (("--protocols", ""), "'': a protocol is imap, pop3, smtp, sieve; or all"),
        (("--devices-only",), "anna@alfa.example has no device password yet; `ceralacca account device` makes one"),
    ],
)
def test_terms_that_would_shut_the_holder_out_are_refused(
    ceralacca: Run, opened: Callable[[], Storage], arguments: tuple[str, ...], reason: str
) -> None:
    refused = ceralacca("account", "access", "anna@alfa.example", *arguments)
    assert (refused.exit_code, refused.output) == (1, f"{reason}\n")


def test_devices_show_when_they_were_used(ceralacca: Run, opened: Callable[[], Storage]) -> None:
    secret = ceralacca("account", "device", "anna@alfa.example", "telephone").output.strip()
    lookup = device_lookup(secret)
    assert lookup is not None
    use = Use(account_id=1, lookup=lookup, protocol="imap", address="192.0.2.7", network="192.0.2.7", at=AT)
    storage = opened()
    account = storage.read_now(lambda connection: accounts.account_by_address(connection, "anna@alfa.example"))
    assert account is not None
    storage.write_now(lambda connection: signins.record(connection, [replace(use, account_id=account.id)]))
    storage.close()
    own, device = ceralacca("account", "devices", "anna@alfa.example").output.splitlines()
    assert own == "(own)     never used"
    assert device.startswith(f"{lookup}  used 2026-07-01 10:00 UTC by IMAP from 192.0.2.7  made ")
    assert device.endswith("  telephone")
