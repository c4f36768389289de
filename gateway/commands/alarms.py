"""``ceralacca alarms``: what an operator must see now, and what was to be seen."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer
from sqlalchemy import Connection

from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, refuse, shown
from gateway.storage import alarms as rows
from gateway.storage import register
from gateway.storage.alarms import Alarm
from gateway.storage.register import Event, RegisterEntry, RegisterRow

__all__ = ["alarms", "moment"]

STANDING: Final = 1  # exit code
MOST_ABOUT_MESSAGES: Final = 1_000
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def alarms(
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            help="Also those that are over and those about messages: since 2026-03-01, 2026-03-01T09:30, or 24h ago.",
        ),
    ] = None,
    dismiss: Annotated[
        int | None,
        typer.Option("--dismiss", metavar="ID", help="End an alarm by hand: of a process that will not come back."),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """List what an operator must see now; exit code 1 if something stands."""
    with opened(config) as (settings, storage):
        zone, now = ZoneInfo(settings.provider.time_zone), datetime.now(UTC)
        if dismiss is not None:
            name = settings.provider.name
            if not storage.write_now(lambda connection: _dismiss(connection, dismiss, name, now)):
                raise refuse(f"{dismiss}: no such alarm stands")
        start = None if since is None else moment(since, zone, now)
        found, about = storage.read_now(
            lambda connection: (
                rows.list_since(connection, start),
                [] if start is None else register.rows_of(connection, Event.ALARM, start, limit=MOST_ABOUT_MESSAGES),
            )
        )
    about_messages = [row for row in about if row.pec_msgid or row.recipients or row.sender]
    standing = [alarm for alarm in found if alarm.over_at is None]
    if as_json:
        report = {"standing": len(standing), "alarms": [_plain(alarm) for alarm in found]}
        messages = [] if start is None else [_about(row) for row in about_messages]
        typer.echo(json.dumps(report | {"about_messages": messages}, ensure_ascii=False, indent=2))
    else:
        lines = [_line(alarm, zone) for alarm in found] + [_message_line(row, zone) for row in about_messages]
        typer.echo("\n".join(map(shown, [*lines, f"{len(standing)} standing"])))
    if standing:
        raise typer.Exit(STANDING)


def moment(text: str, zone: ZoneInfo, now: datetime) -> datetime:
    """What a person means: a day or an instant in the provider's zone, or a time ago.

    Raises:
        typer.BadParameter: nobody can tell.
    """
    ago = re.fullmatch(r"(\d{1,6})([mhd])(?: ago)?", text, re.ASCII)
    try:
        if ago:
            return now - int(ago[1]) * _UNITS[ago[2]]
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text}: is no time; write 2026-03-01, 2026-03-01T09:30 or 24h ago") from None
    return at if at.tzinfo else at.replace(tzinfo=zone)


def _dismiss(connection: Connection, alarm_id: int, provider: str, now: datetime) -> bool:
    alarm = rows.find(connection, alarm_id)
    if alarm is None or rows.end(connection, alarm.name, alarm.place, now) is None:
        return False
    detail = f"{alarm.name}{f' ({alarm.place})' if alarm.place else ''}: dismissed by hand"
    register.append(connection, [RegisterEntry(event=Event.ALARM_OVER, at=now, provider=provider, detail=detail)])
    return True


def _line(alarm: Alarm, zone: ZoneInfo) -> str:
    until = "stands" if alarm.over_at is None else f"over {_time(alarm.over_at, zone)}"
    place = f" at {alarm.place}" if alarm.place else ""
    return f"{alarm.id}  {alarm.name}{place}  since {_time(alarm.raised_at, zone)}, {until}: {alarm.detail}"


def _message_line(row: RegisterRow, zone: ZoneInfo) -> str:
    about = f" for {', '.join(row.recipients)}" if row.recipients else ""
    return f"message {row.pec_msgid or 'unknown'}{about}  {_time(row.at, zone)}: {row.detail or ''}"


def _plain(alarm: Alarm) -> dict[str, object]:
    return {
        "id": alarm.id,
        "name": alarm.name,
        "place": alarm.place,
        "detail": alarm.detail,
        "raised_at": alarm.raised_at.isoformat(),
        "told_at": alarm.told_at.isoformat(),
        "over_at": None if alarm.over_at is None else alarm.over_at.isoformat(),
    }


def _about(row: RegisterRow) -> dict[str, object]:
    return {
        "pec_msgid": row.pec_msgid,
        "recipients": list(row.recipients),
        "at": row.at.isoformat(),
        "detail": row.detail,
    }


def _time(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat(sep=" ", timespec="seconds")
