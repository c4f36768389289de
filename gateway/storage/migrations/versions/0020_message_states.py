"""What changes of messages, in a table of its own, so small that a thousand flags change at once.

Revision ID: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PLACE = ["mailbox_id", "folder", "uid"]


def upgrade() -> None:
    op.drop_index("ix_messages_mailbox_id_folder_uid", "messages")
    op.create_index("ix_messages_mailbox_id_folder_uid", "messages", PLACE, unique=True)
    op.create_table(
        "message_states",
        sa.Column("mailbox_id", ID, nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("flags", sa.Integer(), nullable=False),
        sa.Column("keywords", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("body_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            PLACE,
            [f"messages.{name}" for name in PLACE],
            name="fk_message_states_mailbox_id_folder_uid",
            ondelete="CASCADE",
            onupdate="CASCADE",
        ),
        sa.PrimaryKeyConstraint(*PLACE, name="pk_message_states"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "flag_changes",
        sa.Column("mailbox_id", ID, nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("slot", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("first_uid", sa.BigInteger(), nullable=False),
        sa.Column("last_uid", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailboxes.id"], name="fk_flag_changes_mailbox_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("mailbox_id", "folder", "slot", name="pk_flag_changes"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO message_states (mailbox_id, folder, uid, modseq, flags, keywords, size, body_id) "
        "SELECT mailbox_id, folder, uid, modseq, flags, keywords, size, body_id FROM messages "
        "ORDER BY mailbox_id, folder, uid"
    )
    # Changes of before are not noted: after this one, whoever knows an older modseq reads the whole folder.
    op.execute("UPDATE mailboxes SET modseq = modseq + 1025")
    op.drop_index("ix_messages_state", "messages")
    for name in ("modseq", "flags", "keywords"):
        op.drop_column("messages", name)
