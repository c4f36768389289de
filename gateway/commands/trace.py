"""``ceralacca trace``: the story of a message, each event with its time, each recipient with where it stands."""

import json
from dataclasses import asdict
from datetime import datetime
from enum import Enum
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, refuse, shown
from gateway.storage.certified import RecipientStatus
from gateway.storage.received import ProcessedEnvelope
from gateway.storage.register import RegisterRow
from gateway.storage.story import Story, ids_of, story

__all__ = ["trace"]

BODY_IDS = frozenset({"original_body_id", "envelope_body_id", "receipt_body_id", "take_charge_body_id", "body_id"})


def trace(
    term: Annotated[
        str, typer.Argument(metavar="ID|MSGID|ADDRESS", help="A PEC msgid, a client's Message-ID, or an address.")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list, one object a message.")] = False,
) -> None:
    """Tell the story of a message, or of the latest fifty of an address, and where each recipient stands."""
    with opened(config) as (settings, storage):
        stories = storage.read_now(lambda connection: [story(connection, found) for found in ids_of(connection, term)])
    if not stories:
        raise refuse(f"{term}: nothing is known of it")
    if as_json:
        typer.echo(json.dumps([_plain(asdict(one)) for one in stories], ensure_ascii=False, indent=2))
        return
    zone = ZoneInfo(settings.provider.time_zone)
    typer.echo("\n\n".join("\n".join(map(shown, _lines(one, zone))) for one in stories))


def _lines(told: Story, zone: ZoneInfo) -> list[str]:
    lines = [told.pec_msgid]
    if told.sent is not None:
        sent = told.sent
        lines.append(f'  "{sent.subject or ""}" from {sent.sender}, {_time(sent.at, zone)}')
        if sent.msgid:
            lines.append(f"  client's msgid {sent.msgid}")
        if sent.envelope_body_id is None:
            lines.append("  not accepted")
        lines += [f"  {_standing(recipient, zone)}" for recipient in sent.recipients]
    lines += [f"  {_end(one, zone)}" for one in told.received]
    lines += [f"  waiting: {row.kind} to {row.forward_path}, {row.attempts} attempts" for row in told.waiting]
    return lines + [f"    {_event(row, zone)}" for row in told.events]


def _standing(recipient: RecipientStatus, zone: ZoneInfo) -> str:
    detail = f" ({recipient.end_detail})" if recipient.end_detail else ""
    return f"{recipient.address}: {recipient.state.value} at {_time(recipient.state_at, zone)}{detail}"


def _end(one: ProcessedEnvelope, zone: ZoneInfo) -> str:
    return f"{one.address_key}: {one.end.value} here at {_time(one.at, zone)}, sealed by {one.provider}"


def _event(row: RegisterRow, zone: ZoneInfo) -> str:
    about = ", ".join(row.recipients)
    by = row.person and f"by {row.person}"
    parts = (row.event, by, about and f"for {about}", row.detail and f"({row.detail})", *row.related)
    return f"{_time(row.at, zone)}  " + " ".join(part for part in parts if part)


def _time(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat(sep=" ", timespec="seconds")


def _plain(value: object) -> object:
    """What JSON can hold; ids of bodies mean nothing outside."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if key not in BODY_IDS}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat()
    return value.value if isinstance(value, Enum) else value
