"""The commands that change messages: flags, copies, removals (RFC 3501 section 6.4, RFC 4315, RFC 6851, RFC 7162)."""

from collections.abc import Sequence
from typing import Final

from gateway.mailbox.imap import names, replies
from gateway.mailbox.imap.answering import Form
from gateway.mailbox.imap.commands import Copy, Expunge, Store
from gateway.mailbox.imap.inside import Declined, Inside, chosen, tell_news
from gateway.mailbox.imap.items import Item
from gateway.mailbox.imap.numbers import written
from gateway.points.boxes import BoxRefused, Copied, Stored, Why

__all__ = ["copy", "expunge", "store"]

_TOGETHER: Final = 1_000  # messages that are stored or moved in one transaction, so that others need not wait long


async def store(inside: Inside, asked: Store) -> str:
    """Store flags; the text of the answer."""
    _check_writable(inside)
    view = inside.open_view
    if asked.unchanged_since is not None:
        inside.condstore = True
    uids = await chosen(inside, asked.numbers, uid=asked.uid)
    if asked.silent:  # others may have changed what the client now believes to know
        await tell_news(inside, ask=False, may_expunge=False, uid=asked.uid)
    there, modified = 0, list[int]()
    for start in range(0, len(uids), _TOGETHER):
        some = uids[start : start + _TOGETHER]
        stored = await inside.box.store(
            view.folder_id,
            some,
            asked.change,
            asked.flags,
            unchanged_since=asked.unchanged_since,
            known=view.known(some),
        )
        await inside.say(_told(inside, asked, stored))
        modified.extend(stored.modified)
        there += len(stored.messages) + len(stored.modified)
    if modified:
        told = modified if asked.uid else sorted(view.numbers(modified))
        return f"[MODIFIED {written(told).decode('ascii')}] changed by others since"
    return replies.ISSUED if there < len(uids) and not asked.uid else "STORE done"


def _told(inside: Inside, asked: Store, stored: Stored) -> bytes:
    """What a client is told of messages whose flags it stored."""
    view = inside.open_view
    view.tell_stored(stored)
    items = [
        *([Item.UID] if asked.uid or inside.qresync else []),
        *([] if asked.silent else [Item.FLAGS]),  # those the client set and knows (RFC 7162 section 3.1.3)
        *([Item.MODSEQ] if inside.condstore else []),
    ]
    if asked.silent and not inside.condstore:
        return b""
    return b")\r\n".join((*Form(items, view).filled(stored.messages), b""))


async def copy(inside: Inside, asked: Copy) -> str:
    """Copy or move; the text of the answer."""
    view = inside.open_view
    if asked.move:
        _check_writable(inside)
    uids = await chosen(inside, asked.numbers, uid=asked.uid)
    if not uids:
        return "nothing to do"
    if not asked.move and len(uids) > inside.limits.copied_messages:
        raise Declined(f"[LIMIT] at most {inside.limits.copied_messages} messages are copied at once")
    try:
        if asked.move:
            copied = await _moved(inside, uids, asked.name)
        else:
            copied = await inside.box.copy(view.folder_id, uids, asked.name)
    except BoxRefused as refused:
        if refused.why is Why.NO_FOLDER and names.is_name(asked.name):
            raise Declined(replies.NO_TARGET) from None
        raise
    if not copied.pairs:
        return "nothing was there any more"
    old, new = (written([pair[which] for pair in copied.pairs]).decode("ascii") for which in (0, 1))
    code = f"[COPYUID {copied.uid_validity} {old} {new}]"
    if not asked.move:
        return f"{code} COPY done"
    await inside.say(replies.ok(b"*", f"{code} moved"))  # before the numbers change (RFC 6851 section 4.3)
    await tell_news(inside, ask=True, may_expunge=True, uid=asked.uid)
    return _moment(inside) + "MOVE done"


async def _moved(inside: Inside, uids: Sequence[int], name: str) -> Copied:
    """Move messages, some at a time: if that ends half way, some have moved (RFC 6851 section 3.3)."""
    pairs: list[tuple[int, int]] = []
    uid_validity = 0
    for start in range(0, len(uids), _TOGETHER):
        copied = await inside.box.move(inside.open_view.folder_id, uids[start : start + _TOGETHER], name)
        uid_validity = copied.uid_validity
        pairs.extend(copied.pairs)
    return Copied(uid_validity, pairs)


async def expunge(inside: Inside, asked: Expunge | None) -> str:
    """Remove what is marked as deleted, of all messages or some; the text of the answer."""
    _check_writable(inside)
    view = inside.open_view
    uids = None if asked is None or asked.numbers is None else await chosen(inside, asked.numbers, uid=True)
    await inside.box.expunge(view.folder_id, uids)
    await tell_news(inside, ask=True, may_expunge=True)
    return _moment(inside) + "EXPUNGE done"


def _moment(inside: Inside) -> str:
    """The modseq up to which the client knows all, for those who count them (RFC 7162 section 3.2.7)."""
    return f"[HIGHESTMODSEQ {inside.open_view.modseq}] " if inside.condstore else ""


def _check_writable(inside: Inside) -> None:
    if inside.open_view.read_only:
        raise Declined(replies.READ_ONLY)
