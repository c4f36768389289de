"""Folders, keywords, what has left, and how full a mailbox is. Every mailbox that is there gets its folders.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

FOLDERS = (
    ("INBOX", "INBOX", "INBOX", None),
    ("Receipts", "Ricevute", "Receipts", None),
    ("Sent", "Sent", "Sent", "\\Sent"),
    ("Drafts", "Drafts", "Drafts", "\\Drafts"),
    ("Trash", "Trash", "Trash", "\\Trash"),
    ("Junk", "Junk", "Junk", "\\Junk"),
    ("Archive", "Archive", "Archive", "\\Archive"),
)
"""Key, name in Italian, name in other languages, special use."""


def upgrade() -> None:
    create_tables()
    widen_tables()
    give_folders()
    say_where_receipts_go()
    count_usage()


def create_tables() -> None:
    op.create_table(
        "folders",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("mailbox_id", ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("special_use", sa.Text(), nullable=True),
        sa.Column("highest_uid", sa.BigInteger(), nullable=False),
        sa.Column("recent_from", sa.BigInteger(), nullable=False),
        sa.Column("log_from", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name="fk_folders_mailbox_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_folders"),
        sa.UniqueConstraint("mailbox_id", "key", name="uq_folders_mailbox_id_key"),
        sa.UniqueConstraint("mailbox_id", "name", name="uq_folders_mailbox_id_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "subscriptions",
        sa.Column("mailbox_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailboxes.id"], name="fk_subscriptions_mailbox_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("mailbox_id", "name", name="pk_subscriptions"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "keywords",
        sa.Column("mailbox_id", ID, nullable=False),
        sa.Column("bit", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name="fk_keywords_mailbox_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("mailbox_id", "bit", name="pk_keywords"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "expunged",
        sa.Column("mailbox_id", ID, nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("modseq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_uid", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name="fk_expunged_mailbox_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("mailbox_id", "folder", "modseq", "first_uid", name="pk_expunged"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_expunged_at", "expunged", ["at"], unique=False)


def widen_tables() -> None:
    op.add_column("messages", number("keywords"))
    op.create_index("ix_messages_mailbox_id_folder_uid", "messages", ["mailbox_id", "folder", "uid"], unique=False)
    state = ["mailbox_id", "folder", "modseq", "uid", "flags", "size"]
    op.create_index("ix_messages_state", "messages", state, unique=False)
    op.add_column("mailboxes", number("used_bytes"))
    op.add_column("mailboxes", sa.Column("quota_bytes", sa.BigInteger(), nullable=True))
    op.add_column("mailboxes", sa.Column("quota_told", sa.SmallInteger(), nullable=False, server_default=sa.text("0")))
    op.add_column("mailboxes", no("receipts_in_inbox"))
    op.add_column("mailboxes", no("has_rules"))
    op.add_column("mailboxes", sa.Column("notice_address", sa.Text(), nullable=True))


def number(name: str) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text("0"))


def no(name: str) -> "sa.Column[bool]":
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())


def give_folders() -> None:
    for key, italian, other, use in FOLDERS:
        named = sa.text(
            "INSERT INTO folders (mailbox_id, key, name, special_use, highest_uid, recent_from, log_from) "
            "SELECT m.id, :key, CASE WHEN EXISTS (SELECT 1 FROM accounts a WHERE a.mailbox_id = m.id "
            "AND a.language <> 'it') THEN :other ELSE :italian END, :use, 0, 0, 0 FROM mailboxes m"
        )
        op.execute(
            named.bindparams(
                sa.bindparam("key", key, sa.Text()),
                sa.bindparam("other", other, sa.Text()),
                sa.bindparam("italian", italian, sa.Text()),
                sa.bindparam("use", use, sa.Text()),
            )
        )
    op.execute(sa.text("INSERT INTO subscriptions (mailbox_id, name) SELECT mailbox_id, name FROM folders"))


def say_where_receipts_go() -> None:
    """Receipts of holders go to their folder from now on; those of service and operator stay in the inbox."""
    op.execute(sa.text("UPDATE mailboxes SET receipts_in_inbox = (kind <> 'user')"))


def count_usage() -> None:
    """A body once, of the kinds that count."""
    op.execute(
        sa.text(
            "UPDATE mailboxes SET used_bytes = (SELECT COALESCE(SUM(size), 0) FROM (SELECT DISTINCT body_id, size "
            "FROM messages WHERE mailbox_id = mailboxes.id AND kind IN ('envelope', 'anomaly', 'ordinary')) AS bodies)"
        )
    )
