"""What programs ask of every message of a folder, in a table of its own, with the header fields that they list.

Revision ID: 0015
"""

import re

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
AT_ONCE = 500
NAMES = (
    b"from|to|cc|bcc|subject|date|message-id|priority|x-priority|references|"
    b"newsgroups|in-reply-to|content-type|reply-to"
)
FIELD = re.compile(rb"^(?:%s)[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)" % NAMES, re.IGNORECASE | re.MULTILINE)

NEXT = sa.text(
    "SELECT body_id, envelope, structure, header FROM message_details "
    "WHERE body_id > :after ORDER BY body_id LIMIT :most"
)
ADD = sa.text(
    "INSERT INTO message_forms (body_id, envelope, structure, fields) VALUES (:body_id, :envelope, :structure, :fields)"
)


def upgrade() -> None:
    op.create_table(
        "message_forms",
        sa.Column("body_id", ID, autoincrement=False, nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("structure", sa.LargeBinary(), nullable=False),
        sa.Column("fields", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["body_id"], ["bodies.id"], name="fk_message_forms_body_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("body_id", name="pk_message_forms"),
    )
    _fill()
    op.drop_column("message_details", "envelope")
    op.drop_column("message_details", "structure")


def _fill() -> None:
    after = 0
    while rows := op.get_bind().execute(NEXT, {"after": after, "most": AT_ONCE}).all():
        filled = [
            {"body_id": row[0], "envelope": row[1], "structure": row[2], "fields": _fields(bytes(row[3]))}
            for row in rows
        ]
        op.get_bind().execute(ADD, filled)
        after = rows[-1][0]


def _fields(header: bytes) -> bytes:
    chosen = b"".join(FIELD.findall(header))
    return chosen + (b"\r\n" if chosen.endswith(b"\n") or not chosen else b"\r\n\r\n")
