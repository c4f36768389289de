"""FETCH: from what is kept of messages to answers, in bounded pieces (RFC 3501 section 6.4.5, RFC 7162)."""

import asyncio
from bisect import bisect_right
from collections.abc import Container, Iterable, Iterator, Sequence
from functools import partial
from itertools import repeat
from typing import Final

from gateway.flows.work import deliberate
from gateway.mailbox.imap import replies
from gateway.mailbox.imap.answering import Form, chooser_of
from gateway.mailbox.imap.commands import Fetch
from gateway.mailbox.imap.inside import Inside, chosen, learn_rows, tell_news
from gateway.mailbox.imap.items import Body, Item, Part
from gateway.mailbox.imap.numbers import NumberSet, covered, is_within, written, written_without
from gateway.mailbox.imap.sections import span_of
from gateway.mailbox.imap.tokens import Malformed
from gateway.mailbox.imap.view import View
from gateway.points.boxes import Changes, Details, FlagChange, Section, Want
from receipts.octets import EMPTY, InMemory, Octets

__all__ = ["fetch", "vanished_of"]

_LOOKED_AT: Final = 500  # messages of which details are read, and answers sent, at once
_SECTIONS: Final = 5_000  # of those messages: fewer are looked at if of each very much is asked
_NAMES: Final = 20  # header fields that are chosen as soon as another section
_CHOSEN: Final = 64  # bytes of headers gone through as soon as a byte of a message is read
_IN_FORM: Final = 4  # sections of the header that are made at once for many messages
_MANY: Final = 200  # parts of a message, among which sections are looked for one after the other
_FEW: Final = 8  # whose bytes are read without asking for their sizes first
_WITH_BYTES: Final = 200  # of which the bytes are read at once
_BYTES: Final = 512 * 1024  # of those, unless one alone has more
_TOLD_OF_MARKED: Final = {False: (Item.FLAGS,), True: (Item.FLAGS, Item.MODSEQ)}  # with CONDSTORE


