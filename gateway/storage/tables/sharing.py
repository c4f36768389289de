"""Boxes that several people share: who they are, which passwords are theirs, and what was done in such a box."""

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, UniqueConstraint

from gateway.storage.tables.columns import Id, id_column, instant, link, metadata, words

__all__ = ["box_journal", "box_people", "person_passwords"]

box_people = Table(
    "box_people",
    metadata,
    id_column(),
    link("mailbox_id", "mailboxes.id", cascade=True),
    words("name"),
    words("name_key"),  # without regard to case
    link("account_id", "accounts.id", nullable=True, cascade=True),  # the person's own, where there is one here
    words("grade"),  # Right
    instant("created_at"),
    instant("changed_at"),
    UniqueConstraint("mailbox_id", "name_key"),
    sqlite_autoincrement=True,  # a session knows its person by this id: it must never become that of another
)
Index("ix_box_people_account_id", box_people.c.account_id)

person_passwords = Table(
    "person_passwords",
    metadata,
    Column("password_id", Id, ForeignKey("account_passwords.id", ondelete="CASCADE"), primary_key=True),
    link("person_id", "box_people.id", cascade=True),
    sqlite_with_rowid=False,
)
Index("ix_person_passwords_person_id", person_passwords.c.person_id)

box_journal = Table(
    "box_journal",
    metadata,
    id_column(),
    link("mailbox_id", "mailboxes.id", cascade=True),
    instant("at"),
    words("person", nullable=True),  # as called then; null: the holder
    words("device", nullable=True),  # first characters of the password; empty: the holder's own
    words("address", nullable=True),  # network address of the other end
    words("protocol"),
    words("act"),  # Act
    words("folder", nullable=True),  # as called then
    words("target", nullable=True),  # the folder into which
    words("uids", nullable=True),  # a set, as in 1:4,7
    Column("messages", Integer, nullable=False),
    words("detail"),  # JSON, as ``storage.journal`` writes it
)
Index("ix_box_journal_mailbox_id_at", box_journal.c.mailbox_id, box_journal.c.at)
Index("ix_box_journal_at", box_journal.c.at)
