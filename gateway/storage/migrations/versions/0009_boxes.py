"""Rules of mailboxes, how they fill day by day, and what programs put into Sent.

Revision ID: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "sent_appends",
        sa.Column("mailbox_id", ID, nullable=False),
        sa.Column("msgid", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailboxes.id"], name="fk_sent_appends_mailbox_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("mailbox_id", "msgid", name="pk_sent_appends"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_sent_appends_at", "sent_appends", ["at"], unique=False)
    op.create_table(
        "mailbox_days",
        sa.Column("mailbox_id", ID, nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("used_bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailboxes.id"], name="fk_mailbox_days_mailbox_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("mailbox_id", "day", name="pk_mailbox_days"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rules",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("mailbox_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("conditions", sa.Text(), nullable=False),
        sa.Column("actions", sa.Text(), nullable=False),
        sa.Column("stop", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name="fk_rules_mailbox_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_rules"),
    )
    op.create_index("ix_rules_mailbox_id_position", "rules", ["mailbox_id", "position"], unique=False)
