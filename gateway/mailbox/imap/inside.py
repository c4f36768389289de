"""What a signed-in session has: its box, the folder it has open, what it switched on, and how it tells news."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.flows.work import deliberate
from gateway.mailbox.connection import Connection
from gateway.mailbox.imap import replies
from gateway.mailbox.imap.limits import ImapLimits
from gateway.mailbox.imap.numbers import NumberSet
from gateway.mailbox.imap.store import Box
from gateway.mailbox.imap.tokens import Malformed
from gateway.mailbox.imap.view import View
from gateway.points.boxes import ALL, Row, Want

__all__ = ["Declined", "Inside", "chosen", "learn_rows", "tell_news"]

_OF_RANGE: Final = 40  # bytes of a message that are read as soon as a range is looked up


class Declined(Exception):
    """The command is refused with this text, in ASCII, which may begin with a code (NO)."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(slots=True)
class Inside:
    box: Box
    connection: Connection
    limits: ImapLimits
    condstore: bool = False
    qresync: bool = False
    utf8: bool = False
    view: View | None = None
    midway: bool = False  # part of a literal is out: no other word may follow

    async def say(self, data: bytes) -> None:
        """Send, while the client takes it; raises TooSlow when it does not."""
        await self.connection.send(data, self.limits.bytes_per_second)

    @property
    def open_view(self) -> View:
        assert self.view is not None  # the table of states lets no command here without
        return self.view


async def chosen(inside: Inside, numbers: NumberSet, *, uid: bool) -> Sequence[int]:
    """UIDs of the messages in a set, ascending. Raises Malformed if there is no message of such a number."""
    view = inside.open_view
    found = await deliberate(len(numbers) * _OF_RANGE, lambda: view.chosen(numbers, uid=uid))
    if found is None:
        raise Malformed("no such message")
    return found


async def learn_rows(inside: Inside, *, uid: bool) -> None:
    """Have flags and modseqs of all messages in the view, as they are now; what is news is told."""
    view = inside.open_view
    await tell_news(inside, ask=False, may_expunge=False, uid=uid)
    if not view.knows_rows:
        view.learn(await inside.box.details(view.folder_id, view.uids, Want.NOTHING))


async def tell_news(inside: Inside, *, ask: bool, may_expunge: bool, uid: bool = False) -> None:
    """Bring the client up to date with the open folder.

    Args:
        ask: look even when nobody said that something changed.
        may_expunge: numbers may change now (RFC 3501 section 7.4.1).
        uid: name the UIDs of changed messages.
    """
    view, box = inside.view, inside.box
    if view is None:
        return
    fresh, first = False, view.uid_next
    changed: list[Row] = []
    if ask or box.modseq > view.modseq:
        news = await box.changes(view.folder_id, view.modseq)
        fresh, changed = view.take(news)
        if news.vanished is None:
            view.keep_only((await box.search(view.folder_id, ALL)).uids)
    if may_expunge and view.has_gone:
        uids, numbers = view.remove_gone()
        await inside.say(replies.vanished(uids) if inside.qresync else replies.expunged(numbers))
    if fresh:
        view.claim_recent(first if view.read_only else await box.take_recent(view.folder_id))
        await inside.say(replies.exists(len(view)) + replies.recent(view.recent()))
    for row in changed:
        number = view.number(row.uid)
        if number is not None:
            told = replies.row(
                number,
                row,
                is_recent=view.is_recent(row.uid),
                uid=uid or inside.qresync,
                modseq=inside.condstore,
            )
            await inside.say(told)
