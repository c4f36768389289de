"""What each mailbox does with ordinary mail.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "mailbox_policies",
        sa.Column(
            "mailbox_id",
            ID,
            sa.ForeignKey("mailboxes.id", ondelete="CASCADE", name="fk_mailbox_policies_mailbox_id"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("ordinary", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("forward_to", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("mailbox_id", name="pk_mailbox_policies"),
    )
