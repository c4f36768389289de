"""Every table, once: the schema that SQLite and PostgreSQL share.

Instants are microseconds of UTC (``values``). Bodies and contents are explained in ``content``, the chain of the
register in ``register``. A change here goes with a step in ``migrations``.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

__all__ = [
    "account_passwords",
    "accounts",
    "aliases",
    "bodies",
    "body_contents",
    "certified_messages",
    "certified_recipients",
    "chunk_sets",
    "content_chunks",
    "contents",
    "domains",
    "mailboxes",
    "messages",
    "metadata",
    "outbox",
    "processed_envelopes",
    "received_receipts",
    "register",
    "register_chain",
    "register_links",
    "submissions",
]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER counts by itself in SQLite


def _id() -> Column[int]:
    return Column("id", Id, primary_key=True, autoincrement=True)


def _key() -> Column[int]:
    """An id that the program makes (``Batch.new_id``), so that rows can be added together."""
    return Column("id", Id, primary_key=True, autoincrement=False)


def _instant(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _text(name: str, *, nullable: bool = False, unique: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable, unique=unique)


def _link(name: str, target: str, *, nullable: bool = False, cascade: bool = False) -> Column[int]:
    return Column(name, Id, ForeignKey(target, ondelete="CASCADE" if cascade else None), nullable=nullable)


# Bytes.

chunk_sets = Table(
    "chunk_sets",
    metadata,
    _key(),
    _instant("created_at"),
)
Index("ix_chunk_sets_created_at_id", chunk_sets.c.created_at, chunk_sets.c.id)

content_chunks = Table(
    "content_chunks",
    metadata,
    Column("chunk_set_id", Id, ForeignKey("chunk_sets.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # from 0
    Column("data", LargeBinary, nullable=False),
)

contents = Table(
    "contents",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("size", BigInteger, nullable=False),
    _instant("touched_at"),  # last time somebody began to refer to it
    Column("chunk_set_id", Id, ForeignKey("chunk_sets.id"), unique=True),  # null: the bytes stand in data
    Column("data", LargeBinary),
)
Index("ix_contents_touched_at_sha256", contents.c.touched_at, contents.c.sha256)

bodies = Table(
    "bodies",
    metadata,
    _key(),
    Column("size", BigInteger, nullable=False),
    _instant("created_at"),
    Column("parts", LargeBinary, nullable=False),  # literals and references to ranges of contents, packed
)
Index("ix_bodies_created_at_id", bodies.c.created_at, bodies.c.id)

body_contents = Table(
    "body_contents",
    metadata,
    Column("body_id", Id, ForeignKey("bodies.id", ondelete="CASCADE"), primary_key=True),
    Column("sha256", LargeBinary, ForeignKey("contents.sha256"), primary_key=True),
    sqlite_with_rowid=False,
)
Index("ix_body_contents_sha256", body_contents.c.sha256)

# People.

domains = Table("domains", metadata, _id(), _text("name", unique=True), _instant("created_at"))

mailboxes = Table(
    "mailboxes",
    metadata,
    _id(),
    _text("address"),
    _text("address_key", unique=True),
    _text("kind"),  # BoxKind
    Column("active", Boolean, nullable=False),
    _instant("created_at"),
    Column("uid_validity", BigInteger, nullable=False),
    Column("last_uid", BigInteger, nullable=False),
    Column("modseq", BigInteger, nullable=False),
)

aliases = Table(
    "aliases",
    metadata,
    Column("address_key", Text, primary_key=True),
    _text("address"),
    _link("mailbox_id", "mailboxes.id"),
    _instant("created_at"),
)
Index("ix_aliases_mailbox_id", aliases.c.mailbox_id)

accounts = Table(
    "accounts",
    metadata,
    _id(),
    _text("address"),
    _text("address_key", unique=True),
    _text("kind"),  # BoxKind
    _link("mailbox_id", "mailboxes.id"),
    _text("display_name"),
    _text("language"),
    Column("active", Boolean, nullable=False),
    _instant("created_at"),
    _instant("changed_at"),  # a remembered sign-in older than this is worth nothing (D16)
)

account_passwords = Table(
    "account_passwords",
    metadata,
    _id(),
    _link("account_id", "accounts.id", cascade=True),
    _text("label"),
    _text("hash", nullable=True),  # argon2id, of the password that the holder chose
    _text("lookup", nullable=True, unique=True),  # of a device password: its first characters
    Column("digest", LargeBinary),  # of a device password: its SHA-256
    _instant("created_at"),
)
Index("ix_account_passwords_account_id", account_passwords.c.account_id)

# Mailboxes.

messages = Table(
    "messages",
    metadata,
    _id(),
    _text("token", unique=True),  # the opaque id for life, POP3's UIDL
    _link("mailbox_id", "mailboxes.id"),
    _text("folder"),
    Column("uid", BigInteger, nullable=False),
    Column("modseq", BigInteger, nullable=False),
    _instant("at"),
    Column("size", BigInteger, nullable=False),
    _text("kind"),
    Column("flags", Integer, nullable=False),
    _link("body_id", "bodies.id"),
    _text("return_path"),
    _text("pec_msgid", nullable=True),
    UniqueConstraint("mailbox_id", "uid"),
)
Index("ix_messages_body_id", messages.c.body_id)

# Certified messages of our own senders.

certified_messages = Table(
    "certified_messages",
    metadata,
    _key(),
    _text("pec_msgid", unique=True),
    _text("msgid", nullable=True),
    _link("account_id", "accounts.id"),
    _text("sender"),
    _text("subject", nullable=True),
    _text("reply_to"),
    _text("receipt_form"),
    _instant("at"),
    Column("recipients", Integer, nullable=False),  # how many
    _link("original_body_id", "bodies.id"),
    _link("envelope_body_id", "bodies.id", nullable=True),  # null: not accepted
)
Index("ix_certified_messages_msgid", certified_messages.c.msgid)
Index("ix_certified_messages_account_id_at", certified_messages.c.account_id, certified_messages.c.at)
Index("ix_certified_messages_original_body_id", certified_messages.c.original_body_id)
Index("ix_certified_messages_envelope_body_id", certified_messages.c.envelope_body_id)

certified_recipients = Table(
    "certified_recipients",
    metadata,
    Column("message_id", Id, ForeignKey("certified_messages.id"), primary_key=True),
    Column("address_key", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    _text("address"),
    _text("kind"),  # RecipientKind
    _text("role"),  # "to" or "cc"
    _text("provider", nullable=True),
    _text("state"),  # RecipientState
    _instant("state_at"),
    _instant("accepted_at"),
    _instant("taken_at", nullable=True),
    _instant("delayed_at", nullable=True),  # when the first notice of delay went out
    _instant("ended_at", nullable=True),
    _text("end_detail", nullable=True),
)
Index("ix_certified_recipients_address_key", certified_recipients.c.address_key)
Index(
    "ix_certified_recipients_open",
    certified_recipients.c.accepted_at,
    sqlite_where=certified_recipients.c.ended_at.is_(None),
    postgresql_where=certified_recipients.c.ended_at.is_(None),
)

submissions = Table(
    "submissions",
    metadata,
    Column("account_id", Id, ForeignKey("accounts.id"), primary_key=True),
    Column("digest", LargeBinary, primary_key=True),  # over msgid, recipients and bytes (D4)
    _text("pec_msgid"),
    _instant("at"),
    sqlite_with_rowid=False,
)

# What came from other providers (D4).

processed_envelopes = Table(
    "processed_envelopes",
    metadata,
    Column("pec_msgid", Text, primary_key=True),
    Column("provider", Text, primary_key=True),
    Column("address_key", Text, primary_key=True),
    Column("signed_sha256", LargeBinary, nullable=False),
    _text("sender"),
    _instant("at"),
    _text("end"),  # EnvelopeEnd
    _text("receipt_kind", nullable=True),
    _text("receipt_msgid", nullable=True),
    _link("receipt_body_id", "bodies.id", nullable=True),
    _link("take_charge_body_id", "bodies.id", nullable=True),
    Column("resent", SmallInteger, nullable=False),
    _instant("resent_at", nullable=True),
)
Index("ix_processed_envelopes_address_key", processed_envelopes.c.address_key)
Index("ix_processed_envelopes_receipt_body_id", processed_envelopes.c.receipt_body_id)
Index("ix_processed_envelopes_take_charge_body_id", processed_envelopes.c.take_charge_body_id)

received_receipts = Table(
    "received_receipts",
    metadata,
    Column("signed_sha256", LargeBinary, primary_key=True),
    Column("address_key", Text, primary_key=True),
    _instant("at"),
    sqlite_with_rowid=False,
)

# What waits to be relayed.

outbox = Table(
    "outbox",
    metadata,
    _key(),
    _link("body_id", "bodies.id"),
    _text("kind"),
    _text("reverse_path"),
    _text("forward_path"),
    _text("domain"),
    _text("pec_msgid", nullable=True),
    _text("msgid", nullable=True),  # these three of the original message, for the register (LOG-01)
    _text("sender", nullable=True),
    _text("subject", nullable=True),
    Column("certified", Boolean, nullable=False),
    _instant("created_at"),
    _instant("expires_at", nullable=True),
    _instant("next_attempt_at"),
    Column("attempts", Integer, nullable=False),
    _text("last_reply", nullable=True),
    _text("lease_owner", nullable=True),
    _instant("leased_until"),  # 0: nobody's
    Column("held", Boolean, nullable=False),
    Column("unreached", Boolean, nullable=False),  # no peer answered at the last attempt
)
Index(
    "ix_outbox_due",
    outbox.c.next_attempt_at,
    sqlite_where=outbox.c.held == false(),
    postgresql_where=outbox.c.held == false(),
)
Index(
    "ix_outbox_unreached",
    outbox.c.domain,
    sqlite_where=outbox.c.unreached == true(),
    postgresql_where=outbox.c.unreached == true(),
)
Index("ix_outbox_body_id", outbox.c.body_id)
Index("ix_outbox_pec_msgid", outbox.c.pec_msgid)

# The legal register.

register = Table(
    "register",
    metadata,
    _id(),
    _text("event"),
    _instant("at"),
    _text("pec_msgid", nullable=True),
    _text("msgid", nullable=True),
    _text("sender", nullable=True),
    _text("recipients"),  # JSON list
    _text("subject", nullable=True),
    _text("provider", nullable=True),
    _text("related"),  # JSON list: ids of the messages this event made
    _text("account", nullable=True),
    _text("detail", nullable=True),
    Column("hash", LargeBinary, nullable=False),
    sqlite_autoincrement=True,  # an id is never used twice
)
Index("ix_register_pec_msgid", register.c.pec_msgid)
Index(
    "ix_register_msgid",
    register.c.msgid,
    sqlite_where=register.c.msgid.isnot(None),
    postgresql_where=register.c.msgid.isnot(None),
)
Index("ix_register_at", register.c.at)

register_links = Table(
    "register_links",
    metadata,
    Column("position", Id, primary_key=True, autoincrement=False),  # from 1, without gaps
    Column("register_id", Id, nullable=False, unique=True),  # no foreign key: a link outlives a row that was torn out
    Column("link", LargeBinary, nullable=False),
    _instant("at"),
)

register_chain = Table(
    "register_chain",
    metadata,
    Column("id", SmallInteger, CheckConstraint("id = 1", name="single"), primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False, server_default=text("0")),
    Column("link", LargeBinary, nullable=False),
    Column("linked_below", BigInteger, nullable=False),  # every committed row up to this id is linked
    Column("linked_highest", BigInteger, nullable=False),  # the highest linked id when ``moved_at`` was set
    _instant("moved_at"),
    _text("lease_owner", nullable=True),
    _instant("leased_until"),
)
