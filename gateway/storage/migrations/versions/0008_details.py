"""What is worked out of messages for programs that list and search them. What is there is worked out by and by.

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Three letters each: a text that holds a word holds all its trigrams. What they find is compared with the text itself.

SQLITE_INDEX = """\
CREATE VIRTUAL TABLE search_index USING fts5(
    words, content='message_words', content_rowid='body_id', tokenize='trigram', detail='none', columnsize=0
)

CREATE TRIGGER message_words_added AFTER INSERT ON message_words
BEGIN INSERT INTO search_index (rowid, words) VALUES (NEW.body_id, NEW.words); END

CREATE TRIGGER message_words_removed AFTER DELETE ON message_words
BEGIN INSERT INTO search_index (search_index, rowid, words) VALUES ('delete', OLD.body_id, OLD.words); END"""

POSTGRESQL_INDEX = """\
CREATE TABLE search_index (
    body_id BIGINT PRIMARY KEY REFERENCES message_words (body_id) ON DELETE CASCADE,
    grams tsvector
)

CREATE INDEX search_index_grams ON search_index USING gin (grams)"""


def upgrade() -> None:
    create_tables()
    fill = {"id": 1, "done_to": 0, "lease_owner": None, "leased_until": 0}
    op.bulk_insert(sa.table("detail_fill", *map(sa.column, fill)), [fill])
    index = {"sqlite": SQLITE_INDEX, "postgresql": POSTGRESQL_INDEX}[op.get_bind().dialect.name]
    for statement in index.split("\n\n"):
        op.execute(statement)


def create_tables() -> None:
    op.create_table(
        "message_details",
        sa.Column("body_id", ID, autoincrement=False, nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("structure", sa.LargeBinary(), nullable=False),
        sa.Column("header", sa.LargeBinary(), nullable=False),
        sa.Column("places", sa.LargeBinary(), nullable=False),
        sa.Column("sent_day", sa.Integer(), nullable=True),
        sa.Column("heads", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("senders", sa.Text(), nullable=False),
        sa.Column("recipients", sa.Text(), nullable=False),
        sa.Column("copies", sa.Text(), nullable=False),
        sa.Column("hidden", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["body_id"], ["bodies.id"], name="fk_message_details_body_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("body_id", name="pk_message_details"),
    )
    op.create_table(
        "message_words",
        sa.Column("body_id", ID, autoincrement=False, nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["body_id"], ["bodies.id"], name="fk_message_words_body_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("body_id", name="pk_message_words"),
    )
    op.create_table(
        "detail_fill",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("done_to", ID, nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("leased_until", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name="single"),
        sa.PrimaryKeyConstraint("id", name="pk_detail_fill"),
    )
