"""Closed days of the register, and leases.

Revision ID: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("leased_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "register_segments",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("latest", sa.BigInteger(), nullable=False),
        sa.Column("link_after", sa.LargeBinary(), nullable=False),
        sa.Column("statement", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=False),
        sa.Column("stamp", sa.LargeBinary(), nullable=True),
        sa.Column("stamped_at", sa.BigInteger(), nullable=True),
        sa.Column("stamp_source", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=False),
        sa.Column("body_id", ID, nullable=True),
        sa.Column("removed_at", sa.BigInteger(), nullable=True),
        sa.Column("emptied", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["body_id"], ["bodies.id"], name="fk_register_segments_body_id"),
        sa.PrimaryKeyConstraint("number", name="pk_register_segments"),
    )
    op.create_index("ix_register_segments_latest", "register_segments", ["latest"], unique=False)
    op.create_index("ix_register_segments_body_id", "register_segments", ["body_id"], unique=False)
    op.create_index(
        "ix_register_segments_unstamped",
        "register_segments",
        ["next_attempt_at"],
        unique=False,
        sqlite_where=sa.text("stamp IS NULL"),
        postgresql_where=sa.text("stamp IS NULL"),
    )
    guards = {"sqlite": SQLITE_GUARDS, "postgresql": POSTGRESQL_GUARDS}[op.get_bind().dialect.name]
    for statement in guards.split("\n\n"):
        op.execute(statement)


# What was signed stays as it was signed, whoever writes, also when the rows themselves are gone.

SQLITE_GUARDS = """\
CREATE TRIGGER register_segment_kept BEFORE DELETE ON register_segments
BEGIN SELECT RAISE(ABORT, 'what was signed about the register is kept'); END

CREATE TRIGGER register_segment_unchanged BEFORE UPDATE ON register_segments
WHEN OLD.statement IS NOT NEW.statement OR OLD.signature IS NOT NEW.signature
OR (OLD.stamp IS NOT NULL AND OLD.stamp IS NOT NEW.stamp)
BEGIN SELECT RAISE(ABORT, 'what was signed about the register is never changed'); END"""

POSTGRESQL_GUARDS = """\
CREATE FUNCTION register_segment_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' THEN
        RAISE EXCEPTION 'what was signed about the register is kept';
    ELSIF OLD.statement <> NEW.statement OR OLD.signature <> NEW.signature
    OR (OLD.stamp IS NOT NULL AND OLD.stamp IS DISTINCT FROM NEW.stamp) THEN
        RAISE EXCEPTION 'what was signed about the register is never changed';
    END IF;
    RETURN NEW;
END $$

CREATE TRIGGER register_segment_guard BEFORE UPDATE OR DELETE ON register_segments
FOR EACH ROW EXECUTE FUNCTION register_segment_guard()

CREATE TRIGGER register_segment_guard_all BEFORE TRUNCATE ON register_segments
FOR EACH STATEMENT EXECUTE FUNCTION register_segment_guard()"""
