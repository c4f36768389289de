"""``ceralacca account journal``: who did what in a box that several people share (D35)."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from sqlalchemy import Connection

from gateway.commands.box import box_of
from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, refuse, shown
from gateway.points.sharing import Act
from gateway.storage import journal as rows
from gateway.storage import people
from gateway.storage.journal import BY_COMMAND, Entry, Told

__all__ = ["journal", "note"]

SHOWN = 5
"""Messages of a row that are named for people; ``--json`` has all."""


def journal(
    box: Annotated[str, typer.Argument(metavar="BOX", help="An address of the box.")],
    person: Annotated[
        str | None, typer.Option("--person", metavar="NAME", help="Of this person alone; `holder`: of the holder.")
    ] = None,
    since: Annotated[str | None, typer.Option("--from", metavar="DAY", help="From this day on, as 2026-03-02.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Up to this day, which is within.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line, with all there is.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Tell who signed in to a shared box, and what they read, marked, copied, moved, deleted, put there and sent."""
    with opened(config) as (settings, storage):
        zone = ZoneInfo(settings.provider.time_zone)
        first, last = _given_day(since), _given_day(until)
        if first is not None and last is not None and first > last:
            raise refuse(f"{first} is after {last}")
        begin = None if first is None else datetime.combine(first, time(), zone)
        end = None if last is None else datetime.combine(last + timedelta(days=1), time(), zone)
        found = storage.read_now(partial(box_of, address=box))
        shared = storage.read_now(lambda connection: people.sharing_of(connection, found.id).shared)
        last_row: Told | None = None
        told = 0
        while page := storage.read_now(partial(rows.page, mailbox_id=found.id, since=begin, until=end, after=last_row)):
            for row in page:
                if person is None or _is_by(row, person):
                    typer.echo(_as_json(row) if as_json else shown(_line(row, zone)))
                    told += 1
            last_row = page[-1]
    if not told:
        typer.echo("no such act" if shared else f"no such act; nobody shares {found.address} now", err=True)


def note(connection: Connection, mailbox_id: int, act: Act, **facts: str) -> None:
    """Write down what the operator does to a box, if several people share it."""
    if people.sharing_of(connection, mailbox_id).shared:
        entry = Entry(mailbox_id=mailbox_id, at=datetime.now(UTC), act=act, protocol=BY_COMMAND, facts=facts)
        rows.add(connection, entry)


def _is_by(row: Told, person: str) -> bool:
    if person == "holder":
        return row.person is None and row.protocol != BY_COMMAND
    return row.person is not None and row.person.casefold() == person.casefold()


def _as_json(row: Told) -> str:
    return json.dumps(asdict(row) | {"at": row.at.isoformat(), "who": _who(row)}, ensure_ascii=False)


def _line(row: Told, zone: ZoneInfo) -> str:
    parts = [f"{row.at.astimezone(zone):%Y-%m-%d %H:%M:%S}", _who(row), _what(row)]
    if row.protocol != BY_COMMAND:
        by = f"password {row.device}..." if row.device else "own password"
        parts.append(f"({row.protocol.upper()}, {row.address}, {by})")
    return "  ".join(parts)


def _who(row: Told) -> str:
    return "operator" if row.protocol == BY_COMMAND else row.person or "holder"


def _what(row: Told) -> str:
    words = [row.act]
    if row.messages:
        words.append(f"{row.messages} message{'s' if row.messages > 1 else ''}")
    if row.folder is not None:
        words.append(f"in {row.folder}")
    if row.target is not None:
        words.append(f"to {row.target}")
    if row.uids:
        words.append(f"(UID {row.uids if len(row.uids) <= 40 else row.uids[:37] + '...'})")
    return " ".join(words) + _facts(row.detail)


def _facts(detail: Mapping[str, Any]) -> str:
    told = [_fact(name, value) for name, value in detail.items() if name != "of"]
    told += [f'"{subject}"' for _, _, _, subject in detail.get("of", ())[:SHOWN] if subject]
    return ": " + ", ".join(told) if told else ""


def _fact(name: str, value: object) -> str:
    """``what`` speaks for itself; a name of two words is written as two."""
    said = "yes" if value is True else "no" if value is False else _shown(value)
    return said if name == "what" else f"{name.replace('_', ' ')} {said}"


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _given_day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise refuse(f"{text}: a day is written as 2026-03-02") from None
