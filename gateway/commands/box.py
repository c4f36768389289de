"""``ceralacca account quota``, ``usage``, ``receipts`` and ``notice``: what a box holds and how it is kept."""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from sqlalchemy import Connection

from gateway.app import terms
from gateway.commands.config import DEFAULT_CONFIG, ConfigOption
from gateway.commands.domain import opened, refuse, shown
from gateway.commands.names import given_address
from gateway.points.digests import About, Beat
from gateway.points.forecast import DAYS, full_on
from gateway.storage import accounts, digests, usage
from gateway.storage.accounts import BoxKind, MailboxRef
from gateway.storage.digests import Subscription
from gateway.storage.usage import Usage

__all__ = ["box_of", "given_size", "notice", "quota", "receipts", "usage_"]

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="An address of the box.")]
UNITS = {"": 1, "KB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}
MOST = 1 << 50


class Where(StrEnum):
    """Where receipts go."""

    FOLDER = "folder"
    INBOX = "inbox"


class When(StrEnum):
    """When a holder hears of what comes."""

    OFF = "off"
    IMMEDIATELY = "immediately"
    HOURLY = "hourly"
    DAILY = "daily"


class Kind(StrEnum):
    """Of what a holder hears."""

    CERTIFIED = "certified"
    FAILURES = "failures"
    RECEIPTS = "receipts"
    ORDINARY = "ordinary"
    ALL = "all"


OF_KIND = {
    Kind.CERTIFIED: About.CERTIFIED,
    Kind.FAILURES: About.FAILURES,
    Kind.RECEIPTS: About.RECEIPTS,
    Kind.ORDINARY: About.ORDINARY,
    Kind.ALL: About.CERTIFIED | About.FAILURES | About.RECEIPTS | About.ORDINARY,
}


def quota(
    address: Address,
    size: Annotated[
        str | None, typer.Argument(metavar="[SIZE]", help="As in 500MB or 20GB; `none`; `default`: as configured.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show or set how much a box holds."""
    chosen = None if size is None else given_size(size)
    with opened(config) as (settings, storage):

        def transaction(connection: Connection) -> Usage:
            box = box_of(connection, address)
            if size is not None:
                usage.set_quota(connection, box.id, chosen)
            return _usage(connection, box)

        found = storage.write_now(transaction)
        capacity = terms.capacity(settings).of(found.quota)
    own = "" if found.quota is not None else " (default)"
    typer.echo(f"{found.address}: {_told_size(capacity.quota)}{own}")


def usage_(
    address: Annotated[str | None, typer.Argument(metavar="[ADDRESS]", help="Left out: all boxes.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Say how full boxes are, and on which day each will be full if it goes on as it did."""
    with opened(config) as (settings, storage):
        capacity = terms.capacity(settings)
        today = datetime.now(UTC).astimezone(ZoneInfo(settings.provider.time_zone)).date()

        def question(connection: Connection) -> list[str]:
            if address is None:
                users = [one for one in accounts.list_accounts(connection) if one.kind is BoxKind.USER]
                found = [usage.usage_of(connection, one.mailbox_id) for one in users]
            else:
                found = [_usage(connection, box_of(connection, address))]
            lines: list[str] = []
            for one in found:
                if one is None:
                    continue
                limit = capacity.of(one.quota).quota
                line = f"{one.address}  {one.used / 1_000_000:.1f} MB of {_told_size(limit)}"
                if limit:
                    days = dict(usage.days_of(connection, one.mailbox_id, today - timedelta(days=DAYS)))
                    day = full_on(sorted((days | {today: one.used}).items()), limit)
                    when = "full" if one.used >= limit else f"full on {day}" if day else "not filling up"
                    line += f"  {one.used * 100 / limit:.1f}%  {when}"
                lines.append(line)
            return lines

        for line in storage.read_now(question):
            typer.echo(shown(line))


def receipts(
    address: Address,
    where: Annotated[Where | None, typer.Argument(metavar="[folder|inbox]", help="Where receipts go.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show or set where receipts go: a folder of their own, or the inbox. POP3 shows both."""
    with opened(config) as (_, storage):

        def transaction(connection: Connection) -> Usage:
            box = box_of(connection, address)
            if where is not None:
                usage.set_receipts_in_inbox(connection, box.id, where is Where.INBOX)
            return _usage(connection, box)

        found = storage.write_now(transaction)
    typer.echo(f"{found.address}: receipts go to the {'inbox' if found.receipts_in_inbox else 'folder for receipts'}")


def notice(
    address: Address,
    to: Annotated[str | None, typer.Argument(metavar="[OTHER]", help="An ordinary address, or `none`.")] = None,
    when: Annotated[When | None, typer.Option("--when", help="When it is told that something has come.")] = None,
    about: Annotated[
        list[Kind] | None,
        typer.Option("--about", help="Of what it is told; may be repeated. Left out: certified and failures."),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Show or set the ordinary address that is told when a box fills up and, with --when, that something has come."""
    other = None if to is None or to == "none" else given_address(to)
    if about and when in {None, When.OFF}:
        raise refuse("--about goes with --when immediately, hourly or daily")
    with opened(config) as (_, storage):

        def transaction(connection: Connection) -> str:
            box = box_of(connection, address)
            if other is not None and accounts.mailbox_of(connection, other) is not None:
                raise accounts.AccountRefused(f"{other} is a box of this provider: notices go to an ordinary mailbox")
            if to is not None:
                usage.set_notice_address(connection, box.id, other)
            wanted = _subscription(when, about)
            if to == "none" or when is not None:
                digests.set_digest(connection, box.id, wanted, datetime.now(UTC))
            found = _usage(connection, box)
            if wanted is not None and found.notice_address is None:
                raise accounts.AccountRefused(f"{found.address}: no address to send notices to; name one behind it")
            return _told(found, digests.subscription_of(connection, box.id))

        typer.echo(storage.write_now(transaction))


def _subscription(when: When | None, about: list[Kind] | None) -> Subscription | None:
    if when is None or when is When.OFF:
        return None
    chosen = About(0)
    for kind in about or (Kind.CERTIFIED, Kind.FAILURES):
        chosen |= OF_KIND[kind]
    return Subscription(Beat(when.value), chosen)


def _told(box: Usage, subscription: Subscription | None) -> str:
    if box.notice_address is None:
        return f"{box.address}: no notice address"
    if subscription is None:
        return f"{box.address}: {box.notice_address}, told when the box fills up"
    kinds = [kind.value for kind, about in OF_KIND.items() if kind is not Kind.ALL and about in subscription.about]
    return f"{box.address}: {box.notice_address}, told {subscription.beat.value} of {', '.join(kinds)}"


def given_size(size: str) -> int | None:
    """A size in bytes; 0 for `none`, None for `default`."""
    if size in {"none", "default"}:
        return 0 if size == "none" else None
    match = re.fullmatch(r"([0-9]{1,15})\s?(KB|MB|GB)?", size.strip().upper())
    given = int(match[1]) * UNITS[match[2] or ""] if match else 0
    if not 0 < given <= MOST:
        raise refuse(f"{size}: a size is written as in 500MB or 20GB")
    return given


def box_of(connection: Connection, address: str) -> MailboxRef:
    """The box of a holder. Raises AccountRefused if there is none."""
    box = accounts.mailbox_of(connection, given_address(address))
    if box is None:
        raise accounts.AccountRefused(f"{address}: no such mailbox")
    if box.kind is not BoxKind.USER:
        raise accounts.AccountRefused(f"{box.address}: such a box takes everything")
    return box


def _usage(connection: Connection, box: MailboxRef) -> Usage:
    found = usage.usage_of(connection, box.id)
    if found is None:
        raise accounts.AccountRefused(f"{box.address}: no account has this mailbox")
    return found


def _told_size(size: int | None) -> str:
    """In megabytes; exactly where that would hide how little it is."""
    if not size:
        return "no limit"
    return f"{size / 1_000_000:.0f} MB" if size >= UNITS["MB"] else f"{size} bytes"
