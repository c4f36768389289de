"""Shared boxes with real programs over the socket: who may do what, at once when it changes, and who did (D35)."""

import asyncio
import imaplib
import poplib
import smtplib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.points.sharing import Right
from gateway.storage import accounts, audit
from gateway.storage.journal import Told
from tests import throwaway
from tests.flows.house import Provider, original
from tests.flows.shared_office import BOX, PASSWORD, Office

NOPERM = "[NOPERM] you have no right to do this in this box"
ALL = list(Right)


@pytest.fixture
async def office(alfa: Provider, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Office]:
    made = Office(alfa, throwaway.make(tmp_path_factory.mktemp("tls")))
    await made.start()
    made.put("uno", "due", "tre")
    yield made
    await made.close()


def answer(client: imaplib.IMAP4_SSL, command: str) -> str:
    """The tagged answer, as it came; a message goes with APPEND."""
    tag = client._new_tag()
    client.send(tag + b" " + command.encode() + b"\r\n")
    while True:
        line = client.readline()
        if line.startswith(b"+"):
            client.send(b"\r\n")
        if line.startswith(tag):
            return line[len(tag) + 1 :].strip().decode()
        assert line, command


COMMANDS = [
    ("SELECT INBOX", Right.READ),
    ("EXAMINE INBOX", Right.READ),
    ("STATUS INBOX (MESSAGES)", Right.READ),
    ('LIST "" *', Right.READ),
    ("GETQUOTAROOT INBOX", Right.READ),
    ("NOOP", Right.READ),
    ("UID FETCH 1 BODY[]", Right.READ),
    ("UID SEARCH TEXT perizia", Right.READ),
    ("SUBSCRIBE INBOX", Right.READ),
    ("UNSUBSCRIBE Sent", Right.WRITE),
    ("STORE 1 +FLAGS (\\Flagged)", Right.WRITE),
    ("STORE 1 +FLAGS.SILENT (\\Seen)", Right.WRITE),
    ("COPY 1 Archive", Right.WRITE),
    ("MOVE 1 Trash", Right.WRITE),
    ("EXPUNGE", Right.WRITE),
    ("UID EXPUNGE 1", Right.WRITE),
    ("APPEND Drafts {5+}\r\na: b\r\n", Right.WRITE),
    ("CREATE Pratiche", Right.MANAGE),
    ("RENAME Archive Archivio", Right.MANAGE),
    ("DELETE Nessuna", Right.MANAGE),
    ("CLOSE", Right.READ),
]


@pytest.mark.edge("O20")
@pytest.mark.parametrize("right", ALL)
async def test_what_each_right_may_do_by_imap(office: Office, right: Right) -> None:
    secret = office.let_in("Carla Neri", right)

    def go(client: imaplib.IMAP4_SSL) -> dict[str, bool]:
        return {command: "[NOPERM]" not in answer(client, command) for command, _ in COMMANDS}

    done = await office.with_imap(secret, go)
    assert done == {command: ALL.index(right) >= ALL.index(needed) for command, needed in COMMANDS}


async def test_a_refused_command_says_so_and_changes_nothing(office: Office) -> None:
    secret = office.let_in("Carla Neri", Right.READ)

    def go(client: imaplib.IMAP4_SSL) -> list[str]:
        return [answer(client, command) for command, needed in COMMANDS if needed is not Right.READ]

    assert set(await office.with_imap(secret, go)) == {f"NO {NOPERM}"}
    assert await office.with_imap(PASSWORD, lambda client: client.uid("FETCH", "1:*", "FLAGS")[1]) == [
        b"1 (UID 1 FLAGS (\\Recent))",
        b"2 (UID 2 FLAGS (\\Recent))",
        b"3 (UID 3 FLAGS (\\Recent))",
    ]
    assert await office.told() == []