async def fetch(inside: Inside, asked: Fetch) -> bool:
    """Answer a FETCH; whether all messages it names were still there."""
    if asked.vanished and not inside.qresync:
        raise Malformed("VANISHED needs ENABLE QRESYNC")
    if asked.changed_since is not None or Item.MODSEQ in asked.items:
        inside.condstore = True
    uids = await chosen(inside, asked.numbers, uid=asked.uid)
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
    """One FETCH: what it needs of the messages, and how their answers are sent."""

    def __init__(self, inside: Inside, asked: Fetch) -> None:
        self._inside = inside
        self._view = view = inside.open_view
        self._uid = asked.uid or inside.qresync
        items = dict.fromkeys((Item.UID, *asked.items) if self._uid else asked.items)
        if asked.changed_since is not None:
            items[Item.MODSEQ] = None
        bodies = [item for item in items if isinstance(item, Body)]
        in_form = [body for body in bodies if body.in_header]
        self._sections = bodies if len(in_form) > _IN_FORM else [body for body in bodies if not body.in_header]
        items = dict.fromkeys(item for item in items if item not in self._sections)
        self._form = Form(list(items), view)
        self._choosers = {
            body: chooser_of(body) for body in self._sections if body.part in (Part.FIELDS, Part.FIELDS_NOT)
        }
        self._marks = not view.read_only and any(not body.peek for body in bodies)
        told = dict.fromkeys(_TOLD_OF_MARKED[inside.condstore]) if self._marks else {}
        self._marked_form = Form(list(items | told), view) if told else self._form
        self._needs_rows = self._form.needs_rows or self._marks
        self._want = self._form.want
        work = sum(1 + len(body.names) // _NAMES for body in bodies)
        self._together = max(1, min(_LOOKED_AT, _SECTIONS // max(1, work)))
        if any(body.path or body.part is not Part.WHOLE for body in self._sections):
            self._want |= Want.SECTIONS

    async def all(self, uids: Sequence[int]) -> bool:
        if self._sections and len(uids) > _FEW:
            self._want |= Want.SIZE  # to know how many to read at once
        if self._want is Want.NOTHING:
            await self._learn(len(uids))
        found = 0
        start = 0
        while start < len(uids):
            details = await self._details(uids[start : start + self._together])
            found += await (self._with_bytes(details) if self._sections else self._without(details))
            start = bisect_right(uids, details.uids[-1]) if len(details) else start + self._together
            if start < len(uids):
                await asyncio.sleep(0)  # many messages, and others have questions too
        return found == len(uids)

    async def _learn(self, messages: int) -> None:
        """Have the view know what will be asked of it, if that is more than one message."""
        if self._needs_rows and (self._view.knows_rows or (messages > 1 and not self._sections)):
            await learn_rows(self._inside, uid=self._uid)
        elif not self._needs_rows:
            await tell_news(self._inside, ask=False, may_expunge=False, uid=self._uid)

    async def _details(self, uids: Sequence[int]) -> Details:
        """What is wanted of these messages; from the view, if it knows all of it."""
        if self._want is Want.NOTHING and (self._view.knows_rows or not self._needs_rows):
            return self._view.details(uids)
        return await self._inside.box.details(self._view.folder_id, uids, self._want)

    async def _without(self, details: Details) -> int:
        answers = await self._answers(details)
        await self._inside.say(b")\r\n".join((*answers, b"")))
        return len(details)

    async def _with_bytes(self, details: Details) -> int:
        found = 0
        for group in _groups(details):
            messages = await self._inside.box.bodies(self._view.folder_id, group)
            here = details.only(messages)
            answers = await self._answers(here)
            for uid, answer, sections in zip(here.uids, answers, here.sections or repeat(()), strict=False):
                await self._send(answer, messages[uid], sections)
            found += len(here)
        return found

    async def _answers(self, details: Details) -> Iterable[bytes]:
        """The answers as far as they need no message; those are marked as seen whose text is fetched."""
        seen, details = await self._mark(details)
        newest = max(details.modseqs, default=0)
        if newest > self._view.modseq and (seen or self._form.tells_flags):
            for row in details.rows():
                if row.uid in seen or self._form.tells_flags:
                    self._view.tell(row)
        work = self._form.choices * sum(map(len, details.headers)) // _CHOSEN

        def answers() -> list[bytes]:
            made = list(self._form.filled(details))
            if not seen:
                return made
            both = zip(details.uids, made, self._marked_form.filled(details), strict=True)
            return [marked if uid in seen else answer for uid, answer, marked in both]

        return await deliberate(work, answers)

    async def _mark(self, details: Details) -> tuple[Container[int], Details]:
        """Mark messages as seen whose text is fetched: which are marked only now, and all as they are then."""
        rows = details.rows() if self._marks else ()
        unseen = [row.uid for row in rows if "\\Seen" not in row.flags]
        if not unseen:
            return (), details
        stored = await self._inside.box.store(self._view.folder_id, unseen, FlagChange.ADD, ("\\Seen",))
        return frozenset(row.uid for row in stored.rows), details.with_rows(stored.rows)

    async def _send(self, answer: bytes, message: Octets, sections: Sequence[Section]) -> None:
        """Send an answer; large sections as they are read."""
        parts, space = [answer], self._form.space
        for body in self._sections:
            if len(sections) > _MANY or len(self._sections) > _IN_FORM:
                await asyncio.sleep(0)
            work = message.size if body in self._choosers else 0
            data = await deliberate(work, partial(self._section, body, message, sections))
            parts.append(b"%b%b {%d}\r\n" % (space, body.label, data.size))
            space = b" "
            at_hand = _at_hand(data)
            if at_hand and data.size <= _BYTES:
                parts.extend(data.pieces())
                continue
            self._inside.midway = True
            await self._inside.say(b"".join(parts))
            parts = []
            read = partial(next, data.pieces(), None)
            while (piece := read() if at_hand else await asyncio.to_thread(read)) is not None:
                await self._inside.say(piece)
        parts.append(b")\r\n")
        await self._inside.say(b"".join(parts))
        self._inside.midway = False

    def _section(self, body: Body, message: Octets, sections: Sequence[Section]) -> Octets:
        span = span_of(body, sections, message.size)
        if span is None:
            return EMPTY
        found = message.slice(*span)
        if body in self._choosers:
            found = Octets.of(self._choosers[body](found.read()))
        if body.partial is None:
            return found
        first, length = body.partial
        return found.slice(first, first + length)


def _groups(details: Details) -> Iterator[list[int]]:
    """UIDs of messages that are read together: some, of which the bytes stay few, or one."""
    group: list[int] = []
    bytes_ = 0
    for uid, size in zip(details.uids, details.sizes or repeat(0), strict=False):
        if group and (len(group) >= _WITH_BYTES or bytes_ + size > _BYTES):
            yield group
            group, bytes_ = [], 0
        group.append(uid)
        bytes_ += size
    if group:
        yield group


def _at_hand(section: Octets) -> bool:
    """Whether all its bytes are in memory already, so that sending it needs no thread."""
    return all(isinstance(part, bytes) or isinstance(part.source, InMemory) for part in section.parts)
