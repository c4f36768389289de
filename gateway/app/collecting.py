"""Collecting from boxes at other providers, as one provider does it."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from config.settings import Settings
from gateway.drivers.imap_client import ImapAccount, ImapUnavailable, RemoteMailbox, signed_in
from gateway.drivers.imap_store import from_one_file
from gateway.drivers.sources import Clock, Ids
from gateway.flows.alarms import Bell
from gateway.flows.collect import Collecting
from gateway.flows.judging import VALID, judge_with
from gateway.storage.collections import Collection
from gateway.storage.engine import Storage

__all__ = ["collecting"]


def collecting(settings: Settings, storage: Storage, clock: Clock, ids: Ids, bell: Bell, owner: str) -> Collecting:
    return Collecting(
        storage=storage,
        clock=clock,
        ids=ids,
        bell=bell,
        enter=_entered,
        owner=owner,
        judge=lambda: judge_with(settings.trust.ca_file, settings.index.file, settings.index.signer_ca_file),
        valid=VALID,
    )


@asynccontextmanager
async def _entered(collection: Collection) -> AsyncIterator[RemoteMailbox]:
    """Raises ImapUnavailable, ImapRefused, and KeyRefused for a file with a password that is missing or open."""
    account = ImapAccount(
        host=collection.host,
        port=collection.port,
        user=collection.user,
        password=from_one_file(Path(collection.password_file))(collection.address),
        context=_context(collection.ca_file),
    )
    async with signed_in(account) as remote:
        yield remote


def _context(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ImapUnavailable(f"{ca_file}: {error.strerror or 'holds no certificate'}") from None
