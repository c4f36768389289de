"""Each folder has a UIDVALIDITY of its own, and no modseq is 0.

Revision ID: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("folders", sa.Column("uid_validity", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.execute(
        "UPDATE folders SET uid_validity = folders.id"
        " + (SELECT uid_validity FROM mailboxes WHERE mailboxes.id = folders.mailbox_id)"
    )
    op.execute("UPDATE mailboxes SET uid_validity = uid_validity + (SELECT coalesce(max(id), 0) FROM folders)")
    op.execute("UPDATE mailboxes SET modseq = 1 WHERE modseq = 0")
