"""What holders are yet to hear of at an ordinary mailbox.

Revision ID: 0013
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("mailboxes", sa.Column("told_about", sa.SmallInteger(), server_default=sa.text("0"), nullable=False))
    op.create_table(
        "digests",
        sa.Column("mailbox_id", ID, nullable=False),
        sa.Column("beat", sa.Text(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=True),
        *(
            sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)
            for name in ("certified", "failures", "receipts", "ordinary")
        ),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name="fk_digests_mailbox_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("mailbox_id", name="pk_digests"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_digests_not_before",
        "digests",
        ["not_before"],
        unique=False,
        sqlite_where=sa.text("first_at IS NOT NULL"),
        postgresql_where=sa.text("first_at IS NOT NULL"),
    )
