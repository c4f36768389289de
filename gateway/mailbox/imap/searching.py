"""SEARCH: a query to the box, its findings as numbers of this session (RFC 3501 6.4.4, RFC 4731, RFC 5182)."""

from collections.abc import Sequence
from typing import Final

from gateway.mailbox.imap import replies
from gateway.mailbox.imap.commands import Search
from gateway.mailbox.imap.inside import Inside, learn_rows
from gateway.mailbox.imap.numbers import NumberSet, is_within, merged
from gateway.mailbox.imap.tokens import Malformed
from gateway.mailbox.imap.view import View
from gateway.points.boxes import ALL, And, Changed, Found, HasFlag, Not, Or, Query, Uids, Want

__all__ = ["numbers_in", "recent_in", "search"]

NONE: Final = Uids(())
_FEW: Final = 50  # ranges of UIDs that the box may look at itself


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
    uids, modseq = await _found(inside, asked.query, by_modseq=asked.by_modseq)
    told = asked.returns
    if told is not None and told & {b"MIN", b"MAX"} and not told & {b"ALL", b"COUNT"}:
        uids = _ends(uids, told)
        modseq = await _newest(inside, uids) if asked.by_modseq else 0
    if saves:
        view.saved = uids
    since = modseq if asked.by_modseq else None
    numbers = uids if asked.uid else list(view.numbers(uids))
    if told is None:
        await inside.say(replies.search(numbers, since))
    elif told != {b"SAVE"}:
        await inside.say(replies.esearch(tag, asked.uid, numbers, told, since))


async def _found(inside: Inside, query: Query, *, by_modseq: bool) -> tuple[Sequence[int], int]:
    """UIDs in this view that a query finds, and the highest modseq among them, if that is asked for.

    Long sets of messages stay here: the view knows them better than any index.
    """
    view = inside.open_view
    terms = query.terms if isinstance(query, And) else (query,)
    sets = [term for term in terms if isinstance(term, Uids) and len(term.ranges) > _FEW]
    rest: Query = (
        And(tuple(term for term in terms if not (isinstance(term, Uids) and len(term.ranges) > _FEW)))
        if sets
        else query
    )
    if _is_of_rows(rest):
        await learn_rows(inside, uid=True)
        found = _among(view, rest, by_modseq=by_modseq)
    else:
        found = await inside.box.search(view.folder_id, rest)
    chosen = [merged(term.ranges) for term in sets]
    if not sets and _is_of_rows(rest):
        return found.uids, found.modseq
    here = [
        uid for uid in found.uids if view.number(uid) is not None and all(is_within(ranges, uid) for ranges in chosen)
    ]
    if len(here) == len(found.uids):
        return here, found.modseq
    return here, await _newest(inside, here) if by_modseq else 0


def _is_of_rows(query: Query) -> bool:
    """Whether flags, UIDs and modseqs decide."""
    match query:
        case And(terms):
            return all(map(_is_of_rows, terms))
        case Or(one, other):
            return _is_of_rows(one) and _is_of_rows(other)
        case Not(term):
            return _is_of_rows(term)
        case _:
            return isinstance(query, Uids | HasFlag | Changed)


def _among(view: View, query: Query, *, by_modseq: bool) -> Found:
    """What a query of rows finds. Few sets of flags are shared by many messages, so flags are judged once a set."""
    judged = {flags: _by_flags(query, frozenset(flag.lower() for flag in flags)) for flags in view.sets_of_flags()}
    if not by_modseq and all(rest in (ALL, NONE) for rest in judged.values()):
        return Found(view.flagged({flags for flags, rest in judged.items() if rest == ALL}), 0)
    uids: list[int] = []
    newest = 0
    for _, uid, modseq, flags in view.numbered(view.uids):
        rest = judged[flags]
        if rest == ALL or (rest != NONE and _by_number(rest, uid, modseq)):
            uids.append(uid)
            newest = max(newest, modseq)
    return Found(uids, newest)


def _by_flags(query: Query, flags: frozenset[str]) -> Query:
    """What of a query is left to judge when the flags are known, in lower case."""
    match query:
        case HasFlag(flag):
            return ALL if flag.lower() in flags else NONE
        case Not(term):
            rest = _by_flags(term, flags)
            return NONE if rest == ALL else ALL if rest == NONE else Not(rest)
        case Or(one, other):
            both = [rest for rest in (_by_flags(one, flags), _by_flags(other, flags)) if rest != NONE]
            return NONE if not both else ALL if ALL in both else both[0] if len(both) == 1 else Or(both[0], both[1])
        case And(terms):
            all_of = [rest for rest in (_by_flags(term, flags) for term in terms) if rest != ALL]
            return NONE if NONE in all_of else And(tuple(all_of))
        case _:
            return query


def _by_number(query: Query, uid: int, modseq: int) -> bool:
    match query:
        case And(terms):
            return all(_by_number(term, uid, modseq) for term in terms)
        case Or(one, other):
            return _by_number(one, uid, modseq) or _by_number(other, uid, modseq)
        case Not(term):
            return not _by_number(term, uid, modseq)
        case Uids(ranges):
            return is_within(ranges, uid)
        case Changed(since):
            return modseq >= since
        case _:
            return False


async def _newest(inside: Inside, uids: Sequence[int]) -> int:
    view = inside.open_view
    details = await inside.box.details(view.folder_id, uids, Want.NOTHING)
    return max(details.modseqs, default=0)


def _ends(uids: Sequence[int], told: frozenset[bytes]) -> Sequence[int]:
    """The first and the last of them, as far as asked for."""
    if not uids:
        return ()
    ends = ([uids[0]] if b"MIN" in told else []) + ([uids[-1]] if b"MAX" in told else [])
    return sorted(set(ends))
