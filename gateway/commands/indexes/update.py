"""``ceralacca index update``: the index fetched now, or taken from a file, and put in place."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from config.settings import Settings
from gateway.app import terms
from gateway.commands.config import DEFAULT_CONFIG, ConfigOption, settings_or_exit
from gateway.commands.domain import opened
from gateway.commands.indexes.diff import print_changes
from gateway.commands.indexes.reading import read_bounded, unusable
from gateway.drivers.dialer import Dialer
from gateway.drivers.keyfiles import KeyRefused, load_trust
from gateway.drivers.sources import SystemClock
from gateway.flows.alarms import Alarms
from gateway.flows.index_update import INDEX, IndexUpdate, Updated, UpdateOutcome, UpdateSettings
from gateway.storage import downloads
from gateway.storage.engine import Storage
from providers.directory import Directory, IndexRefused
from providers.index_diff import changes
from providers.sync import IndexFile

__all__ = ["update"]

NOT_UPDATED = 1  # exit code


def update(
    config: ConfigOption = DEFAULT_CONFIG,
    file: Annotated[
        Path | None, typer.Option("--file", help="Take this signed index (.p7m), and fetch nothing.")
    ] = None,
    *,
    allow_older: Annotated[
        bool,
        typer.Option("--allow-older", help="With --file: also one that was signed before the one in use."),
    ] = False,
) -> None:
    """Fetch the index now, or take one from a file; check it, put it in place, and say what changed.

    A provider that runs takes it within seconds; one signed before the index in use, at its next start.
    """
    settings = settings_or_exit(config)
    index = _index(settings)
    before = index.directory() if index.refresh() else None
    if file is not None:
        _import(config, settings, index, file, allow_older=allow_older)
    elif settings.index.url is None:
        raise unusable("index.url is not set; name a file with --file")
    else:
        with opened(config, prepare=True) as (_, storage):
            _say(settings, asyncio.run(_fetch(settings, storage, index)))
    after = _index(settings)
    if after.refresh():
        _compare(before, after.directory())


def _index(settings: Settings) -> IndexFile:
    try:
        anchors = load_trust(settings.index.signer_ca_file).anchors
    except KeyRefused as error:
        raise unusable(str(error)) from None
    return IndexFile(settings.index.file, anchors, lambda: datetime.now(UTC))


async def _fetch(settings: Settings, storage: Storage, index: IndexFile) -> UpdateOutcome:
    url = settings.index.url
    assert url is not None
    try:
        fetch = terms.index_fetch(settings, Dialer(closed=settings.relay.closed), url)
    except (OSError, KeyRefused) as error:
        raise unusable(str(error)) from None
    clock = SystemClock(ZoneInfo(settings.provider.time_zone))
    updating = IndexUpdate(
        storage=storage,
        index=index,
        fetch=fetch,
        bell=Alarms(storage, clock, place="command", provider=settings.provider.name),
        clock=clock,
        chance=random.random,
        settings=UpdateSettings(url=url, period=timedelta(hours=settings.index.refresh_hours)),
    )
    return await updating.now()


def _say(settings: Settings, outcome: UpdateOutcome) -> None:
    match outcome.result:
        case Updated.FAILED:
            typer.echo(f"{settings.index.url}: {outcome.reason}; the old index stays", err=True)
            raise typer.Exit(NOT_UPDATED)
        case Updated.ELSEWHERE:
            typer.echo("another process fetches it just now")
        case Updated.SAME:
            typer.echo("the index is the newest")
        case Updated.NEW:
            typer.echo(f"a new index is in {settings.index.file}")


def _import(config: Path, settings: Settings, index: IndexFile, file: Path, *, allow_older: bool) -> None:
    """Into the file, and among the downloads, or other processes would put theirs back."""
    try:
        data = read_bounded(file)
        index.judge(data, older=allow_older)
        if settings.index.url is not None:
            with opened(config, prepare=True) as (_, storage):
                _keep(storage, settings, data)
        index.place(data)
    except (OSError, IndexRefused, ValueError) as error:
        raise unusable(f"{file}: {error}") from None
    typer.echo(f"{file} is in {settings.index.file}")


def _keep(storage: Storage, settings: Settings, data: bytes) -> None:
    now = datetime.now(UTC)
    url = settings.index.url or ""
    storage.write_now(partial(downloads.want, name=INDEX, url=url, at=now))
    next_at = now + timedelta(hours=settings.index.refresh_hours)
    storage.write_now(partial(downloads.keep, name=INDEX, data=data, tag=None, at=now, next_at=next_at))


def _compare(before: Directory | None, after: Directory) -> None:
    if before is None:
        typer.echo(f"{len(after.records)} providers, {len(after.domains)} domains")
    elif before.version != after.version:
        print_changes(changes(before, after))
