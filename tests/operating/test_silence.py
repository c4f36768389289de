"""Nothing that people write or know stands in a log, whatever the level and whatever goes wrong (D32)."""

import base64
import quopri
import smtplib
from collections.abc import Iterator

import pytest

from tests.lab.waiting import until
from tests.operating.peers import peer
from tests.operating.providers import Network, Provider, Served, letter

WORDS = "la perizia segretissima del notaio"
WRONG = "parola-sbagliata-ma-quasi-giusta"
DEBUG = {"CERALACCA_LOG__LEVEL": "debug"}


def secrets(net: Network, device: str) -> Iterator[bytes]:
    """Everything that no log may hold, in every form in which it travels."""
    for provider in (net.alfa, net.beta):
        for account in (*provider.plan.accounts, provider.plan.service):
            yield from _forms(account.password.encode())
            yield from (base64.b64encode(f"\0{account.address}\0{account.password}".encode()),)
        key = (provider.files.folder / "signing.key.pem").read_bytes()
        yield from key.splitlines()[1:-1]
    yield from net.layout.tls_key.read_bytes().splitlines()[1:-1]
    for word in (WORDS, WRONG, device):
        yield from _forms(word.encode())


def _forms(word: bytes) -> Iterator[bytes]:
    yield word
    yield base64.b64encode(word)
    yield quopri.encodestring(word)
    for shift in range(3):  # base64 of a longer text that holds the word
        inside = base64.b64encode(b"\0" * shift + word)
        yield inside[4 if shift else 0 : len(inside) // 4 * 4 - 4]


def _crlf(message: bytes) -> bytes:
    return message.replace(b"\n", b"\r\n")


def held_back(net: Network, logs: list[Served], device: str) -> list[bytes]:
    """The secrets that stand in a log all the same."""
    said = "\n".join(log.said for log in logs).encode()
    return [secret for secret in secrets(net, device) if len(secret) > 7 and secret in said]


def device_password(provider: Provider) -> str:
    said = provider.said_by("account device", "anna@alfa.example", "telefono")
    return next(word for line in said.splitlines() for word in line.split() if len(word) > 20)


def a_whole_flow(net: Network, device: str) -> None:
    """A submission, an envelope, a receipt; wrong passwords, lines that are no commands, mail that is no mail."""
    alfa, beta = net.alfa, net.beta
    with alfa.submission(password=device):
        pass
    with pytest.raises(smtplib.SMTPAuthenticationError), alfa.submission(password=WRONG):
        pass
    with alfa.submission() as client:
        assert client.docmd(WORDS)[0] == 500
        assert client.docmd("AUTH", f"PLAIN {base64.b64encode(WRONG.encode()).decode()}")[0] >= 500
        refused = letter("anna@alfa.example", to=["mario@beta.example"], subject=WORDS, text=WORDS)
        refused["Bcc"] = "carla@alfa.example"
        assert client.mail("anna@alfa.example")[0] == client.rcpt("mario@beta.example")[0] == 250
        assert client.data(_crlf(bytes(refused)))[0] == 250
    msgid = alfa.send("bruno@beta.example", subject=WORDS, text=f"{WORDS}\n" * 50)
    until(lambda: any(mail.kind.startswith("T9") for mail in alfa.mailbox("anna").about(msgid)), "delivery receipt")
    with beta.incoming() as client:
        client.sendmail("", ["bruno@beta.example"], f"Subject: {WORDS}\r\n\r\n{WORDS}\r\n".encode())
        with pytest.raises(smtplib.SMTPResponseException):
            client.sendmail("", ["bruno@beta.example"], f"{WORDS} \0 {WORDS}\r\n".encode())


@pytest.mark.parametrize("before", [b"", b"x", b"xx", b"a line before it\r\n"])
def test_the_search_finds_words_inside_encoded_text(before: bytes) -> None:
    text = before + WORDS.encode() + b" e altro"
    for travelling in (text, base64.b64encode(text), quopri.encodestring(text)):
        assert any(form in travelling for form in _forms(WORDS.encode()))


@pytest.mark.req("SEC-06")
def test_no_body_no_password_and_no_key_reaches_a_log_at_level_debug(net: Network) -> None:
    device = device_password(net.alfa)
    with net.alfa.serving(**DEBUG) as alfa, net.beta.serving(**DEBUG) as beta:
        a_whole_flow(net, device)
        alfa.hang_up()
        assert alfa.stop() == beta.stop() == 0
        assert held_back(net, [alfa, beta], device) == []


@pytest.mark.req("SEC-06")
def test_nor_when_the_database_fails_under_a_message(net: Network) -> None:
    """A database error carries the parameters of its statement, which are the message."""
    device = device_password(net.alfa)
    with net.alfa.serving(**DEBUG) as alfa, net.alfa.submission() as client:
        with net.alfa.storage() as storage:
            storage.write_now(lambda connection: connection.exec_driver_sql("DROP TABLE submissions"))
        message = _crlf(bytes(letter("anna@alfa.example", to=["bruno@alfa.example"], subject=WORDS, text=WORDS)))
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail("anna@alfa.example", ["bruno@alfa.example"], message)
        assert refused.value.smtp_code == 451
        alfa.stop()
        assert "no such table" in alfa.said
        assert held_back(net, [alfa], device) == []


def test_nor_when_a_peer_throws_it_back(net: Network) -> None:
    """Some servers repeat in their reply what was said to them; that much of a reply is kept as it is."""
    device = device_password(net.alfa)
    with peer(net.layout) as beta:
        beta.scripted.answer = lambda verb, _: "554 5.7.1 no" if verb == "BDAT" else None
        net.alfa.route(net.beta, beta.port)
        with net.alfa.serving(**DEBUG) as alfa:
            msgid = net.alfa.send("bruno@beta.example", subject=WORDS, text=WORDS)
            until(lambda: "T10 non-delivery" in {mail.kind for mail in net.alfa.mailbox("anna").about(msgid)}, "notice")
            alfa.stop()
            assert held_back(net, [alfa], device) == []
