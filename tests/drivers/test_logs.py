"""The technical log: lines that programs read, without messages and passwords (D32)."""

import asyncio
import json
import logging
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

import pytest
import sqlalchemy
from aiosmtpd.handlers import Debugging
from aiosmtpd.smtp import SMTP

from gateway.drivers.logs import Format, start_logging
from receipts.octets import InMemory, Octets

SECRET = "parola-segreta-4711"


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was before, afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield root
    for handler in list(root.handlers):
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.fixture
def written(root: logging.Logger, tmp_path: Path) -> Path:
    file = tmp_path / "gateway.log"
    start_logging("debug", "json", file)
    return file


def events(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


log = logging.getLogger("gateway.test")


class Kind(Enum):
    ACCEPTANCE = "accettazione"


def test_an_event_is_a_line_with_its_fields(written: Path) -> None:
    log.info("receipt issued", extra={"kind": Kind.ACCEPTANCE, "pec_msgid": "1@alfa.example", "recipients": ("a", "b")})
    (event,) = events(written)
    assert datetime.fromisoformat(str(event.pop("at"))).utcoffset() == UTC.utcoffset(None)
    assert event == {
        "event": "receipt issued",
        "level": "info",
        "logger": "gateway.test",
        "kind": "ACCEPTANCE",
        "pec_msgid": "1@alfa.example",
        "recipients": ["a", "b"],
    }


def test_lower_levels_are_left_out(root: logging.Logger, tmp_path: Path) -> None:
    start_logging("warning", "json", tmp_path / "log")
    log.info("unheard")
    log.warning("heard")
    assert [event["event"] for event in events(tmp_path / "log")] == ["heard"]


def test_starting_again_replaces_what_was_started(root: logging.Logger, tmp_path: Path) -> None:
    start_logging("info", "json", tmp_path / "first")
    start_logging("info", "json", tmp_path / "second")
    log.info("once")
    assert (tmp_path / "first").read_text() == ""
    assert len(events(tmp_path / "second")) == 1


def test_a_file_that_was_rotated_away_is_opened_anew(written: Path) -> None:
    log.info("before")
    written.rename(written.with_suffix(".1"))
    log.info("after")
    assert [event["event"] for event in events(written)] == ["after"]


def test_others_cannot_read_the_file(written: Path) -> None:
    assert written.stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("form", ["json", "console"])
def test_nobody_writes_lines_of_his_own(root: logging.Logger, tmp_path: Path, form: Format) -> None:
    start_logging("info", form, tmp_path / "log")
    log.info("refused %s", "x\r\nforged: line", extra={"helo": "a\n[error] forged\x1b[2J\u2028"})
    text = (tmp_path / "log").read_text("utf-8")
    assert text.count("\n") == 1
    assert not {"\r", "\x1b", "\u2028"} & set(text)


def test_long_and_deep_values_are_cut(written: Path) -> None:
    deep: object = "end"
    for _ in range(50):
        deep = [deep]
    log.info("x", extra={"long": "a" * 100_000, "deep": deep, "many": list(range(10_000))})
    (event,) = events(written)
    assert len(str(event["long"])) < 1_100
    assert len(json.dumps(event)) < 3_000


@dataclass
class Carrier:
    octets: bytes


@pytest.mark.parametrize(
    "extra",
    [
        {"password": SECRET},
        {"user_password": SECRET},
        {"body": SECRET},
        {"credentials": ("anna", SECRET)},
        {"fields": {"Authorization": SECRET}},
        {"received": SECRET.encode()},
        {"received": [SECRET.encode()]},
        {"received": Octets.of(SECRET.encode())},
        {"received": InMemory.of(SECRET.encode())},
        {"received": Carrier(SECRET.encode())},
    ],
    ids=repr,
)
def test_what_may_be_secret_is_withheld(written: Path, extra: dict[str, object]) -> None:
    log.info("x", extra=extra)
    assert len(events(written)) == 1
    assert SECRET not in written.read_text()


def test_a_traceback_has_its_frames_and_no_local_values(written: Path) -> None:
    password = SECRET
    try:
        raise ValueError("broken") from KeyError("cause")
    except ValueError:
        log.exception("failed")
    assert password not in written.read_text()
    (event,) = events(written)
    assert "test_a_traceback_has_its_frames" in str(event["exception"])
    assert "ValueError: broken" in str(event["exception"])
    assert "KeyError: 'cause'" in str(event["exception"])


def test_a_database_error_loses_its_parameters(written: Path) -> None:
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        try:
            connection.execute(sqlalchemy.text("insert into nowhere values (:body)"), {"body": SECRET})
        except sqlalchemy.exc.OperationalError as error:
            log.warning("storage failed", exc_info=True)
            log.warning("storage failed", extra={"error": error})
    engine.dispose()
    assert SECRET not in written.read_text()
    assert [event["event"] for event in events(written) if "no such table: nowhere" in str(event)] == [
        "storage failed"
    ] * 2


async def test_the_submission_library_logs_no_peer_no_command_and_no_message(written: Path) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(Debugging()), "127.0.0.1", 0)
    logging.getLogger("mail.log").setLevel(logging.DEBUG)  # as the library's own command line does
    logging.getLogger("mail.debug").setLevel(logging.DEBUG)

    def talk() -> None:
        with smtplib.SMTP("127.0.0.1", server.sockets[0].getsockname()[1]) as client:
            client.docmd(SECRET)  # a password where a command belongs
            client.sendmail("anna@alfa.example", ["carlo@beta.example"], f"Subject: x\r\n\r\n{SECRET}\r\n")

    await asyncio.to_thread(talk)
    server.close()
    await server.wait_closed()
    log.info("end")
    lines = events(written)
    assert [event["event"] for event in lines if event["logger"] != "asyncio"] == ["end"]
    assert not {SECRET, "carlo"} & set(json.dumps(lines).replace("@", '"').split('"'))


def test_a_database_library_at_debug_shows_no_parameters(written: Path) -> None:
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("select :body"), {"body": SECRET})
    engine.dispose()
    assert SECRET not in written.read_text()
