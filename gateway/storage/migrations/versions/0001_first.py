"""The first schema.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    create_tables()
    chain = {"id": 1, "link": bytes(32), "linked_below": 0, "linked_highest": 0, "moved_at": 0, "leased_until": 0}
    op.bulk_insert(sa.table("register_chain", *map(sa.column, chain)), [chain])
    guards = {"sqlite": SQLITE_GUARDS, "postgresql": POSTGRESQL_GUARDS}[op.get_bind().dialect.name]
    for statement in guards.split("\n\n"):
        op.execute(statement)


# What keeps the register as it was written, whoever writes; the chain tells of those who get round it.

SQLITE_GUARDS = """\
CREATE TRIGGER register_unchanged BEFORE UPDATE ON register
BEGIN SELECT RAISE(ABORT, 'the register is never changed'); END

CREATE TRIGGER register_kept BEFORE DELETE ON register
WHEN OLD.at > CAST(strftime('%s', 'now', '-30 months') AS INTEGER) * 1000000
BEGIN SELECT RAISE(ABORT, 'the register is kept for 30 months'); END"""

POSTGRESQL_GUARDS = """\
CREATE FUNCTION register_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'the register is never changed';
    ELSIF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION 'the register is kept for 30 months';
    ELSIF OLD.at > extract(epoch FROM now() - interval '30 months') * 1000000 THEN
        RAISE EXCEPTION 'the register is kept for 30 months';
    END IF;
    RETURN OLD;
END $$

CREATE TRIGGER register_guard BEFORE UPDATE OR DELETE ON register
FOR EACH ROW EXECUTE FUNCTION register_guard()

CREATE TRIGGER register_guard_all BEFORE TRUNCATE ON register
FOR EACH STATEMENT EXECUTE FUNCTION register_guard()

ALTER TABLE contents ALTER COLUMN data SET STORAGE EXTERNAL

ALTER TABLE content_chunks ALTER COLUMN data SET STORAGE EXTERNAL

