"""The story of messages as people like to see it: a line a recipient, a mark a stage, times beside them."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.points.tracking import RecipientState
from gateway.storage.certified import CertifiedMessage, RecipientStatus
from receipts.wire import RecipientKind

__all__ = ["accounts_table", "timeline"]

DONE, WAITING = "●", "○"
ENDS = {
    RecipientState.DELIVERED: ("delivered", "green"),
    RecipientState.FAILED: ("not delivered", "red"),
    RecipientState.TIMED_OUT: ("timed out", "red"),
}


def timeline(messages: Iterable[CertifiedMessage]) -> RenderableType:
    """The messages, oldest first."""
    return Group(*(_message(message) for message in messages))


def accounts_table(rows: Sequence[tuple[str, str, str]]) -> RenderableType:
    """Accounts with their passwords and their provider's ports."""
    table = Table("account", "password", "send and read with (host localhost)", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    return table


def _message(message: CertifiedMessage) -> RenderableType:
    title = Text.assemble(
        (f'"{message.subject or ""}"', "bold"),
        " from ",
        message.sender,
        f", {_clock(message.at)}",
        "  ",
        (message.pec_msgid, "dim"),
    )
    if message.envelope_body_id is None:
        return Group(title, Text("  ● not accepted: the notice in the sender's mailbox says why", "red"), Text())
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2))
    for recipient in message.recipients:
        table.add_row("  " + recipient.address, *_stages(recipient))
    return Group(title, table, Text())


def _stages(recipient: RecipientStatus) -> tuple[Text, ...]:
    accepted = Text(f"{DONE} accepted {_clock(recipient.accepted_at)}", "green")
    if recipient.kind is RecipientKind.EXTERNAL:
        return accepted, Text("ordinary mail: no receipts", "dim")
    return accepted, _taken(recipient), _end(recipient)


def _taken(recipient: RecipientStatus) -> Text:
    if recipient.taken_at is None:
        return Text(f"{WAITING} taken in charge", "dim")
    return Text(f"{DONE} taken in charge {_after(recipient, recipient.taken_at)}", "green")


def _end(recipient: RecipientStatus) -> Text:
    if recipient.ended_at is None:
        return Text(f"{WAITING} delivered", "dim")
    label, colour = ENDS.get(recipient.state, (recipient.state.value, "yellow"))
    detail = f" ({recipient.end_detail})" if recipient.end_detail else ""
    return Text(f"{DONE} {label} {_after(recipient, recipient.ended_at)}{detail}", colour)


def _after(recipient: RecipientStatus, moment: datetime) -> str:
    return f"+{(moment - recipient.accepted_at).total_seconds():.3f} s"


def _clock(moment: datetime) -> str:
    return moment.astimezone().strftime("%H:%M:%S.%f")[:-3]
