"""What POP3 calls a message by: for life, and never another one."""

import contextlib
import imaplib
import poplib
from collections.abc import Iterator

from tests.lab.waiting import until
from tests.operating.providers import Network, Provider

ANNA = "anna@alfa.example"


@contextlib.contextmanager
def imap(alfa: Provider, name: str) -> Iterator[imaplib.IMAP4_SSL]:
    account = alfa.account(name)
    session = imaplib.IMAP4_SSL("localhost", alfa.ports["imaps"], ssl_context=alfa.context(), timeout=60)
    try:
        session.login(account.address, account.password)
        session.select("INBOX")
        yield session
    finally:
        session.logout()


@contextlib.contextmanager
def pop3(alfa: Provider, name: str) -> Iterator[poplib.POP3_SSL]:
    account = alfa.account(name)
    session = poplib.POP3_SSL("localhost", alfa.ports["pop3s"], context=alfa.context(), timeout=60)
    try:
        session.user(account.address)
        session.pass_(account.password)
        yield session
    finally:
        session.quit()


def uidls(alfa: Provider, name: str = "bruno") -> list[str]:
    with pop3(alfa, name) as session:
        return [line.decode().split()[1] for line in session.uidl()[1]]


def done(answer: tuple[str, list[object]]) -> None:
    assert answer[0] == "OK", answer


def test_a_uidl_stays_and_is_never_given_again(net: Network) -> None:
    alfa = net.alfa
    ever: set[str] = set()
    with alfa.serving() as served:
        for number in range(3):
            alfa.send("bruno@alfa.example", subject=f"numero {number}")
        until(lambda: len(uidls(alfa)) == 3, "three messages")
        first, second, third = seen = uidls(alfa)
        ever.update(seen)
        with imap(alfa, "bruno") as session:
            done(session.store("1", "+FLAGS", r"(\Flagged Mio)"))
            done(session.copy("1", "INBOX"))
            done(session.uid("MOVE", session.uid("SEARCH", "SUBJECT", '"numero 1"')[1][0].decode(), "Archive"))  # type: ignore[no-untyped-call]
        assert uidls(alfa)[:2] == [first, third]
        (copied,) = uidls(alfa)[2:]
        assert copied not in ever
        ever.add(copied)
        with imap(alfa, "bruno") as session:
            session.select("Archive")
            done(session.uid("MOVE", "1:*", "INBOX"))  # type: ignore[no-untyped-call]
        assert set(uidls(alfa)) == ever, "who comes back is who left"
        assert served.stop() == 0
    with alfa.serving() as served:
        assert set(uidls(alfa)) == ever, "a restart changes nothing"
        with pop3(alfa, "bruno") as session_:
            for number in range(1, 5):
                session_.dele(number)
        assert uidls(alfa) == []
        alfa.send("bruno@alfa.example", subject="numero 3")
        until(lambda: len(uidls(alfa)) == 1, "another message")
        assert not set(uidls(alfa)) & ever
        assert second in ever
        assert served.stop() == 0


def test_pop3_shows_inbox_and_receipts_whatever_they_are_called(net: Network) -> None:
    alfa = net.alfa
    with alfa.serving() as served:
        alfa.send(ANNA, subject="a me")
        until(lambda: len(uidls(alfa, "anna")) == 3, "envelope, acceptance and delivery receipt")
        before = uidls(alfa, "anna")
        with imap(alfa, "anna") as session:
            done(session.rename("Ricevute", "Prove"))
            status = session.status("Prove", "(MESSAGES)")[1][0].decode()
            assert status.endswith("(MESSAGES 2)")
        assert uidls(alfa, "anna") == before
        assert served.stop() == 0