ALTER TABLE bodies ALTER COLUMN parts SET STORAGE EXTERNAL"""  # mail is in base64, or compressed already


def create_tables() -> None:
    op.create_table(
        "bodies",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_bodies"),
    )
    op.create_index("ix_bodies_created_at_id", "bodies", ["created_at", "id"], unique=False)
    op.create_table(
        "chunk_sets",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_chunk_sets"),
    )
    op.create_index("ix_chunk_sets_created_at_id", "chunk_sets", ["created_at", "id"], unique=False)
    op.create_table(
        "domains",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_domains"),
        sa.UniqueConstraint("name", name="uq_domains_name"),
    )
    op.create_table(
        "mailboxes",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("uid_validity", sa.BigInteger(), nullable=False),
        sa.Column("last_uid", sa.BigInteger(), nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mailboxes"),
        sa.UniqueConstraint("address_key", name="uq_mailboxes_address_key"),
    )
    op.create_table(
        "received_receipts",
        sa.Column("signed_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("signed_sha256", "address_key", name="pk_received_receipts"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "register",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("pec_msgid", sa.Text(), nullable=True),
        sa.Column("msgid", sa.Text(), nullable=True),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("recipients", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("related", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_register"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_register_at", "register", ["at"], unique=False)
    op.create_index(
        "ix_register_msgid",
        "register",
        ["msgid"],
        unique=False,
        sqlite_where=sa.text("msgid IS NOT NULL"),
        postgresql_where=sa.text("msgid IS NOT NULL"),
    )
    op.create_index("ix_register_pec_msgid", "register", ["pec_msgid"], unique=False)
    op.create_table(
        "register_chain",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("link", sa.LargeBinary(), nullable=False),
        sa.Column("linked_below", sa.BigInteger(), nullable=False),
        sa.Column("linked_highest", sa.BigInteger(), nullable=False),
        sa.Column("moved_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("leased_until", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_register_chain_single")),
        sa.PrimaryKeyConstraint("id", name="pk_register_chain"),
    )
    op.create_table(
        "register_links",
        sa.Column("position", ID, autoincrement=False, nullable=False),
        sa.Column("register_id", ID, nullable=False),
        sa.Column("link", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_register_links"),
        sa.UniqueConstraint("register_id", name="uq_register_links_register_id"),
    )
    op.create_table(
        "accounts",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("mailbox_id", ID, nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name="fk_accounts_mailbox_id"),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("address_key", name="uq_accounts_address_key"),
    )
    op.create_table(
        "aliases",
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("mailbox_id", ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name="fk_aliases_mailbox_id"),
        sa.PrimaryKeyConstraint("address_key", name="pk_aliases"),
    )
    op.create_index("ix_aliases_mailbox_id", "aliases", ["mailbox_id"], unique=False)
    op.create_table(
        "content_chunks",
        sa.Column("chunk_set_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["chunk_set_id"], ["chunk_sets.id"], name="fk_content_chunks_chunk_set_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("chunk_set_id", "number", name="pk_content_chunks"),
    )
    op.create_table(
        "contents",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("touched_at", sa.BigInteger(), nullable=False),
        sa.Column("chunk_set_id", ID, nullable=True),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["chunk_set_id"], ["chunk_sets.id"], name="fk_contents_chunk_set_id"),
        sa.PrimaryKeyConstraint("sha256", name="pk_contents"),
        sa.UniqueConstraint("chunk_set_id", name="uq_contents_chunk_set_id"),
    )
    op.create_index("ix_contents_touched_at_sha256", "contents", ["touched_at", "sha256"], unique=False)
    op.create_table(
        "messages",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("mailbox_id", ID, nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("flags", sa.Integer(), nullable=False),
        sa.Column("body_id", ID, nullable=False),
        sa.Column("return_path", sa.Text(), nullable=False),
        sa.Column("pec_msgid", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["body_id"], ["bodies.id"], name="fk_messages_body_id"),
        sa.ForeignKeyConstraint(["mailbox_id"], ["mailboxes.id"], name="fk_messages_mailbox_id"),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.UniqueConstraint("mailbox_id", "uid", name="uq_messages_mailbox_id_uid"),
        sa.UniqueConstraint("token", name="uq_messages_token"),
    )
    op.create_index("ix_messages_body_id", "messages", ["body_id"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("body_id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reverse_path", sa.Text(), nullable=False),
        sa.Column("forward_path", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("pec_msgid", sa.Text(), nullable=True),
        sa.Column("msgid", sa.Text(), nullable=True),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("certified", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_reply", sa.Text(), nullable=True),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("leased_until", sa.BigInteger(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("unreached", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["body_id"], ["bodies.id"], name="fk_outbox_body_id"),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index("ix_outbox_body_id", "outbox", ["body_id"], unique=False)
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["next_attempt_at"],
        unique=False,
        sqlite_where=sa.text("held = 0"),
        postgresql_where=sa.text("held = false"),
    )
    op.create_index("ix_outbox_pec_msgid", "outbox", ["pec_msgid"], unique=False)
    op.create_index(
        "ix_outbox_unreached",
        "outbox",
        ["domain"],
        unique=False,
        sqlite_where=sa.text("unreached = 1"),
        postgresql_where=sa.text("unreached = true"),
    )
    op.create_table(
        "processed_envelopes",
        sa.Column("pec_msgid", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("signed_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.Text(), nullable=False),
        sa.Column("receipt_kind", sa.Text(), nullable=True),
        sa.Column("receipt_msgid", sa.Text(), nullable=True),
        sa.Column("receipt_body_id", ID, nullable=True),
        sa.Column("take_charge_body_id", ID, nullable=True),
        sa.Column("resent", sa.SmallInteger(), nullable=False),
        sa.Column("resent_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["receipt_body_id"], ["bodies.id"], name="fk_processed_envelopes_receipt_body_id"),
        sa.ForeignKeyConstraint(
            ["take_charge_body_id"], ["bodies.id"], name="fk_processed_envelopes_take_charge_body_id"
        ),
        sa.PrimaryKeyConstraint("pec_msgid", "provider", "address_key", name="pk_processed_envelopes"),
    )
    op.create_index("ix_processed_envelopes_address_key", "processed_envelopes", ["address_key"], unique=False)
    op.create_index("ix_processed_envelopes_receipt_body_id", "processed_envelopes", ["receipt_body_id"], unique=False)
    op.create_index(
        "ix_processed_envelopes_take_charge_body_id", "processed_envelopes", ["take_charge_body_id"], unique=False
    )
    op.create_table(
        "account_passwords",
        sa.Column("id", ID, autoincrement=True, nullable=False),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=True),
        sa.Column("lookup", sa.Text(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_account_passwords_account_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_account_passwords"),
        sa.UniqueConstraint("lookup", name="uq_account_passwords_lookup"),
    )
    op.create_index("ix_account_passwords_account_id", "account_passwords", ["account_id"], unique=False)
    op.create_table(
        "body_contents",
        sa.Column("body_id", ID, nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["body_id"], ["bodies.id"], name="fk_body_contents_body_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["sha256"], ["contents.sha256"], name="fk_body_contents_sha256"),
        sa.PrimaryKeyConstraint("body_id", "sha256", name="pk_body_contents"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_body_contents_sha256", "body_contents", ["sha256"], unique=False)
    op.create_table(
        "certified_messages",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("pec_msgid", sa.Text(), nullable=False),
        sa.Column("msgid", sa.Text(), nullable=True),
        sa.Column("account_id", ID, nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("reply_to", sa.Text(), nullable=False),
        sa.Column("receipt_form", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("recipients", sa.Integer(), nullable=False),
        sa.Column("original_body_id", ID, nullable=False),
        sa.Column("envelope_body_id", ID, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_certified_messages_account_id"),
        sa.ForeignKeyConstraint(["envelope_body_id"], ["bodies.id"], name="fk_certified_messages_envelope_body_id"),
        sa.ForeignKeyConstraint(["original_body_id"], ["bodies.id"], name="fk_certified_messages_original_body_id"),
        sa.PrimaryKeyConstraint("id", name="pk_certified_messages"),
        sa.UniqueConstraint("pec_msgid", name="uq_certified_messages_pec_msgid"),
    )
    op.create_index("ix_certified_messages_account_id_at", "certified_messages", ["account_id", "at"], unique=False)
    op.create_index("ix_certified_messages_envelope_body_id", "certified_messages", ["envelope_body_id"], unique=False)
    op.create_index("ix_certified_messages_msgid", "certified_messages", ["msgid"], unique=False)
    op.create_index("ix_certified_messages_original_body_id", "certified_messages", ["original_body_id"], unique=False)
    op.create_table(
        "submissions",
        sa.Column("account_id", ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("pec_msgid", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_submissions_account_id"),
        sa.PrimaryKeyConstraint("account_id", "digest", name="pk_submissions"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "certified_recipients",
        sa.Column("message_id", ID, nullable=False),
        sa.Column("address_key", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_at", sa.BigInteger(), nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=False),
        sa.Column("taken_at", sa.BigInteger(), nullable=True),
        sa.Column("delayed_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("end_detail", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["message_id"], ["certified_messages.id"], name="fk_certified_recipients_message_id"),
        sa.PrimaryKeyConstraint("message_id", "address_key", name="pk_certified_recipients"),
    )
    op.create_index("ix_certified_recipients_address_key", "certified_recipients", ["address_key"], unique=False)
    op.create_index(
        "ix_certified_recipients_open",
        "certified_recipients",
        ["accepted_at"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
