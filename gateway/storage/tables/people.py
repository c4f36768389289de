"""Domains, mailboxes with their aliases, and the accounts that sign in to them."""

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, SmallInteger, Table, Text, false, text

from gateway.storage.tables.columns import id_column, instant, link, metadata, words

__all__ = ["account_passwords", "accounts", "aliases", "domains", "mailboxes"]

domains = Table(
    "domains",
    metadata,
    id_column(),
    words("name", unique=True),
    instant("created_at"),
    words("store", nullable=True),  # where its new boxes are kept: a `[[stores]]` by its name; null: here
)

mailboxes = Table(
    "mailboxes",
    metadata,
    id_column(),
    words("address"),
    words("address_key", unique=True),
    words("kind"),  # BoxKind
    Column("active", Boolean, nullable=False),
    instant("created_at"),
    Column("uid_validity", BigInteger, nullable=False),  # the last one that a folder got
    Column("last_uid", BigInteger, nullable=False),
    Column("modseq", BigInteger, nullable=False),
    Column("used_bytes", BigInteger, nullable=False, server_default=text("0")),  # of what counts, a body once
    Column("quota_bytes", BigInteger),  # null: the provider's default
    Column("quota_told", SmallInteger, nullable=False, server_default=text("0")),  # percent, of the last alert
    Column("receipts_in_inbox", Boolean, nullable=False, server_default=false()),
    Column("has_rules", Boolean, nullable=False, server_default=false()),
    words("notice_address", nullable=True),  # an ordinary mailbox of the holder's
    Column(
        "told_about", SmallInteger, nullable=False, server_default=text("0")
    ),  # About: what the holder hears of there
    words("store", nullable=True),  # the `[[stores]]` that keeps what comes; null: we do
)

aliases = Table(
    "aliases",
    metadata,
    Column("address_key", Text, primary_key=True),
    words("address"),
    link("mailbox_id", "mailboxes.id"),
    instant("created_at"),
)
Index("ix_aliases_mailbox_id", aliases.c.mailbox_id)

accounts = Table(
    "accounts",
    metadata,
    id_column(),
    words("address"),
    words("address_key", unique=True),
    words("kind"),  # BoxKind
    link("mailbox_id", "mailboxes.id"),
    words("display_name"),
    words("language"),
    Column("active", Boolean, nullable=False),
    instant("created_at"),
    instant("changed_at"),  # a remembered sign-in older than this is worth nothing (D16)
)

account_passwords = Table(
    "account_passwords",
    metadata,
    id_column(),
    link("account_id", "accounts.id", cascade=True),
    words("label"),
    words("hash", nullable=True),  # argon2id, of the password that the holder chose
    words("lookup", nullable=True, unique=True),  # of a device password: its first characters
    Column("digest", LargeBinary),  # of a device password: its SHA-256
    instant("created_at"),
)
Index("ix_account_passwords_account_id", account_passwords.c.account_id)
