"""What becomes of messages at the server they were brought from is followed.

Of messages that were brought before, nobody knows which are which here: what becomes of them changes nothing.

Revision ID: 0021
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("import_sources", sa.Column("runs", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.create_table(
        "import_folders",
        sa.Column("source_id", ID, nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("uid_validity", sa.BigInteger(), nullable=False),
        sa.Column("filed", sa.Text(), nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=True),
        sa.Column("walked", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source_id", "folder", name="pk_import_folders"),
        sa.ForeignKeyConstraint(
            ["source_id"], ["import_sources.id"], name="fk_import_folders_source_id", ondelete="CASCADE"
        ),
        sqlite_with_rowid=False,
    )
    for name, kind in (
        ("token", sa.Text()),
        ("sha256", sa.LargeBinary()),
        ("flags", sa.Text()),
        ("filed", sa.Text()),
        ("run", sa.BigInteger()),
        ("gone_run", sa.BigInteger()),
    ):
        op.add_column("imported", sa.Column(name, kind, nullable=True))
    op.create_index("ix_imported_sha256", "imported", ["source_id", "sha256", "gone_run", "run"])
    op.create_index(
        "ix_imported_gone_run",
        "imported",
        ["source_id", "gone_run"],
        sqlite_where=sa.text("gone_run > 0"),
        postgresql_where=sa.text("gone_run > 0"),
    )
    op.add_column("collections", sa.Column("deletions", sa.Text(), server_default=sa.text("'keep'"), nullable=False))
