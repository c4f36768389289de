"""The legal register with its chain and its closed days, explained in ``register``, ``chain`` and ``segments``."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    text,
)

from gateway.storage.tables.columns import Id, id_column, instant, link, metadata, words

__all__ = ["register", "register_chain", "register_links", "register_segments"]

register = Table(
    "register",
    metadata,
    id_column(),
    words("event"),
    instant("at"),
    words("pec_msgid", nullable=True),
    words("msgid", nullable=True),
    words("sender", nullable=True),
    words("recipients"),  # JSON list
    words("subject", nullable=True),
    words("provider", nullable=True),
    words("related"),  # JSON list: ids of the messages this event made
    words("account", nullable=True),
    words("detail", nullable=True),
    Column("hash", LargeBinary, nullable=False),
    words("person", nullable=True),  # who acted for the account, where several may (D35)
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
    instant("at"),
)

register_chain = Table(
    "register_chain",
    metadata,
    Column("id", SmallInteger, CheckConstraint("id = 1", name="single"), primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False, server_default=text("0")),
    Column("link", LargeBinary, nullable=False),
    Column("linked_below", BigInteger, nullable=False),  # every committed row up to this id is linked
    Column("linked_highest", BigInteger, nullable=False),  # the highest linked id when ``moved_at`` was set
    instant("moved_at"),
    words("lease_owner", nullable=True),
    instant("leased_until"),
)

register_segments = Table(
    "register_segments",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),  # from 1, without gaps
    words("day"),
    Column("first", BigInteger, nullable=False),  # positions
    Column("last", BigInteger, nullable=False),
    instant("latest"),  # of its rows
    Column("link_after", LargeBinary, nullable=False),
    Column("statement", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    instant("closed_at"),
    Column("stamp", LargeBinary, nullable=True),
    instant("stamped_at", nullable=True),
    words("stamp_source", nullable=True),
    Column("attempts", Integer, nullable=False),
    instant("next_attempt_at"),
    link("body_id", "bodies.id", nullable=True),  # null: removed, with its rows
    instant("removed_at", nullable=True),
    Column("emptied", Boolean, nullable=False),
)
Index("ix_register_segments_latest", register_segments.c.latest)
Index("ix_register_segments_body_id", register_segments.c.body_id)
Index(
    "ix_register_segments_unstamped",
    register_segments.c.next_attempt_at,
    sqlite_where=register_segments.c.stamp.is_(None),
    postgresql_where=register_segments.c.stamp.is_(None),
)
