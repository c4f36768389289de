"""``ceralacca register``: the legal register checked, closed, extracted, counted, and cleared of what is old enough."""

import asyncio
import json
import os
from functools import partial
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from config.settings import Settings
from gateway.app import registers, terms
from gateway.app.progress import shown_progress
from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, refuse
from gateway.drivers.keyfiles import KeyRefused
from gateway.drivers.sources import SystemClock
from gateway.flows.alarms import Alarms
from gateway.flows.register_closing import RegisterClosing
from gateway.storage import audit as auditing
from gateway.storage import chain, segments
from gateway.storage.audit import Audit
from gateway.storage.engine import Storage
from gateway.storage.segments import Segment

__all__ = ["app"]

app = typer.Typer(
    help="Check the legal register, close its days, extract from it, count.", no_args_is_help=True, add_completion=False
)

CHANGED = 1  # exit code
NAMED = 20  # unlinked rows that are listed one by one


@app.command()
def verify(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    seals: Annotated[
        bool, typer.Option("--seals/--no-seals", help="Whether signatures and time stamps are checked too.")
    ] = True,
) -> None:
    """Check every row, every link and every closed day; exit code 1 if one of them is not what it was."""
    with opened(config) as (settings, storage):
        try:
            judge = registers.judge(settings) if seals else None
        except KeyRefused as error:
            raise refuse(f"signatures cannot be checked: {error}; --no-seals leaves them out") from None
        with shown_progress("rows") as progress:
            audit = storage.read_now(lambda connection: auditing.verify(connection, judge, progress))
    typer.echo(json.dumps(_report(audit), indent=2) if as_json else "\n".join(_lines(audit)))
    if not audit.whole:
        raise typer.Exit(CHANGED)


@app.command()
def close(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    today: Annotated[
        bool, typer.Option("--today", help="Close what was registered today as well; the rest of today follows.")
    ] = False,
) -> None:
    """Close the days that are over and have them stamped; a running provider does so by itself."""
    with opened(config) as (settings, storage):
        clock = SystemClock(ZoneInfo(settings.provider.time_zone))
        try:
            closing = _closing(settings, storage, clock)
        except (KeyRefused, OSError) as error:
            raise refuse(f"the register cannot be closed: {error}") from None
        while storage.write_now(partial(chain.link, owner=_process(), now=clock.now())):
            continue
        closed = asyncio.run(closing(today=today))
        last = storage.read_now(segments.last)
        waiting = storage.read_now(segments.without_stamp)
    typer.echo(f"{closed} closed{'' if last is None else f', the last one is {_segment(last)}'}")
    if waiting:
        typer.echo(f"{waiting} without a time stamp")


@app.command()
def purge(
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Remove the rows of days that were kept long enough; what was signed about them stays."""
    with opened(config) as (settings, storage):
        removal = registers.removal(settings, storage, SystemClock(ZoneInfo(settings.provider.time_zone)))
        if dry_run:
            for segment in asyncio.run(removal.due()):
                typer.echo(f"would go: {_segment(segment)}")
            return
        removed = asyncio.run(removal(lambda segment, rows: typer.echo(f"{_segment(segment)}: {rows} rows removed")))
    typer.echo(f"{removed} rows removed")


def _closing(settings: Settings, storage: Storage, clock: SystemClock) -> RegisterClosing:
    alarms = Alarms(storage, clock, place=_process(), provider=settings.provider.name)
    return registers.closing(settings, storage, clock, terms.signer(settings), alarms, _process())


def _process() -> str:
    return f"command {os.getpid()}"


def _segment(segment: Segment) -> str:
    return f"segment {segment.number} of {segment.day} ({segment.last - segment.first + 1} rows)"


def _report(audit: Audit) -> dict[str, Any]:
    return {
        "whole": audit.whole,
        "rows": audit.rows,
        "links": audit.links,
        "unlinked": audit.unlinked,
        "segments": audit.segments,
        "unclosed": audit.unclosed,
        "unstamped": audit.unstamped,
        "removed_segments": audit.removed,
        "removed_rows": audit.removed_rows,
        "signers": audit.signers,
        "first_bad_place": audit.faults[0] if audit.faults else None,
        "faults": audit.faults,
    }


def _lines(audit: Audit) -> list[str]:
    lines = [f"{audit.rows} rows, {audit.links} links"]
    if audit.segments:
        lines.append(f"{audit.segments} closed days, signed by {', '.join(audit.signers)}")
    if audit.removed:
        lines.append(f"kept long enough and removed: {audit.removed_rows} rows of segments {_named(audit.removed)}")
    if audit.unstamped:
        lines.append(f"without a time stamp yet: segments {_named(audit.unstamped)}")
    if audit.segments and audit.unclosed:
        lines.append(f"not closed yet: {audit.unclosed} rows")
    if audit.unlinked:
        lines.append(f"not linked yet: {_named(audit.unlinked)}")
    if audit.whole:
        return [*lines, "the register is whole"]
    return [*lines, f"first bad place: {audit.faults[0]}", *audit.faults[1:], "the register was changed"]


def _named(numbers: list[int]) -> str:
    """The first twenty, runs of them as "5 to 9"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    named = ", ".join(" to ".join(map(str, run)) for run in runs[:NAMED])
    return named if len(runs) <= NAMED else f"{named} and more"