@pytest.mark.edge("O21")
async def test_a_reader_leaves_no_mark(office: Office) -> None:
    """What has been seen is the box's, not the person's: a reader who looks must not hide a message from the others."""
    secret = office.let_in("Carla Neri", Right.READ)

    def go(client: imaplib.IMAP4_SSL) -> tuple[str, object, list[bytes]]:
        opened = answer(client, "SELECT INBOX")
        client.select("INBOX", readonly=True)
        permanent = client.response("PERMANENTFLAGS")[1]
        body = client.fetch("1", "(BODY[TEXT])")[1][0][1]  # type: ignore[index]
        assert isinstance(body, bytes)
        return opened, permanent, [body, *client.search(None, "UNSEEN")[1]]

    opened, permanent, found = await office.with_imap(secret, go)
    assert opened.startswith("OK [READ-ONLY]")
    assert permanent == [b"()"]
    assert found == [b"In allegato la perizia.\r\n", b"1 2 3"]


@pytest.mark.parametrize("right", ALL)
async def test_what_each_right_may_do_by_pop3(office: Office, right: Right) -> None:
    secret = office.let_in("Carla Neri", right)

    def go() -> tuple[bytes, int]:
        client = office.pop3(secret)
        assert client.stat()[0] == 3
        assert b"Subject: uno" in client.retr(1)[1]
        try:
            said = client.dele(2)
        except poplib.error_proto as refused:
            said = refused.args[0]
        client.quit()
        again = office.pop3(secret)
        left = again.stat()[0]
        again.quit()
        return said, left

    if right is Right.READ:
        assert await asyncio.to_thread(go) == (b"-ERR [SYS/PERM] you have no right to delete in this box", 3)
    else:
        assert await asyncio.to_thread(go) == (b"+OK", 2)


@pytest.mark.parametrize("right", ALL)
async def test_what_each_right_may_do_by_smtp(office: Office, right: Right) -> None:
    secret = office.let_in("Carla Neri", right)

    def go() -> tuple[int, bytes]:
        with office.smtp(secret) as client:
            client.ehlo()
            said = client.mail(BOX)
            if said[0] != 250:
                return said
            client.rcpt("bruno@beta.example")
            return client.data(original())

    code, said = await asyncio.to_thread(go)
    if right in (Right.READ, Right.WRITE):
        assert (code, said) == (550, b"5.7.1 You have no right to send from this box")
        assert office.alfa.register() == []
    else:
        assert (code, said.split()[0]) == (250, b"2.6.0")


@pytest.mark.edge("O20")
async def test_the_register_names_the_person_and_the_envelope_the_box(office: Office) -> None:
    secret = office.let_in("Carla Neri", Right.SEND)
    for number, password in enumerate((secret, PASSWORD)):
        raw = original(msgid=f"<{number}@client.example>")
        await asyncio.to_thread(_send, office, password, raw)
    refused = original(to=("bruno@beta.example",), extra="Bcc: x@beta.example", msgid="<3@client.example>")
    await asyncio.to_thread(_send, office, secret, refused)
    rows = [row for row in office.alfa.register() if row.account is not None]
    assert [(row.event, row.account, row.person, row.sender) for row in rows] == [
        ("submission", BOX, "Carla Neri", BOX),
        ("submission", BOX, None, BOX),
        ("refusal", BOX, "Carla Neri", BOX),
    ]
    assert {post.row.reverse_path for post in office.alfa.outbox()} == {BOX}
    sent = [row for row in await office.rows() if row.act == "sent"]
    assert [(row.person, row.protocol, row.address, row.detail["accepted"]) for row in sent] == [
        ("Carla Neri", "smtp", "127.0.0.1", True),
        (None, "smtp", "127.0.0.1", True),
        ("Carla Neri", "smtp", "127.0.0.1", False),
    ]
    assert sent[0].detail["pec_msgid"] == rows[0].pec_msgid
    assert sent[0].detail["recipients"] == ["bruno@beta.example"]
    assert (await office.storage.read(audit.verify)).faults == []


