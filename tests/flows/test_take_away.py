"""A box in files: read back by the standard library and by Dovecot, byte for byte."""

import mailbox
import re
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection

from gateway.drivers.mail_files import Maildir, Mbox
from gateway.drivers.sources import RandomIds
from gateway.flows.take_away import take_away
from gateway.points.marks import Mark
from gateway.storage import accounts, content, domains, folders, mailboxes
from gateway.storage.accounts import Account, NewAccount
from gateway.storage.engine import Storage
from gateway.storage.keywords import bits_for
from gateway.storage.mailboxes import NewMessage
from receipts.octets import InMemory, Octets

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
IDS = RandomIds()
TRICKY = b"Subject: citata\r\n\r\nFrom qui\r\n>From la\r\nAnche From no\r\n\r\nFrom \r\n"
BARE = b"Subject: senza fine\r\n\r\nultima riga senza a capo"
LARGE = b"Subject: grande\r\n\r\n" + b"From una riga all'altra\r\n" * 100_000  # 2.5 MB
MESSAGES = {
    "INBOX": [(TRICKY, Mark.SEEN | Mark.ANSWERED), (BARE, Mark(0))],
    "Sent": [(LARGE, Mark.SEEN | Mark.CERTIFIED | Mark.DELIVERED)],
    "Città/2026.03 & altro": [(TRICKY, Mark.FLAGGED)],
}


@pytest.fixture
def anna(storage: Storage) -> Account:
    def box(connection: Connection) -> Account:
        domains.add_domain(connection, "alfa.example", AT)
        made = accounts.add_account(connection, NewAccount(address="anna@alfa.example", at=AT, language="en"))
        for folder, contents in MESSAGES.items():
            key = folders.ensure_folder(connection, made.mailbox_id, folder).key
            for octets, marks in contents:
                kept = Octets.whole(InMemory.of(octets))
                new = NewMessage(
                    mailbox_id=made.mailbox_id,
                    token=IDS.token(),
                    body_id=content.save(connection, kept, AT),
                    size=kept.size,
                    kind="ordinary",
                    at=AT,
                    folder=key,
                    flags=int(marks),
                    keywords=bits_for(connection, made.mailbox_id, ["urgente"]),
                )
                mailboxes.deliver(connection, [new])
        return made

    return storage.write_now(box)


def test_maildir_holds_bytes_flags_and_dates(storage: Storage, anna: Account, tmp_path: Path) -> None:
    taken = take_away(storage, anna.mailbox_id, Maildir(tmp_path / "anna"))
    assert (taken.messages, taken.bytes) == (4, 2 * len(TRICKY) + len(BARE) + len(LARGE))
    read = mailbox.Maildir(tmp_path / "anna", create=False)
    assert {"Sent", "Citt&AOA-.2026&AC4-03 &- altro"} <= set(read.list_folders())
    assert sorted(message.get_flags().rstrip("e") for message in read) == ["", "RS"], "e is the keyword"
    files = {file.read_bytes(): file for file in (tmp_path / "anna" / "cur").iterdir()}
    assert files.keys() == {TRICKY, BARE}
    assert re.search(rf",S={len(TRICKY)}:2,RS[a-z]$", files[TRICKY].name)
    assert files[TRICKY].stat().st_mtime == AT.timestamp()
    (large,) = (tmp_path / "anna" / ".Sent" / "cur").iterdir()
    assert large.read_bytes() == LARGE
    letters = large.name.rpartition(",")[2]
    named = dict(line.split(" ", 1) for line in (tmp_path / "anna/.Sent/dovecot-keywords").read_text().splitlines())
    words = {named[str(ord(letter) - ord("a"))] for letter in letters if letter.islower()}
    assert words == {"$Certified", "$Delivered", "urgente"}


def test_nobody_else_can_read_the_files(storage: Storage, anna: Account, tmp_path: Path) -> None:
    for target in (Maildir(tmp_path / "maildir"), Mbox(tmp_path / "mbox")):
        take_away(storage, anna.mailbox_id, target)
    for file in [*tmp_path.rglob("*cur/*"), *tmp_path.rglob("*.mbox")]:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "mbox").stat().st_mode) == 0o700


def test_a_maildir_is_continued_and_nothing_written_twice(storage: Storage, anna: Account, tmp_path: Path) -> None:
    take_away(storage, anna.mailbox_id, Maildir(tmp_path))
    (lost,) = (tmp_path / ".Sent" / "cur").iterdir()
    lost.unlink()
    again = take_away(storage, anna.mailbox_id, Maildir(tmp_path))
    assert (again.messages, again.there_before) == (1, 3)
    assert len(list((tmp_path / "cur").iterdir())) == 2


def test_mbox_gives_every_byte_back(storage: Storage, anna: Account, tmp_path: Path) -> None:
    take_away(storage, anna.mailbox_id, Mbox(tmp_path))
    assert _unquoted(tmp_path / "INBOX.mbox") == [TRICKY, BARE]
    assert _unquoted(tmp_path / "Sent.mbox") == [LARGE]
    assert _unquoted(tmp_path / "Città_2026.03 & altro.mbox") == [TRICKY]
    assert len(mailbox.mbox(tmp_path / "INBOX.mbox", create=False)) == 2


def _unquoted(file: Path) -> list[bytes]:
    """As any reader of mboxrd undoes it."""
    parts = re.split(rb"(?:\A|(?<=\n))From MAILER-DAEMON Sun Mar 01 09:30:00 2026\n", file.read_bytes())
    assert parts[0] == b""
    return [re.sub(rb"(?m)^>(>*From )", rb"\1", part[:-1]) for part in parts[1:]]
