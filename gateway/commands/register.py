"""``ceralacca register``: the legal register checked, closed, extracted, counted, and cleared of what is old enough."""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final
from zoneinfo import ZoneInfo

import typer

from config.settings import Settings
from gateway.app import registers, terms
from gateway.app.extracts import Form, new_file, periods, periods_as, write_extract, write_segment
from gateway.app.progress import shown_progress
from gateway.commands.alarms import moment
from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, refuse
from gateway.commands.reasons import reason_of
from gateway.drivers.keyfiles import KeyRefused
from gateway.drivers.sources import SystemClock
from gateway.flows.alarms import Alarms
from gateway.flows.register_closing import RegisterClosing
from gateway.flows.register_extract import Origin
from gateway.storage import audit as auditing
from gateway.storage import chain, segments
from gateway.storage.audit import Audit
from gateway.storage.engine import Storage
from gateway.storage.extracts import Selection
from gateway.storage.segments import Segment, every_segment
from receipts.errors import SigningUnavailable

__all__ = ["app"]

app = typer.Typer(
    help="Check the legal register, close its days, extract from it, count.", no_args_is_help=True, add_completion=False
)

CHANGED = 1  # exit code
TIMES: Final = "From a time on: 2026-03-01, 2026-03-01T09:30, or 24h ago."
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
            due = asyncio.run(removal.due())
            for segment in due:
                typer.echo(f"would go: {_segment(segment)}")
            if not due:
                typer.echo("nothing would go")
            return
        removed = asyncio.run(removal(lambda segment, rows: typer.echo(f"{_segment(segment)}: {rows} rows removed")))
    typer.echo(f"{removed} rows removed")


@app.command()
def export(
    message: Annotated[
        str | None, typer.Option("--message", metavar="ID", help="About one message: a PEC msgid or a Message-ID.")
    ] = None,
    address: Annotated[
        str | None, typer.Option("--address", help="About one address, as sender, recipient or account.")
    ] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help=TIMES)] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before that time.")] = None,
    form: Annotated[Form, typer.Option("--format", help="For a table, for programs, or signed for people.")] = Form.CSV,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; standard output if left out.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Extract rows by message, address or time, each with its place in what was signed."""
    if message is None and address is None and since is None and until is None:
        raise refuse("say what to extract: --message, --address, --since or --until")
    if form is Form.PDF and output is None:
        raise refuse("a PDF needs a file: --output")
    with opened(config) as (settings, storage):
        zone, now = ZoneInfo(settings.provider.time_zone), datetime.now(UTC)
        selection = Selection(
            message=message,
            address=address,
            since=None if since is None else moment(since, zone, now),
            until=None if until is None else moment(until, zone, now),
        )
        provider = settings.provider
        origin = Origin(provider=provider.name, domain=provider.domain, zone=zone, selection=selection, at=now)
        signer = partial(terms.signer, settings)
        try:
            with _target(output) as file, shown_progress("rows") as progress:
                rows = write_extract(storage, origin, form, file, signer, progress)
        except (OSError, KeyRefused, SigningUnavailable) as error:
            raise refuse(f"not extracted: {reason_of(error)}") from None
    typer.echo(f"{rows} rows", err=True)


@app.command("segments")
def segments_(
    folder: Annotated[Path, typer.Argument(help="Where the files go.")],
    number: Annotated[list[int] | None, typer.Option("--number", help="Only these; all of them if left out.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Write closed days as files, to be kept elsewhere or handed to an expert: lines, statement, signature, stamp."""
    with opened(config) as (_, storage):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            written = 0
            for segment in _chosen(storage, number):
                for file in write_segment(storage, segment, folder):
                    typer.echo(file)
                    written += 1
        except OSError as error:
            raise refuse(f"not written: {reason_of(error)}") from None
    if not written:
        raise refuse("there is no such closed day" if number else "no day is closed yet")


@app.command()
def report(
    since: Annotated[str | None, typer.Option("--since", metavar="TIME", help=TIMES)] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="A table for other programs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list, one object for every two months.")] = False,
) -> None:
    """Count for the supervising authority, every two months: messages sent and received, receipts, boxes."""
    with opened(config) as (settings, storage):
        zone, now = ZoneInfo(settings.provider.time_zone), datetime.now(UTC)
        start = None if since is None else moment(since, zone, now)
        found = periods(storage, zone, start, now)
    typer.echo(periods_as(Form.JSON if as_json else Form.CSV if as_csv else None, found), nl=False)


@contextmanager
def _target(output: Path | None) -> Iterator[BinaryIO]:
    if output is not None:
        with new_file(output) as file:
            yield file
        return
    file = typer.get_binary_stream("stdout")
    yield file
    file.flush()


def _chosen(storage: Storage, numbers: list[int] | None) -> Iterator[Segment]:
    if numbers is None:
        yield from every_segment(storage.read_now)
        return
    for number in numbers:
        found = storage.read_now(partial(segments.find, number=number))
        if found is not None:
            yield found


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
