"""The story of messages as people like to see it: a line a recipient, a mark for each thing that happened, its time.

What has not happened is not drawn.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.points.tracking import RecipientState
from gateway.storage.certified import CertifiedMessage, RecipientStatus
from receipts.wire import RecipientKind

__all__ = ["timeline"]

MARK = "●"
MOST_RECIPIENTS = 12  # of one message on the screen
ENDS = {
    RecipientState.DELIVERED: ("delivered", "green"),
    RecipientState.FAILED: ("not delivered", "red"),
    RecipientState.TIMED_OUT: ("timed out", "red"),
}


def timeline(messages: Sequence[CertifiedMessage], zone: tzinfo, *, height: int) -> RenderableType:
    """The latest messages that fit, oldest first.

    Args:
        messages: oldest first.
        zone: in which times are shown.
        height: lines there are.
    """
    chosen: list[_Block] = []
    for block in (_block(message, zone) for message in reversed(messages)):
        if chosen and block.height > height:
            break
        height -= block.height
        chosen.append(block)
    return Group(*(block.drawn for block in reversed(chosen)))


@dataclass(frozen=True, slots=True)
class _Block:
    drawn: RenderableType
    height: int


def _block(message: CertifiedMessage, zone: tzinfo) -> _Block:
    title = Text(no_wrap=True, overflow="ellipsis")
    title.append(f'"{_plain(message.subject or "")}"', "bold").append(f" from {_plain(message.sender)}")
    if message.envelope_body_id is None:
        refusal = f"  {MARK} refused {_clock(message.at, zone)}: the notice in the sender's mailbox says why"
        return _Block(Group(title, Text(refusal, "red"), Text()), 3)
    shown, more = message.recipients[:MOST_RECIPIENTS], len(message.recipients) - MOST_RECIPIENTS
    table = Table.grid(padding=(0, 3, 0, 0))
    for recipient in shown:
        table.add_row(Text(f"  {_plain(recipient.address)}"), *_events(recipient, zone))
    details = [Text(line, "red") for line in _details(shown)]
    rest = [Text(f"  and {more} more", "dim")] if more > 0 else []
    return _Block(Group(title, table, *details, *rest, Text()), 2 + 2 * len(shown) + len(details) + len(rest))


def _events(recipient: RecipientStatus, zone: tzinfo) -> Iterator[Text]:
    """What has happened for this recipient, in order, each with its time below."""
    yield _event("accepted", _clock(recipient.accepted_at, zone), "green")
    if recipient.kind is RecipientKind.EXTERNAL:
        yield Text("ordinary mail:\nno receipts", "dim")
        return
    happened = []
    if recipient.taken_at is not None:
        happened.append((recipient.taken_at, "taken in charge", "green"))
    if recipient.ended_at is not None:
        happened.append((recipient.ended_at, *ENDS.get(recipient.state, (recipient.state.value, "yellow"))))
    for moment, label, colour in happened:
        yield _event(label, f"+{(moment - recipient.accepted_at).total_seconds():.3f} s", colour)


def _event(label: str, time: str, colour: str) -> Text:
    return Text(f"{MARK} {label}\n  {time}", colour, no_wrap=True)


def _details(recipients: Iterable[RecipientStatus]) -> Iterator[str]:
    for recipient in recipients:
        if recipient.end_detail:
            yield _plain(f"  {recipient.address}: {recipient.end_detail}")


def _plain(text: str) -> str:
    """What others wrote, without what would move the cursor or worse."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _clock(moment: datetime, zone: tzinfo) -> str:
    return moment.astimezone(zone).strftime("%H:%M:%S.%f")[:-3]
