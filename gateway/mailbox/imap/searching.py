"""SEARCH: a query to the box, its findings as numbers of this session (RFC 3501 6.4.4, RFC 4731, RFC 5182)."""

from collections.abc import Sequence

from gateway.mailbox.imap import replies
from gateway.mailbox.imap.commands import Search
from gateway.mailbox.imap.inside import Inside, learn_rows
from gateway.mailbox.imap.numbers import NumberSet
from gateway.mailbox.imap.picking import Picker, is_of_rows
from gateway.mailbox.imap.tokens import Malformed
from gateway.mailbox.imap.view import View
from gateway.points.boxes import And, Query, Uids, Want

__all__ = ["numbers_in", "recent_in", "search"]


def numbers_in(view: View | None, numbers: NumberSet, uid: bool) -> Uids:
    """The messages that a set of a search names now. Raises Malformed: there is no such message."""
    ranges = [] if view is None else view.ranges(numbers, uid=uid)
    if ranges is None:
        raise Malformed("no such message")
    return Uids(tuple(ranges))


def recent_in(view: View | None) -> Uids:
    return Uids(()) if view is None else Uids(tuple(view.recent_ranges))


async def search(inside: Inside, tag: bytes, asked: Search) -> None:
    """Answer a SEARCH. What it saves stays for ``$``, and nothing does when it fails."""
    view = inside.open_view
    saves = asked.returns is not None and b"SAVE" in asked.returns
    if saves:
        view.saved = ()
    if asked.by_modseq:
        inside.condstore = True
    uids = await _found(inside, asked.query)
    told = asked.returns
    if told is not None and told & {b"MIN", b"MAX"} and not told & {b"ALL", b"COUNT"}:
        uids = _ends(uids, told)
    if saves:
        view.saved = uids
    since = await _newest(inside, uids) if asked.by_modseq else None
    numbers = uids if asked.uid else list(view.numbers(uids))
    if told is None:
        await inside.say(replies.search(numbers, since))
    elif told != {b"SAVE"}:
        await inside.say(replies.esearch(tag, asked.uid, numbers, told, since))


async def _found(inside: Inside, query: Query) -> Sequence[int]:
    """UIDs in this view that a query finds.

    What numbers, flags and modseqs decide is decided here: the view knows them better than any index.
    """
    view = inside.open_view
    terms = query.terms if isinstance(query, And) else (query,)
    own, others = And(tuple(filter(is_of_rows, terms))), tuple(term for term in terms if not is_of_rows(term))
    if not others or not all(isinstance(term, Uids) for term in own.terms):
        await learn_rows(inside, uid=True)
    if not own.terms:
        found = await inside.box.search(view.folder_id, query)
        return [uid for uid in found.uids if view.number(uid) is not None]
    picked = await Picker(view.details(view.uids)).pick(own)
    if not others or not picked:
        return picked
    found, here = await inside.box.search(view.folder_id, And(others)), frozenset(picked)
    return [uid for uid in found.uids if uid in here]


async def _newest(inside: Inside, uids: Sequence[int]) -> int:
    """The highest modseq of messages of the view."""
    view = inside.open_view
    details = view.details(uids) if view.knows_rows else await inside.box.details(view.folder_id, uids, Want.NOTHING)
    return max(details.modseqs, default=0)


def _ends(uids: Sequence[int], told: frozenset[bytes]) -> Sequence[int]:
    """The first and the last of them, as far as asked for."""
    if not uids:
        return ()
    ends = ([uids[0]] if b"MIN" in told else []) + ([uids[-1]] if b"MAX" in told else [])
    return sorted(set(ends))