def _send(office: Office, password: str, raw: bytes) -> None:
    with office.smtp(password) as client:
        client.sendmail(BOX, ["bruno@beta.example"], raw)


class TestARightThatChanges:
    """While somebody is signed in."""

    async def test_is_asked_again_where_the_act_is_done(self, office: Office) -> None:
        """Before anybody has looked at the sessions: the box itself refuses."""
        secret = office.let_in("Carla Neri", Right.MANAGE)

        def before() -> imaplib.IMAP4_SSL:
            client = office.imap(secret)
            client.select("INBOX")
            return client

        client = await asyncio.to_thread(before)
        office.change("Carla Neri", Right.READ)
        changes = [command for command, needed in COMMANDS if needed in (Right.WRITE, Right.MANAGE)]
        changes.remove("UNSUBSCRIBE Sent")
        refused = await asyncio.to_thread(lambda: {answer(client, command) for command in changes})
        assert refused == {f"NO {NOPERM}"}
        assert (await asyncio.to_thread(answer, client, "UID FETCH 1 BODY.PEEK[]")).startswith("OK")
        office.remove("Carla Neri")
        for command in ("UID FETCH 2 BODY.PEEK[]", "SELECT Sent", 'LIST "" *', "STATUS INBOX (MESSAGES)"):
            assert await asyncio.to_thread(answer, client, command) == f"NO {NOPERM}"
        client.shutdown()

    @pytest.mark.parametrize(
        "change",
        [
            lambda office: office.remove("Carla Neri"),
            lambda office: office.change("Carla Neri", Right.READ),
            lambda office: office.revoke("Carla Neri"),
            lambda office: office.storage.write_now(
                lambda c: accounts.set_active(c, office.alfa.people["bruno"].id, office.clock.now(), active=False)
            ),
        ],
        ids=["removed", "lowered", "password revoked", "own account disabled"],
    )
    async def test_ends_the_sessions_of_that_person_alone(
        self, office: Office, change: Callable[[Office], object]
    ) -> None:
        secret, other = office.let_in("Carla Neri", Right.SEND, account="bruno"), office.let_in("Dora", Right.READ)
        mine = await asyncio.to_thread(lambda: (office.imap(secret), office.pop3(secret), office.smtp(secret)))
        theirs = await asyncio.to_thread(lambda: (office.imap(other), office.imap(PASSWORD)))
        assert await office.live.sweep_people() == 0
        change(office)
        assert await office.live.sweep_people() == 3

        def ended() -> tuple[bytes, bytes, bytes]:
            imap, pop3, smtp = mine
            assert smtp.file is not None
            return imap.readline(), pop3.file.readline(), smtp.file.readline()

        imap, pop3, smtp = await asyncio.to_thread(ended)
        assert imap == b"* BYE your rights in this box have changed, sign in again\r\n"
        assert pop3 == b"-ERR [AUTH] your rights in this box have changed, sign in again\r\n"
        assert smtp == b"421 4.7.0 Your session was ended\r\n"
        for client in theirs:
            assert await asyncio.to_thread(answer, client, "NOOP") == "OK NOOP done"
        for gone in mine[:1] + theirs:
            gone.shutdown()
        mine[1].close()
        mine[2].close()

    async def test_takes_passwords_with_it(self, office: Office) -> None:
        secret = office.let_in("Carla Neri", Right.MANAGE)
        assert await office.with_imap(secret, lambda client: client.noop()[0]) == "OK"
        office.remove("Carla Neri")
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            await office.with_imap(secret, lambda client: client.noop())
        with pytest.raises(smtplib.SMTPAuthenticationError):
            await asyncio.to_thread(office.smtp, secret)

    @pytest.mark.edge("O22")
    async def test_stops_a_message_that_is_under_way(self, office: Office) -> None:
        secret = office.let_in("Carla Neri", Right.SEND)

        def begin() -> smtplib.SMTP_SSL:
            client = office.smtp(secret)
            client.mail(BOX)
            client.rcpt("bruno@beta.example")
            return client

        client = await asyncio.to_thread(begin)
        office.change("Carla Neri", Right.WRITE)
        code, said = await asyncio.to_thread(client.data, original())
        assert (code, said) == (550, b"5.7.1 You have no right to send from this box")
        assert (office.alfa.outbox(), office.alfa.register()) == ([], [])
        await asyncio.to_thread(client.close)

    async def test_a_session_from_before_the_box_was_shared_ends(self, office: Office) -> None:
        """What it does would stand in no journal."""
        client = await asyncio.to_thread(office.imap, PASSWORD)
        assert await office.live.sweep() == 0
        office.let_in("Carla Neri", Right.READ)
        assert await office.live.sweep() == 1
        assert await asyncio.to_thread(client.readline) == b"* BYE the account is closed\r\n"
        client.shutdown()
        client = await asyncio.to_thread(office.imap, PASSWORD)
        assert await office.live.sweep() == 0
        await asyncio.to_thread(client.logout)


