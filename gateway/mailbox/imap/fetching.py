"""FETCH: from what is kept of messages to answers, in bounded pieces (RFC 3501 section 6.4.5, RFC 7162)."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from gateway.mailbox.imap import replies
from gateway.mailbox.imap.commands import Fetch
from gateway.mailbox.imap.inside import Inside, learn_rows
from gateway.mailbox.imap.items import Body, Item, Part
from gateway.mailbox.imap.numbers import NumberSet, covered, is_within, written, written_without
from gateway.mailbox.imap.sections import FieldChooser, span_of
from gateway.mailbox.imap.tokens import Malformed
from gateway.mailbox.imap.view import View
from gateway.points.boxes import Changes, Details, FlagChange, Row, Want
from receipts.octets import EMPTY, InMemory, Octets

__all__ = ["fetch", "vanished_of"]

_MESSAGES: Final = 1_000  # whose flags are read at once
_DETAILED: Final = 500  # of which more is read at once
_FEW: Final = 8  # that are read without asking for their sizes first
_TOGETHER: Final = 100  # answers that are sent in one piece
_WITH_BYTES: Final = 50
_BYTES: Final = 512 * 1024  # of messages that are read at once

_OF_ROWS: Final = {
    Item.FLAGS: b"FLAGS %(flags)s",
    Item.MODSEQ: b"MODSEQ (%(modseq)d)",
    Item.UID: b"UID %(uid)d",
}
"""Items whose answers change with a message."""
_WANTED: Final = {
    Item.BODY: Want.BODY,
    Item.BODYSTRUCTURE: Want.STRUCTURE,
    Item.ENVELOPE: Want.ENVELOPE,
    Item.INTERNALDATE: Want.DATE_AND_SIZE,
    Item.SIZE: Want.DATE_AND_SIZE,
}


async def fetch(inside: Inside, asked: Fetch) -> bool:
    """Answer a FETCH; whether all messages it names were still there."""
    view = inside.open_view
    if asked.vanished and not inside.qresync:
        raise Malformed("VANISHED needs ENABLE QRESYNC")
    if asked.changed_since is not None or Item.MODSEQ in asked.items:
        inside.condstore = True
    uids = view.chosen(asked.numbers, uid=asked.uid)
    if uids is None:
        raise Malformed("no such message")
    if asked.changed_since is not None:
        uids = await _changed(inside, asked, uids)
    return await _Fetching(inside, asked).all(uids)


async def _changed(inside: Inside, asked: Fetch, uids: Sequence[int]) -> list[int]:
    """Those of these messages that changed since; says which vanished, if asked."""
    view, since = inside.open_view, asked.changed_since
    assert since is not None
    news = await inside.box.changes(view.folder_id, since)
    if asked.vanished:
        await inside.say(replies.vanished_earlier(vanished_of(news, asked.numbers, view)))
    changed = {row.uid for row in news.rows}
    return [uid for uid in uids if uid in changed]


def vanished_of(news: Changes, known: NumberSet, view: View) -> bytes:
    """The UIDs of a set that left the folder, as a set; where nobody knows any more, all that are not there.

    What left a moment ago has a number still, and is told of later.
    """
    ranges = covered(known, view.uid_next - 1)
    if news.vanished is None:
        return written_without(ranges, view.uids)
    return written([uid for uid in news.vanished if is_within(ranges, uid) and view.number(uid) is None])


class _Fetching:
    """One FETCH: what it needs of each message, and how an answer is put together."""

    def __init__(self, inside: Inside, asked: Fetch) -> None:
        self._inside = inside
        self._view = inside.open_view
        self._uid = asked.uid or inside.qresync
        items = asked.items
        if asked.changed_since is not None and Item.MODSEQ not in items:
            items = (*items, Item.MODSEQ)
        self._items = [item for item in items if item is not Item.UID or not self._uid]
        self._bodies = [item for item in items if isinstance(item, Body)]
        self._marks = not self._view.read_only and any(not body.peek for body in self._bodies)
        self._needs_bytes = any(not body.in_header for body in self._bodies)
        self._flags: dict[frozenset[str], bytes] = {}
        self._choosers: dict[Body, FieldChooser] = {}
        self._want = Want.NOTHING
        for item in self._items:
            self._want |= _want_of(item) if isinstance(item, Body) else _WANTED.get(item, Want.NOTHING)
        self._needs_details = self._want is not Want.NOTHING
        self._of_rows = all(item in _OF_ROWS for item in self._items)
        if self._needs_bytes:
            self._want |= Want.DATE_AND_SIZE  # to know how many to read at once

    async def all(self, uids: Sequence[int]) -> bool:
        if not self._needs_details and (self._view.knows_rows or (len(uids) > 1 and not self._needs_bytes)):
            await learn_rows(self._inside, uid=self._uid)
        if self._needs_bytes and len(uids) <= _FEW and not self._needs_details:
            self._want = Want.NOTHING
        if not self._needs_bytes and self._of_rows and self._view.knows_rows:
            return await self._rows(uids)
        step = _MESSAGES if self._want is Want.NOTHING else _DETAILED
        found = 0
        for start in range(0, len(uids), step):
            details = await self._details(uids[start : start + step])
            found += await (self._with_bytes(details) if self._needs_bytes else self._without(details))
            await asyncio.sleep(0)  # many messages, and others have questions too
        return found == len(uids)

    async def _rows(self, uids: Sequence[int]) -> bool:
        """Answer from the view alone: there may be very many."""
        forms = [b"UID %(uid)d"] if self._uid else []
        forms += [_OF_ROWS[item] for item in self._items if isinstance(item, Item)]
        form = b" ".join(forms)
        line = b"* %%(number)d FETCH (%s)\r\n" % form
        answers: list[bytes] = []
        found = 0
        recent = bool(self._view.recent_ranges)
        for number, uid, modseq, flags in self._view.numbered(uids):
            told = self._flags.get(flags)
            if told is None:
                told = self._flags[flags] = replies.flag_list(flags)
            if recent and self._view.is_recent(uid):
                told = replies.flag_list((*flags, "\\Recent"))
            answers.append(line % {b"number": number, b"uid": uid, b"modseq": modseq, b"flags": told})
            found += 1
            if len(answers) == _MESSAGES:
                await self._inside.say(b"".join(answers))
                answers.clear()
                await asyncio.sleep(0)
        await self._inside.say(b"".join(answers))
        return found == len(uids)

    async def _without(self, details: Sequence[Details]) -> int:
        seen = await self._mark(details)
        for start in range(0, len(details), _TOGETHER):
            some = details[start : start + _TOGETHER]
            heads = [self._head(each, changed=each.row.uid in seen) for each in some]
            await self._inside.say(b")\r\n".join((*heads, b"")))
        return len(details)

    async def _details(self, uids: Sequence[int]) -> Sequence[Details]:
        """What is wanted of these messages; from the view, if it knows all of it."""
        if self._want is Want.NOTHING and self._view.knows_rows:
            rows = map(self._view.row, uids)
            return [Details(row) for row in rows if row is not None]
        return await self._inside.box.details(self._view.folder_id, uids, self._want)

    async def _with_bytes(self, details: Sequence[Details]) -> int:
        found = 0
        for group in _groups(details):
            messages = await self._inside.box.bodies(self._view.folder_id, [each.row.uid for each in group])
            here = [each for each in group if each.row.uid in messages]
            seen = await self._mark(here)
            for each in here:
                await self._send(each, messages[each.row.uid], changed=each.row.uid in seen)
            found += len(here)
        return found

    async def _send(self, details: Details, message: Octets, *, changed: bool) -> None:
        """Send an answer; large sections as they are read."""
        self._inside.midway = True
        await self._inside.say(head := self._head(details, changed=changed))
        between = b"" if head.endswith(b"(") else b" "
        for body in self._bodies:
            if body.in_header:
                continue
            section = self._section(body, details, message) or EMPTY
            await self._inside.say(b"%s%s {%d}\r\n" % (between, body.label, section.size))
            between = b" "
            pieces = section.pieces()
            if _at_hand(section):
                for piece in pieces:
                    await self._inside.say(piece)
            else:
                while (read := await asyncio.to_thread(next, pieces, None)) is not None:
                    await self._inside.say(read)
        await self._inside.say(b")\r\n")
        self._inside.midway = False

    async def _mark(self, details: Sequence[Details]) -> set[int]:
        """Mark messages as seen whose text is fetched; which are marked only now."""
        unseen = [each.row.uid for each in details if "\\Seen" not in each.row.flags] if self._marks else []
        if not unseen:
            return set()
        stored = await self._inside.box.store(self._view.folder_id, unseen, FlagChange.ADD, ("\\Seen",))
        rows = {row.uid: row for row in stored.rows}
        for each in details:
            each.row = rows.get(each.row.uid, each.row)
        return set(rows)

    def _head(self, details: Details, *, changed: bool) -> bytes:
        """The answer up to the first section that needs the message itself."""
        row = details.row
        parts = [b"UID %d" % row.uid] if self._uid else []
        for item in self._items:
            match item:
                case Item.FLAGS:
                    parts.append(b"FLAGS " + self._flag_list(row))
                case Item.MODSEQ:
                    parts.append(b"MODSEQ (%d)" % row.modseq)
                case Body():
                    if item.in_header:
                        parts.append(self._header(item, details.header))
                case _:
                    parts.append(_kept(item, details))
        if changed and Item.FLAGS not in self._items:
            parts.append(b"FLAGS " + self._flag_list(row))
            if self._inside.condstore and Item.MODSEQ not in self._items:
                parts.append(b"MODSEQ (%d)" % row.modseq)
        if changed or Item.FLAGS in self._items:
            self._view.tell(row)
        return b"* %d FETCH (%s" % (self._view.number(row.uid) or 0, b" ".join(parts))

    def _flag_list(self, row: Row) -> bytes:
        if self._view.is_recent(row.uid):
            return replies.flag_list((*row.flags, "\\Recent"))
        told = self._flags.get(row.flags)
        if told is None:
            told = self._flags[row.flags] = replies.flag_list(row.flags)
        return told

    def _header(self, body: Body, header: bytes) -> bytes:
        data = self._chosen(body, header)
        if body.partial is not None:
            first, length = body.partial
            data = data[first : first + length]
        return b"%s {%d}\r\n%s" % (body.label, len(data), data)

    def _section(self, body: Body, details: Details, message: Octets) -> Octets | None:
        span = span_of(body, details.sections, message.size)
        if span is None:
            return None
        found = message.slice(*span)
        if body.part in (Part.FIELDS, Part.FIELDS_NOT):
            found = Octets.of(self._chosen(body, found.read()))
        if body.partial is None:
            return found
        first, length = body.partial
        return found.slice(first, first + length)

    def _chosen(self, body: Body, header: bytes) -> bytes:
        if body.part is Part.HEADER:
            return header
        chooser = self._choosers.get(body)
        if chooser is None:
            chooser = self._choosers[body] = FieldChooser(body.names, others=body.part is Part.FIELDS_NOT)
        return chooser(header)


def _want_of(body: Body) -> Want:
    if body.in_header:
        return Want.HEADER
    return Want.NOTHING if not body.path and body.part is Part.WHOLE else Want.SECTIONS


def _kept(item: Item, details: Details) -> bytes:
    """An item whose answer is kept as it is sent."""
    match item:
        case Item.SIZE:
            return b"RFC822.SIZE %d" % details.size
        case Item.INTERNALDATE:
            assert details.at is not None
            return b"INTERNALDATE " + replies.instant(details.at)
        case Item.ENVELOPE:
            return b"ENVELOPE " + details.envelope
        case Item.BODY:
            return b"BODY " + details.body
        case Item.BODYSTRUCTURE:
            return b"BODYSTRUCTURE " + details.structure
        case _:
            return b"UID %d" % details.row.uid


def _groups(details: Sequence[Details]) -> Iterator[list[Details]]:
    """Messages that are read together: some, of which the bytes stay few, or one."""
    group: list[Details] = []
    size = 0
    for each in details:
        if group and (len(group) >= _WITH_BYTES or size + each.size > _BYTES):
            yield group
            group, size = [], 0
        group.append(each)
        size += each.size
    if group:
        yield group


def _at_hand(section: Octets) -> bool:
    """Whether all its bytes are in memory already, so that sending it needs no thread."""
    return all(isinstance(part, bytes) or isinstance(part.source, InMemory) for part in section.parts)
