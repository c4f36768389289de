"""A box here that stays in step with one at another provider, and what its holder does in it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection, select

from gateway.drivers.imap_client import RemoteMailbox
from gateway.drivers.sources import RandomIds
from gateway.flows.bring import Bringing
from gateway.flows.bring_report import Report
from gateway.points.following import Deletions
from gateway.points.marks import NAMES, Mark
from gateway.storage import accounts, content, domains, folders, keywords, letters, states
from gateway.storage.accounts import Account, NewAccount
from gateway.storage.engine import Storage
from gateway.storage.tables import message_states, messages
from tests.flows.old_box import OldBox

__all__ = ["NewBox", "new_box"]

NONE = Mark(0)
NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


class Clock:
    def now(self) -> datetime:
        return NOW


@dataclass
class NewBox:
    """``old``: the box there, unless a session with another is given to ``run``."""

    storage: Storage
    account: Account
    old: OldBox = field(default_factory=OldBox)
    deletions: Deletions = Deletions.KEEP

    async def run(self, remote: RemoteMailbox | None = None) -> Report:
        bringing = Bringing(
            self.storage,
            Clock(),
            RandomIds(),
            mailbox_id=self.account.mailbox_id,
            source="anna@localhost:993",
            owner="here",
            judge=lambda _: "valid",
            valid="valid",
            deletions=self.deletions,
        )
        return await bringing(remote or self.old.remote)

    def box(self) -> list[tuple[str, bytes, frozenset[str]]]:
        """Folder, bytes and flags of what is here."""

        def question(connection: Connection) -> list[tuple[str, bytes, frozenset[str]]]:
            own = keywords.keyword_names(connection, self.account.mailbox_id)
            names = {one.key: one.name for one in folders.list_folders(connection, self.account.mailbox_id)}
            rows = connection.execute(select(messages, message_states).join(message_states)).all()
            return sorted(
                (
                    names[row.folder],
                    content.load(connection, row.body_id).read(),
                    frozenset(name for mark, name in NAMES.items() if row.flags & mark)
                    | {name for bit, name in own.items() if row.keywords >> bit & 1},
                )
                for row in rows
            )

        return self.storage.read_now(question)

    def places(self) -> list[tuple[str, bytes]]:
        return [(folder, octets) for folder, octets, _ in self.box()]

    def flags(self) -> frozenset[str]:
        """Of the only message."""
        ((_, _, flags),) = self.box()
        return flags

    def tokens(self) -> set[str]:
        return self.storage.read_now(lambda connection: set(connection.execute(select(messages.c.token)).scalars()))

    def flag(self, *, give: Mark = NONE, take: Mark = NONE) -> None:
        """The holder changes flags of all messages here."""

        def change(connection: Connection) -> None:
            for row in connection.execute(select(messages)).all():
                states.set_flags(
                    connection,
                    self.account.mailbox_id,
                    row.folder,
                    [row.uid],
                    modseq=folders.change_box(connection, self.account.mailbox_id)[0],
                    keep=~int(take),
                    add=int(give),
                )

        self.storage.write_now(change)

    def move(self, to: str) -> None:
        """The holder moves all messages of the inbox here."""
        self.storage.write_now(
            lambda connection: letters.move(connection, self.account.mailbox_id, "INBOX", None, to, NOW)
        )

    def remove(self) -> None:
        """The holder removes all messages here for good."""

        def change(connection: Connection) -> None:
            ids = list(connection.execute(select(messages.c.id)).scalars())
            letters.remove(connection, self.account.mailbox_id, ids, NOW)

        self.storage.write_now(change)


def new_box(storage: Storage) -> NewBox:
    def people(connection: Connection) -> Account:
        domains.add_domain(connection, "alfa.example", NOW)
        return accounts.add_account(connection, NewAccount(address="anna@alfa.example", at=NOW, language="en"))

    return NewBox(storage, storage.write_now(people))