class TestTheJournal:
    async def test_a_box_without_people_has_none(self, office: Office) -> None:
        def go(client: imaplib.IMAP4_SSL) -> None:
            client.fetch("1:*", "(BODY[])")
            client.store("1", "+FLAGS", "\\Deleted")
            client.expunge()

        await office.with_imap(PASSWORD, go)
        assert await office.rows(all_=True) == []

    async def test_tells_who_signed_in_from_where_and_with_what(self, office: Office) -> None:
        secret = office.let_in("Carla Neri", Right.MANAGE)
        for password in (secret, PASSWORD):
            await office.with_imap(password, lambda client: client.noop())
        await asyncio.to_thread(lambda: office.pop3(secret).quit())
        rows = await office.rows(all_=True)
        assert [(row.act, row.person, row.device, row.protocol, row.address) for row in rows] == [
            ("signed in", "Carla Neri", secret[:8], "imap", "127.0.0.1"),
            ("signed in", None, "", "imap", "127.0.0.1"),
            ("signed in", "Carla Neri", secret[:8], "pop3", "127.0.0.1"),
        ]

    @pytest.mark.edge("O20")
    async def test_tells_what_was_done(self, office: Office) -> None:
        secret = office.let_in("Carla Neri", Right.MANAGE)

        def go(client: imaplib.IMAP4_SSL) -> None:
            client.fetch("1:2", "(BODY[TEXT])")
            client.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")  # what lists do is no reading
            client.store("3", "+FLAGS", "\\Flagged")
            client.copy("1", "Archive")
            client.uid("MOVE", "2", "Trash")
            client.store("1", "+FLAGS", "\\Deleted")
            client.expunge()
            client.append("Drafts", "", "", original(subject="bozza"))
            client.create("Pratiche")
            client.rename("Pratiche", "Cause")
            client.delete("Cause")

        await office.with_imap(secret, go)
        rows = await office.rows()
        assert all(row.person == "Carla Neri" and row.device == secret[:8] for row in rows)
        found = sorted((row.act, row.folder, row.target, row.uids, row.messages) for row in rows)
        assert found == [
            ("added", "Drafts", None, "6", 1),
            ("changed folders", None, None, None, 0),
            ("changed folders", None, None, None, 0),
            ("changed folders", None, None, None, 0),
            ("copied", "INBOX", "Archive", "1", 1),
            ("deleted", "INBOX", None, "1", 1),
            ("flagged", "INBOX", None, "1", 1),
            ("flagged", "INBOX", None, "3", 1),
            ("moved", "INBOX", "Trash", "2", 1),
            ("read", "INBOX", None, "1:2", 2),
        ]
        by_act = {row.act: row for row in rows}
        assert by_act["deleted"].detail["of"][0][3] == "uno"
        assert by_act["moved"].detail["of"][0][3] == "due"
        assert [row.detail for row in rows if row.act == "changed folders"] == [
            {"what": "create", "name": "Pratiche"},
            {"what": "rename", "name": "Pratiche", "to": "Cause"},
            {"what": "delete", "name": "Cause"},
        ]

    async def test_tells_what_went_with_a_folder(self, office: Office) -> None:
        secret = office.let_in("Carla Neri", Right.MANAGE)

        def go(client: imaplib.IMAP4_SSL) -> None:
            client.fetch("1:*", "(ENVELOPE)")
            client.create("Cause")
            client.copy("1:3", "Cause")
            client.delete("Cause")

        await office.with_imap(secret, go)
        (gone,) = [row for row in await office.rows() if row.act == "deleted"]
        assert (gone.folder, gone.uids) == ("Cause", "4:6")
        assert [subject for _, _, _, subject in gone.detail["of"]] == ["uno", "due", "tre"]

    async def test_tells_a_subject_as_its_sender_wrote_it(self, office: Office) -> None:
        secret = office.let_in("Carla Neri", Right.WRITE)
        office.put("=?utf-8?q?FATTURA_=C3=88?=\r\n n. 12/A", "x" * 200)

        def go(client: imaplib.IMAP4_SSL) -> None:
            client.fetch("4:5", "(ENVELOPE)")
            client.copy("4:5", "Archive")
            client.store("4:5", "+FLAGS.SILENT", "\\Deleted")
            client.expunge()

        await office.with_imap(secret, go)
        (gone,) = [row for row in await office.rows() if row.act == "deleted"]
        assert [subject for _, _, _, subject in gone.detail["of"]] == ["FATTURA È n. 12/A", "x" * 120]

    async def test_tells_what_pop3_took_and_deleted(self, office: Office) -> None:
        secret = office.let_in("Carla Neri", Right.WRITE)

        def go() -> None:
            client = office.pop3(secret)
            client.top(3, 0)  # a header is no reading
            client.retr(1)
            client.retr(2)
            client.dele(2)
            client.quit()

        await asyncio.to_thread(go)
        assert sorted(await office.told(), key=str) == [
            ("Carla Neri", "deleted", None, "2"),
            ("Carla Neri", "read", None, "1:2"),
        ]

    async def test_many_readings_are_one_row(self, office: Office) -> None:
        office.put(*map(str, range(60)))
        secret = office.let_in("Carla Neri", Right.READ)

        def go(client: imaplib.IMAP4_SSL) -> None:
            for number in range(1, 64):
                client.uid("FETCH", str(number), "(BODY.PEEK[])")

        await office.with_imap(secret, go)
        (row,) = await office.rows()
        assert (row.act, row.uids, row.messages) == ("read", "1:63", 63)

    async def test_what_is_refused_is_not_in_it(self, office: Office) -> None:
        secret = office.let_in("Carla Neri", Right.WRITE)
        await office.with_imap(secret, lambda client: answer(client, "COPY 1 Nessuna"))
        await office.with_imap(secret, lambda client: answer(client, "CREATE Cause"))
        assert await office.rows() == []

    async def test_two_who_delete_the_same_message(self, office: Office) -> None:
        """It was one of them, and the journal says which."""
        secrets = [office.let_in(name, Right.WRITE) for name in ("Carla Neri", "Dora")]
        both_see_them = threading.Barrier(len(secrets))

        def go(client: imaplib.IMAP4_SSL) -> None:
            both_see_them.wait(60)
            client.store("1:3", "+FLAGS.SILENT", "\\Deleted")
            client.expunge()

        both: list[Awaitable[None]] = [office.with_imap(secret, go) for secret in secrets]
        await asyncio.gather(*both)
        gone = [row for row in await office.rows() if row.act == "deleted"]
        assert sorted(uid for row in gone for uid in _uids(row)) == [1, 2, 3]


def _uids(row: Told) -> list[int]:
    return [uid for uid, *_ in row.detail["of"]]
