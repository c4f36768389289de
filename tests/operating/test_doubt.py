"""Doubt is temporary: without index or database nothing is certified, and all goes on by itself when they are back."""

import json
import smtplib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.lab.waiting import until
from tests.operating.databases import Database, database
from tests.operating.providers import Network, Provider, letter, network

ANNA, BRUNO, NOBODY = "anna@alfa.example", "bruno@alfa.example", "nobody@alfa.example"
CERTIFIED = "mario@beta.example"


def submitted(client: smtplib.SMTP, to: str = BRUNO) -> tuple[int, bytes]:
    """The answer to a whole message, whoever gave it."""
    message = bytes(letter(ANNA, to=[to], subject="prova")).replace(b"\n", b"\r\n")
    for answer in (client.mail(ANNA), client.rcpt(to)):
        if answer[0] != 250:
            client.rset()
            return answer
    return client.data(message)


def arrived(provider: Provider, recipient: str = BRUNO, sender: str = CERTIFIED) -> int:
    """The answer of port 25 to a message."""
    with provider.incoming() as client:
        try:
            client.sendmail(sender, [recipient], b"Subject: prova\r\n\r\nciao\r\n")
        except smtplib.SMTPRecipientsRefused as refused:
            return refused.recipients[recipient][0]
        except smtplib.SMTPResponseException as refused:
            return refused.smtp_code
        return 250


def health(provider: Provider) -> tuple[int, dict[str, Any]]:
    url = f"https://localhost:{provider.ports['https']}/health"
    try:
        with urllib.request.urlopen(url, context=provider.context(), timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def traces(provider: Provider) -> tuple[int, int, int]:
    """What a message would leave: register rows about it, messages in mailboxes, rows in the outbox."""
    with provider.storage() as storage:
        counted = (
            "select (select count(*) from register), (select count(*) from messages), (select count(*) from outbox)"
        )
        row = storage.read_now(lambda connection: connection.execute(text(counted)).one())
        return row[0], row[1], row[2]


def test_as_long_as_no_index_was_ever_loaded_nothing_is_taken_and_nothing_certified(net: Network) -> None:
    alfa, index = net.alfa, net.layout.index_file
    aside = index.rename(index.with_suffix(".aside"))
    with alfa.serving() as served, alfa.submission() as client:
        assert served.events("serving")[0]["index_loaded"] is False
        assert [line["level"] for line in served.events("provider index not loaded")] == ["error"]
        assert submitted(client)[0] == 451
        assert submitted(client, CERTIFIED)[0] == 451
        assert arrived(alfa) == 451
        assert arrived(alfa, NOBODY) == 451
        status, report = health(alfa)
        assert (status, report["status"], report["index"], report["queue"]) == (503, "unavailable", False, 0)
        assert traces(alfa) == (0, 0, 0)
        assert len(served.events("provider index not loaded")) == 1

        aside.rename(index)
        served.event("provider index loaded")
        code, reply = submitted(client)
        assert (code, b"not accepted" in reply) == (250, False)
        assert arrived(alfa) == 250
        assert arrived(alfa, NOBODY, "who@elsewhere.example") == 550
        until(lambda: health(alfa)[0] == 200, "good health")
        until(lambda: len(alfa.mailbox("bruno").mails()) == 2, "envelope and anomaly")


def test_an_index_that_is_bad_from_the_start_is_as_good_as_none(alfa: Provider) -> None:
    good = alfa.layout.index_file.read_bytes()
    alfa.layout.index_file.write_bytes(good[:-10])
    with alfa.serving() as served, alfa.submission() as client:
        assert submitted(client)[0] == 451
        assert arrived(alfa) == 451
        assert traces(alfa) == (0, 0, 0)
        alfa.layout.index_file.write_bytes(good)
        served.event("provider index loaded")
        assert submitted(client)[0] == 250


@pytest.fixture
def stoppable(tmp_path: Path) -> Iterator[tuple[Database, Provider]]:
    """Alfa on a PostgreSQL that can be stopped."""
    with database() as found:
        yield found, network(tmp_path / "net", storage_url=found.url).alfa


def test_without_its_database_a_provider_puts_everything_off_and_goes_on_when_it_is_back(
    stoppable: tuple[Database, Provider],
) -> None:
    postgres, alfa = stoppable
    with alfa.serving() as served, alfa.submission() as client:
        assert submitted(client)[0] == 250
        until(lambda: alfa.mailbox("bruno").mails(), "envelope")
        pid = served.process.pid
        for mode in ("immediate", "fast"):
            postgres.stop(mode)
            code, reply = submitted(client)
            assert code == 451, reply
            assert arrived(alfa, "carla@alfa.example", "who@elsewhere.example") == 451
            with pytest.raises(smtplib.SMTPAuthenticationError) as refused, alfa.submission():
                pass
            assert refused.value.smtp_code == 454
            until(lambda: health(alfa)[0] == 503, "bad health")
            assert served.process.poll() is None

            postgres.start()
            until(lambda: submitted(client)[0] == 250, "accepted message")
            until(lambda: arrived(alfa, "carla@alfa.example", "who@elsewhere.example") == 250, "message taken")
            until(lambda: health(alfa)[0] == 200, "good health")
        until(lambda: _all_delivered(alfa), "ends of all messages")
        assert served.process.pid == pid
        assert served.stop() == 0
    alfa.said_by("register verify")


def _all_delivered(alfa: Provider) -> bool:
    open_ones = "select count(*) from certified_recipients where ended_at is null"
    with alfa.storage() as storage:
        return storage.read_now(lambda connection: connection.execute(text(open_ones)).scalar_one()) == 0


def test_a_provider_whose_database_is_gone_stops_in_order(stoppable: tuple[Database, Provider]) -> None:
    postgres, alfa = stoppable
    with alfa.serving() as served:
        postgres.stop("immediate")
        assert served.stop() == 0
        assert "Traceback" not in "".join(str(line) for line in served.events("a server did not close in order"))


def test_a_provider_whose_database_hangs_stops_all_the_same(stoppable: tuple[Database, Provider]) -> None:
    postgres, alfa = stoppable
    with alfa.serving() as served:
        served.event("serving")
        with postgres.hanging():
            assert served.stop() == 1
            assert served.events("stopped without the database")
    with alfa.serving() as again:
        assert again.stop() == 0


def test_an_outage_does_not_fill_the_log(stoppable: tuple[Database, Provider]) -> None:
    postgres, alfa = stoppable
    with alfa.serving() as served:
        postgres.stop("immediate")
        served.event("tick failed", lambda line: line["tick"] == "sessions" or line["tick"] == "domains")
        seen = len(served.events("tick failed"))
        until(lambda: health(alfa)[0] == 503, "bad health")
        postgres.start()
        served.event("tick works again", lambda line: line["tick"] == "chain")
        assert len(served.events("tick failed")) <= seen + 8
