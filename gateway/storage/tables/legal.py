"""The legal register and its chain, explained in ``register``."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, LargeBinary, SmallInteger, Table, text

from gateway.storage.tables.columns import Id, id_column, instant, metadata, words

__all__ = ["register", "register_chain", "register_links"]

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
