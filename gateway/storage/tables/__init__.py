"""Every table, once: the schema that SQLite and PostgreSQL share.

Instants are microseconds of UTC (``values``). A change here goes with a step in ``migrations``.
"""

from gateway.storage.tables.access import account_terms, last_sign_ins, sign_in_places
from gateway.storage.tables.boxes import mailbox_days, rules, sent_appends
from gateway.storage.tables.certified import certified_messages, certified_recipients, submissions
from gateway.storage.tables.collections import collections
from gateway.storage.tables.columns import metadata
from gateway.storage.tables.details import detail_fill, message_details, message_forms, message_words
from gateway.storage.tables.digests import digests
from gateway.storage.tables.fetched import downloads
from gateway.storage.tables.handovers import handovers
from gateway.storage.tables.imports import import_folders, import_sources, imported
from gateway.storage.tables.legal import register, register_chain, register_links, register_segments
from gateway.storage.tables.mail import (
    expunged,
    flag_changes,
    folders,
    keywords,
    message_states,
    messages,
    subscriptions,
)
from gateway.storage.tables.octets import bodies, body_contents, chunk_sets, content_chunks, contents
from gateway.storage.tables.operation import alarms, leases
from gateway.storage.tables.outgoing import outbox
from gateway.storage.tables.people import account_passwords, accounts, aliases, domains, mailboxes
from gateway.storage.tables.policies import mailbox_policies
from gateway.storage.tables.quarantined import quarantine
from gateway.storage.tables.received import processed_envelopes, received_receipts
from gateway.storage.tables.scripts import sieve_scripts
from gateway.storage.tables.sharing import box_journal, box_people, person_passwords
from gateway.storage.tables.subaddresses import subaddresses

__all__ = [
    "account_passwords",
    "account_terms",
    "accounts",
    "alarms",
    "aliases",
    "bodies",
    "body_contents",
    "box_journal",
    "box_people",
    "certified_messages",
    "certified_recipients",
    "chunk_sets",
    "collections",
    "content_chunks",
    "contents",
    "detail_fill",
    "digests",
    "domains",
    "downloads",
    "expunged",
    "flag_changes",
    "folders",
    "handovers",
    "import_folders",
    "import_sources",
    "imported",
    "keywords",
    "last_sign_ins",
    "leases",
    "mailbox_days",
    "mailbox_policies",
    "mailboxes",
    "message_details",
    "message_forms",
    "message_states",
    "message_words",
    "messages",
    "metadata",
    "outbox",
    "person_passwords",
    "processed_envelopes",
    "quarantine",
    "received_receipts",
    "register",
    "register_chain",
    "register_links",
    "register_segments",
    "rules",
    "sent_appends",
    "sieve_scripts",
    "sign_in_places",
    "subaddresses",
    "submissions",
    "subscriptions",
]
