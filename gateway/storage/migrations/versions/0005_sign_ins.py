"""How accounts are signed in to, and when and from where they were.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "account_terms",
        _account("account_terms"),
        sa.Column("protocols", sa.Text(), nullable=False),
        sa.Column("devices_only", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_account_terms"),
    )
    op.create_table(
        "last_sign_ins",
        _account("last_sign_ins"),
        sa.Column("lookup", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("protocol", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "lookup", name="pk_last_sign_ins"),
    )
    op.create_table(
        "sign_in_places",
        _account("sign_in_places"),
        sa.Column("network", sa.Text(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "network", name="pk_sign_in_places"),
    )


def _account(table: str) -> sa.Column[int]:
    name = f"fk_{table}_account_id"
    return sa.Column("account_id", ID, sa.ForeignKey("accounts.id", name=name, ondelete="CASCADE"), nullable=False)
