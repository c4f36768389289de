"""A shared box of a provider that runs: what a command changes is felt by programs; the journal is whole."""

import imaplib
import json

from tests.operating.providers import ANSWER_SECONDS, Provider

CARLA = ("--person", "Carla Neri")


def imap(alfa: Provider, password: str) -> imaplib.IMAP4_SSL:
    port = alfa.ports["imaps"]
    client = imaplib.IMAP4_SSL("localhost", port, ssl_context=alfa.context(), timeout=ANSWER_SECONDS)
    client.login(alfa.account("anna").address, password)
    return client


def test_who_is_removed_by_a_command_is_out_while_idling(alfa: Provider) -> None:
    box = alfa.account("anna").address
    with alfa.serving() as served:
        alfa.said_by("account share add", box, *CARLA, "--right", "write")
        secret = alfa.said_by("account share device", box, *CARLA, "laptop").strip()
        alfa.send(alfa.account("anna").address)
        client = imap(alfa, secret)
        client.select("INBOX")
        client.fetch("1", "(BODY[])")
        client.send(b"a1 IDLE\r\n")
        assert client.readline() == b"+ idling\r\n"
        alfa.said_by("account share remove", box, *CARLA)
        line = client.readline()
        while line and not line.startswith(b"* BYE"):  # news of the box
            line = client.readline()
        assert line == b"* BYE your rights in this box have changed, sign in again\r\n"
        client.shutdown()
        assert served.stop() == 0


def test_what_was_read_just_before_the_stop_is_in_the_journal(alfa: Provider) -> None:
    box = alfa.account("anna").address
    with alfa.serving() as served:
        alfa.said_by("account share add", box, *CARLA)
        secret = alfa.said_by("account share device", box, *CARLA, "laptop").strip()
        alfa.send(alfa.account("anna").address)
        client = imap(alfa, secret)
        client.select("Sent", readonly=True)
        assert client.fetch("1", "(BODY.PEEK[])")[0] == "OK"
        assert served.stop() == 0
        client.shutdown()
    rows = [json.loads(line) for line in alfa.said_by("account journal", box, *CARLA, "--json").splitlines()]
    assert [(row["act"], row["folder"]) for row in rows] == [("signed in", None), ("read", "Sent")]
