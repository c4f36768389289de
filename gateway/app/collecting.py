"""Collecting from boxes at other providers, as one provider does it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from config.settings import Settings
from gateway.drivers.imap_client import ImapAccount, RemoteMailbox, signed_in
from gateway.drivers.imap_store import from_one_file
from gateway.drivers.sources import Clock, Ids
from gateway.drivers.tls import client_trusting
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
    """Raises ImapUnavailable, ImapRefused, and KeyRefused for a file that is missing or open to others."""
    account = ImapAccount(
        host=collection.host,
        port=collection.port,
        user=collection.user,
        password=from_one_file(Path(collection.password_file))(collection.address),
        context=client_trusting(None if collection.ca_file is None else Path(collection.ca_file)),
    )
    async with signed_in(account) as remote:
        yield remote
