"""Boxes that another mail server keeps, and what waits to be handed over to it.

Revision ID: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("domains", sa.Column("store", sa.Text(), nullable=True))
    op.add_column("mailboxes", sa.Column("store", sa.Text(), nullable=True))
    op.create_table(
        "handovers",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("mailbox_id", ID, nullable=False),
        sa.Column("body_id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=True),
        sa.Column("flags", sa.Integer(), nullable=False),
        sa.Column("pec_msgid", sa.Text(), nullable=True),
        sa.Column("signer", sa.Text(), nullable=True),
        sa.Column("paths", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_reply", sa.Text(), nullable=True),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("leased_until", sa.BigInteger(), nullable=False),
        sa.Column("doubt", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_handovers"),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name="fk_handovers_mailbox_id"),
        sa.ForeignKeyConstraint(["body_id"], ["bodies.id"], name="fk_handovers_body_id"),
    )
    op.create_index("ix_handovers_next_attempt_at", "handovers", ["next_attempt_at"])
    op.create_index("ix_handovers_mailbox_id", "handovers", ["mailbox_id"])
    op.create_index("ix_handovers_body_id", "handovers", ["body_id"])
