"""Boxes that several people share, with a journal; the person who submitted, in the register.

Revision ID: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("register", sa.Column("person", sa.Text(), nullable=True))
    op.create_table(
        "box_people",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("mailbox_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("account_id", ID, nullable=True),
        sa.Column("grade", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name="fk_box_people_mailbox_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_box_people_account_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_box_people"),
        sa.UniqueConstraint("mailbox_id", "name_key", name="uq_box_people_mailbox_id_name_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_box_people_account_id", "box_people", ["account_id"])
    op.create_table(
        "person_passwords",
        sa.Column("password_id", ID, nullable=False),
        sa.Column("person_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["password_id"], ["account_passwords.id"], name="fk_person_passwords_password_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["box_people.id"], name="fk_person_passwords_person_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("password_id", name="pk_person_passwords"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_person_passwords_person_id", "person_passwords", ["person_id"])
    op.create_table(
        "box_journal",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("mailbox_id", ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("person", sa.Text(), nullable=True),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("protocol", sa.Text(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=True),
        sa.Column("target", sa.Text(), nullable=True),
        sa.Column("uids", sa.Text(), nullable=True),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name="fk_box_journal_mailbox_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_box_journal"),
    )
    op.create_index("ix_box_journal_mailbox_id_at", "box_journal", ["mailbox_id", "at"])
    op.create_index("ix_box_journal_at", "box_journal", ["at"])
