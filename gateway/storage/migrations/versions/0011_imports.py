"""What was brought along from other mail servers.

Revision ID: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "import_sources",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("mailbox_id", ID, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("leased_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_import_sources"),
        sa.UniqueConstraint("mailbox_id", "source", name="uq_import_sources_mailbox_id_source"),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailboxes.id"], name="fk_import_sources_mailbox_id", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "imported",
        sa.Column("source_id", ID, nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("uid_validity", sa.BigInteger(), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source_id", "folder", "uid_validity", "uid", name="pk_imported"),
        sa.ForeignKeyConstraint(["source_id"], ["import_sources.id"], name="fk_imported_source_id", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
