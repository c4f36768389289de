"""What lies in mailboxes, in which folders, and what has left them."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, SmallInteger, Table, Text, UniqueConstraint, text

from gateway.storage.tables.columns import Id, id_column, instant, link, metadata, words

__all__ = ["expunged", "folders", "keywords", "messages", "subscriptions"]

folders = Table(
    "folders",
    metadata,
    id_column(),
    link("mailbox_id", "mailboxes.id", cascade=True),
    words("key"),  # what stands in messages.folder, for life: renaming a folder touches no message
    words("name"),  # as its holder calls it, "/" between levels
    words("special_use", nullable=True),  # SpecialUse
    Column(
        "uid_validity", BigInteger, nullable=False, server_default=text("0")
    ),  # no other folder of the box ever had it
    Column("highest_uid", BigInteger, nullable=False),  # at least that of any message that has left
    Column("recent_from", BigInteger, nullable=False),  # UIDs from here on are recent to the session that asks first
    Column("log_from", BigInteger, nullable=False),  # what left at a modseq up to this is no longer known one by one
    UniqueConstraint("mailbox_id", "key"),
    UniqueConstraint("mailbox_id", "name"),
    sqlite_autoincrement=True,  # a session knows its folder by this id: it must never become that of another
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("mailbox_id", Id, ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),  # of a folder, or of one that is no more (RFC 3501 section 6.3.9)
    sqlite_with_rowid=False,
)

keywords = Table(
    "keywords",
    metadata,
    Column("mailbox_id", Id, ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True),
    Column("bit", SmallInteger, primary_key=True, autoincrement=False),  # of messages.keywords
    words("name"),  # as first written
    sqlite_with_rowid=False,
)

messages = Table(
    "messages",
    metadata,
    id_column(),
    words("token", unique=True),  # the opaque id for life, POP3's UIDL
    link("mailbox_id", "mailboxes.id"),
    words("folder"),  # the key of one
    Column("uid", BigInteger, nullable=False),
    Column("modseq", BigInteger, nullable=False),
    instant("at"),
    Column("size", BigInteger, nullable=False),
    words("kind"),
    Column("flags", Integer, nullable=False),  # Marks: what every mailbox knows
    link("body_id", "bodies.id"),
    words("return_path"),
    words("pec_msgid", nullable=True),
    Column("keywords", BigInteger, nullable=False, server_default=text("0")),  # bits of this mailbox's own keywords
    UniqueConstraint("mailbox_id", "uid"),
)
Index("ix_messages_body_id", messages.c.body_id)
Index("ix_messages_mailbox_id_folder_uid", messages.c.mailbox_id, messages.c.folder, messages.c.uid)
Index(
    "ix_messages_state",  # what changes with a message, so that counting and comparing folders reads nothing else
    messages.c.mailbox_id,
    messages.c.folder,
    messages.c.modseq,
    messages.c.uid,
    messages.c.flags,
    messages.c.size,
)

expunged = Table(
    "expunged",
    metadata,
    Column("mailbox_id", Id, ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True),
    Column("folder", Text, primary_key=True),  # the key of one
    Column("modseq", BigInteger, primary_key=True, autoincrement=False),
    Column("first_uid", BigInteger, primary_key=True, autoincrement=False),
    Column("last_uid", BigInteger, nullable=False),
    instant("at"),
    sqlite_with_rowid=False,
)
Index("ix_expunged_at", expunged.c.at)
