"""The first schema.

Revision ID: 0001
"""

from alembic import op

from gateway.storage.tables import metadata, register_chain

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())
    op.bulk_insert(
        register_chain,
        [{"id": 1, "link": bytes(32), "linked_below": 0, "linked_highest": 0, "moved_at": 0, "leased_until": 0}],
    )
