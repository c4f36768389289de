"""What is worked out of a message once, so that nobody reads it again to list or search it.

The index over ``message_words``, ``search_index``, is each database's own and no table of ours: a migration makes it.
"""

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Integer, LargeBinary, SmallInteger, Table

from gateway.storage.tables.columns import Id, instant, metadata, words

__all__ = ["detail_fill", "message_details", "message_forms", "message_words"]

message_forms = Table(
    "message_forms",  # what programs ask of every message of a folder: so small that a page holds several
    metadata,
    Column("body_id", Id, ForeignKey("bodies.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("envelope", LargeBinary, nullable=False),  # as on the wire (``receipts.imapforms``), like the next
    Column("structure", LargeBinary, nullable=False),
    Column("fields", LargeBinary, nullable=False),  # of the header, those of ``receipts.choice.USUAL``
)

message_details = Table(
    "message_details",
    metadata,
    Column("body_id", Id, ForeignKey("bodies.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("body", LargeBinary, nullable=False),  # as on the wire
    Column("header", LargeBinary, nullable=False),  # with the empty line
    Column("places", LargeBinary, nullable=False),  # JSON: path, start, body, stop, inner of each part
    Column("sent_day", Integer),  # by the Date field: its day, counted from 1 January of the year 1
    words("heads"),  # these six as ``receipts.plaintext`` makes them
    words("subject"),
    words("senders"),
    words("recipients"),
    words("copies"),
    words("hidden"),
)

message_words = Table(
    "message_words",
    metadata,
    Column("body_id", Id, ForeignKey("bodies.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    words("words"),
    Column("whole", Boolean, nullable=False),  # false: the message has more
)

detail_fill = Table(
    "detail_fill",
    metadata,
    Column("id", SmallInteger, CheckConstraint("id = 1", name="single"), primary_key=True, autoincrement=False),
    Column("done_to", Id, nullable=False),  # messages up to this id have their details, or were looked at
    words("lease_owner", nullable=True),
    instant("leased_until"),
)
