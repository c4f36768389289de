"""What lies in mailboxes, in which folders, and what has left them."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from gateway.storage.tables.columns import Id, id_column, instant, link, metadata, words

__all__ = ["expunged", "flag_changes", "folders", "keywords", "message_states", "messages", "subscriptions"]

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
    Column("bit", SmallInteger, primary_key=True, autoincrement=False),  # of message_states.keywords
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
    instant("at"),
    Column("size", BigInteger, nullable=False),
    words("kind"),
    link("body_id", "bodies.id"),
    words("return_path"),
    words("pec_msgid", nullable=True),
    UniqueConstraint("mailbox_id", "uid"),
)
Index("ix_messages_body_id", messages.c.body_id)
Index("ix_messages_mailbox_id_folder_uid", messages.c.mailbox_id, messages.c.folder, messages.c.uid, unique=True)

message_states = Table(
    "message_states",  # what changes of a message: rows so small that a thousand of them change at once, and no index
    metadata,
    Column("mailbox_id", Id, primary_key=True),
    Column("folder", Text, primary_key=True),
    Column("uid", BigInteger, primary_key=True, autoincrement=False),
    Column("modseq", BigInteger, nullable=False),
    Column("flags", Integer, nullable=False),  # Marks: what every mailbox knows
    Column("keywords", BigInteger, nullable=False),  # bits of this mailbox's own keywords
    Column("size", BigInteger, nullable=False),  # this and the next once more, so that a folder is counted and listed
    Column("body_id", Id, nullable=False),  # without reading its messages
    ForeignKeyConstraint(  # a message that moves or leaves takes its state along
        ["mailbox_id", "folder", "uid"],
        ["messages.mailbox_id", "messages.folder", "messages.uid"],
        ondelete="CASCADE",
        onupdate="CASCADE",
    ),
    sqlite_with_rowid=False,
)

flag_changes = Table(
    "flag_changes",  # the last ones in each folder, so that news are found without an index of all modseqs
    metadata,
    Column("mailbox_id", Id, ForeignKey("mailboxes.id", ondelete="CASCADE"), primary_key=True),
    Column("folder", Text, primary_key=True),  # the key of one
    Column("slot", SmallInteger, primary_key=True, autoincrement=False),  # the modseq, modulo how many are kept
    Column("modseq", BigInteger, nullable=False),
    Column("first_uid", BigInteger, nullable=False),  # nothing before it has changed then
    Column("last_uid", BigInteger, nullable=False),  # nor after it
    sqlite_with_rowid=False,
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
