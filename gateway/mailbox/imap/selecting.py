"""Opening and closing a folder (RFC 3501 sections 6.3.1, 6.4.2; RFC 7162 section 3.2.5)."""

from gateway.mailbox.imap import replies
from gateway.mailbox.imap.commands import Resync, Select
from gateway.mailbox.imap.fetching import vanished_of
from gateway.mailbox.imap.inside import Inside
from gateway.mailbox.imap.numbers import LARGEST, covered, is_within
from gateway.mailbox.imap.tokens import Malformed
from gateway.mailbox.imap.view import View
from gateway.points.boxes import Opened
from gateway.points.marks import RESERVED, marks_of

__all__ = ["close", "select"]


async def select(inside: Inside, asked: Select) -> str:
    """Open a folder; the text of the answer. If that fails, none is open (RFC 3501 section 6.3.1)."""
    if asked.resync is not None and not inside.qresync:
        raise Malformed("QRESYNC needs ENABLE QRESYNC")
    if inside.view is not None:
        inside.view = None
        if inside.qresync:
            await inside.say(replies.ok(b"*", "[CLOSED] the folder before"))
    inside.condstore = inside.condstore or asked.condstore
    opened = await inside.box.open(asked.name, read_only=asked.read_only)
    read_only = asked.read_only or not opened.may_write
    view = inside.view = View(opened, read_only=read_only)
    await inside.say(_told(opened, view))
    if asked.resync is not None and asked.resync.uid_validity == opened.uid_validity:
        await _resync(inside, view, asked.resync)
    return "[READ-ONLY] open for reading" if read_only else "[READ-WRITE] open"


async def close(inside: Inside, *, expunge: bool) -> None:
    """Close the folder, removing what is marked as deleted without a word about it."""
    view, inside.view = inside.open_view, None
    if expunge and not view.read_only:
        await inside.box.expunge(view.folder_id, None)


def _told(opened: Opened, view: View) -> bytes:
    to_be_set = [flag for flag in opened.flags if not marks_of((flag,))[0] & RESERVED]
    lines = [
        replies.flags(opened.flags),
        replies.permanent_flags(to_be_set, read_only=view.read_only),
        replies.exists(len(view)),
        replies.recent(view.recent()),
        replies.ok(b"*", f"[UIDVALIDITY {opened.uid_validity}] of this folder"),
        replies.ok(b"*", f"[UIDNEXT {opened.uid_next}] or later"),
        replies.ok(b"*", f"[HIGHESTMODSEQ {opened.modseq}] of this box"),
    ]
    first = None if opened.first_unseen is None else view.number(opened.first_unseen)
    if first is not None:
        lines.insert(4, replies.ok(b"*", f"[UNSEEN {first}] is the first one"))
    return b"".join(lines)


async def _resync(inside: Inside, view: View, told: Resync) -> None:
    """What happened since the client was here last, of the messages it knows."""
    news = await inside.box.changes(view.folder_id, told.modseq)
    known = told.known if told.known is not None else [(1, LARGEST)]
    await inside.say(replies.vanished_earlier(vanished_of(news, known, view)))
    ranges = covered(known, view.uid_next - 1)
    for row in news.rows:
        number = view.number(row.uid)
        if number is not None and is_within(ranges, row.uid):
            recent = view.is_recent(row.uid)
            await inside.say(replies.row(number, row, is_recent=recent, uid=True, modseq=True))
