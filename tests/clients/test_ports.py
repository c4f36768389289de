"""What programs of today demand of a provider's ports, on those of a lab; the other points are in test_checklist."""

import imaplib
import re
import smtplib
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.lab.labs import Lab, letter, running

pytestmark = pytest.mark.lab

ANNA, BRUNO = "anna@alfa.example", "bruno@beta.example"
ODD_NAME = '"Anna \\"la notaia\\" Bianchi (studio)"'


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with running(tmp_path_factory.mktemp("ports") / "lab", "--accounts", "2") as started:
        yield started


@contextmanager
def imap(lab: Lab, address: str) -> Iterator[imaplib.IMAP4_SSL]:
    account = lab.account(address)
    port = lab.provider(account.domain)["ports"]["imaps"]
    with imaplib.IMAP4_SSL("localhost", port, ssl_context=lab.context(), timeout=60) as client:
        client.login(account.address, account.password)
        yield client


@pytest.mark.parametrize(("service", "greeting"), [("submissions", b"220 "), ("imaps", b"* OK"), ("pop3s", b"+OK ")])
def test_point_23_the_three_ports_speak_tls_from_the_first_byte(lab: Lab, service: str, greeting: bytes) -> None:
    """465, 993 and 995 elsewhere."""
    port = lab.provider("alfa.example")["ports"][service]
    with (
        socket.create_connection(("localhost", port), timeout=60) as plain,
        lab.context().wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        assert secured.recv(4_096).startswith(greeting)
        assert secured.version() in {"TLSv1.2", "TLSv1.3"}


def test_point_24_no_structure_holds_a_literal(lab: Lab) -> None:
    """Not for a display name with quotes in it either, in the message that stands inside the envelope."""
    message = letter(ANNA, to=[BRUNO], subject='Perizia "definitiva" \\ 12')
    message.replace_header("From", f"{ODD_NAME} <{ANNA}>")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename='perizia "12".pdf')
    inner = letter(ANNA, to=[BRUNO], subject="inoltrata")
    inner.replace_header("From", f"{ODD_NAME} <{ANNA}>")
    message.add_attachment(inner)
    with lab.submission(ANNA) as client:
        client.send_message(message, from_addr=ANNA)
    lab.mailbox(BRUNO).wait(lambda mail: mail.reference == message["Message-ID"], "envelope")
    with imap(lab, BRUNO) as client:
        client.select("INBOX", readonly=True)
        _, found = client.fetch("1:*", "(BODYSTRUCTURE ENVELOPE)")
    assert all(isinstance(line, bytes) for line in found), "imaplib gives a tuple where a literal stands"
    text = b"\n".join(line for line in found if isinstance(line, bytes))
    assert not re.search(rb"\{\d+\+?\}", text)
    assert text.count(rb"Anna \"la notaia\" Bianchi (studio)") >= 1
    assert b'"message" "rfc822"' in text.lower()


def test_point_25_another_sender_is_refused_with_a_reason(lab: Lab) -> None:
    with lab.submission(ANNA) as client, pytest.raises(smtplib.SMTPSenderRefused) as refused:
        client.send_message(letter(ANNA, to=[BRUNO], subject="x"), from_addr="bruno@alfa.example")
    assert refused.value.smtp_code == 553
    assert isinstance(refused.value.smtp_error, bytes)
    assert refused.value.smtp_error.startswith(b"5.7.1 ")


def test_point_26_clients_find_the_folder_of_what_was_sent(lab: Lab) -> None:
    message = letter(ANNA, to=[BRUNO], subject="Da ritrovare")
    lab.send(message)
    with imap(lab, ANNA) as client:
        _, folders = client.list()
        (sent,) = [line for line in folders if isinstance(line, bytes) and rb"\Sent" in line]
        name = sent.rpartition(b' "/" ')[2].decode()
        client.select(name, readonly=True)
        _, found = client.search(None, "HEADER", "Message-ID", str(message["Message-ID"]))
        assert len(found[0].split()) == 1
