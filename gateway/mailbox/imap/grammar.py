"""Bytes of one whole command, literals included, to what the client asks (RFC 3501 section 9 and its extensions)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from gateway.mailbox.imap import names
from gateway.mailbox.imap.arguments import (
    bare_flags,
    date_time,
    enabled,
    flags,
    folder,
    known_words,
    pairs,
    status_items,
    use,
)
from gateway.mailbox.imap.commands import (
    Append,
    Asked,
    Authenticate,
    Command,
    Compress,
    Copy,
    Create,
    Delete,
    Enable,
    Expunge,
    Fetch,
    Id,
    List,
    Login,
    Lsub,
    QuotaOf,
    Rename,
    Resync,
    Search,
    Select,
    StatusItem,
    StatusOf,
    Store,
    Subscribe,
    Verb,
)
from gateway.mailbox.imap.items import fetch_items
from gateway.mailbox.imap.keys import CHARSETS, Numbers, search_keys
from gateway.mailbox.imap.numbers import NumberSet, number_set
from gateway.mailbox.imap.picking import speaks_of_modseqs
from gateway.mailbox.imap.tokens import Cursor, Malformed
from gateway.points.boxes import FlagChange, SpecialUse, Uids

__all__ = ["Broken", "Reading", "append_head", "command"]

_TAG: Final = re.compile(rb'[^\x00-\x20(){%*"\\+\x7f-\xff]{1,100}')
_MOST_PATTERNS: Final = 20
_LONGEST_PATTERN: Final = 300
_LARGEST: Final = 2**63 - 1
_LARGEST_32: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Broken:
    """Bytes that are no command: what to answer under which tag."""

    tag: bytes  # b"*" if there is none
    text: str
    charset: bool = False  # a search in a character set that is not read here


@dataclass(frozen=True, slots=True)
class Reading:
    """What the meaning of a command depends on.

    Args:
        numbers: looks up the message sets of a search; may raise Malformed.
        recent: the messages that are recent in the session.
        utf8: UTF8=ACCEPT is on.
    """

    numbers: Numbers
    recent: Uids
    utf8: bool = False


class _BadCharset(Malformed):
    pass


def command(data: bytes, reading: Reading) -> Command | Broken:
    """The command in ``data``, which is without its last line end. Never raises, whatever the bytes."""
    cursor = Cursor(data)
    tag = b"*"
    try:
        tag = cursor.match(_TAG, "tag")
        cursor.space()
        word = cursor.word()
        uid = word == b"UID"
        if uid:
            cursor.space()
            word = cursor.word()
        parse = (_AFTER_UID if uid else _PARSERS).get(word)
        if parse is None:
            cursor.fail("no such command")
        asked = parse(cursor, reading)
        cursor.end()
    except _BadCharset as error:
        return Broken(tag, str(error), charset=True)
    except Malformed as error:
        return Broken(tag, str(error))
    return Command(tag, Verb(word), asked, uid)


def append_head(data: bytes, *, utf8: bool) -> tuple[bytes, Append] | None:
    """The tag and the arguments of an APPEND up to the literal that is its message; None if ``data`` is none such."""
    cursor = Cursor(data)
    try:
        tag = cursor.match(_TAG, "tag")
        cursor.space()
        if cursor.word() != Verb.APPEND.value:
            return None
        cursor.space()
        name = names.decoded(cursor.astring(), utf8=utf8)
        cursor.space()
        kept = frozenset[str]()
        if cursor.next_is(b"("):
            kept = flags(cursor)
            cursor.space()
        at = None
        if cursor.next_is(b'"'):
            at = date_time(cursor)
            cursor.space()
        wrapped = not cursor.at_end
        if wrapped and cursor.word() == b"UTF8":
            cursor.expect(b" (")
        cursor.end()
    except Malformed:
        return None
    return tag, Append(name, kept, at, wrapped)


Parser = Callable[[Cursor, Reading], Asked]


def _nothing(cursor: Cursor, reading: Reading) -> Asked:  # noqa: ARG001
    return None


def _login(cursor: Cursor, reading: Reading) -> Asked:  # noqa: ARG001
    cursor.space()
    user = cursor.astring()
    cursor.space()
    # What is no UTF-8 is a wrong password, not an error.
    return Login(user.decode("utf-8", "surrogateescape"), cursor.astring().decode("utf-8", "surrogateescape"))


def _authenticate(cursor: Cursor, reading: Reading) -> Asked:  # noqa: ARG001
    cursor.space()
    mechanism = cursor.word()
    if not cursor.skip(b" "):
        return Authenticate(mechanism, None)
    rest, cursor.at = cursor.data[cursor.at :], len(cursor.data)
    return Authenticate(mechanism, b"" if rest == b"=" else rest)


def _select(cursor: Cursor, reading: Reading, *, read_only: bool) -> Asked:
    name = folder(cursor, utf8=reading.utf8)
    if not cursor.skip(b" "):
        return Select(name, read_only)
    condstore, resync = False, None
    for word, parameter in cursor.many(lambda: _select_parameter(cursor), 2):
        condstore = condstore or word == b"CONDSTORE"
        resync = parameter or resync
    return Select(name, read_only, condstore, resync)


def _select_parameter(cursor: Cursor) -> tuple[bytes, Resync | None]:
    word = cursor.word()
    if word == b"CONDSTORE":
        return word, None
    if word != b"QRESYNC":
        cursor.fail("no such parameter")
    cursor.expect(b" (")
    validity = cursor.number(_LARGEST_32)
    cursor.space()
    modseq = cursor.number(_LARGEST)
    known: NumberSet | None = None
    if cursor.skip(b" ") and not cursor.next_is(b"("):
        known = number_set(cursor)
        cursor.skip(b" ")
    if cursor.skip(b"("):  # how numbers and UIDs matched: a hint of which no use is made
        number_set(cursor)
        cursor.space()
        number_set(cursor)
        cursor.expect(b")")
    cursor.expect(b")")
    return word, Resync(validity, modseq, known)


def _create(cursor: Cursor, reading: Reading) -> Asked:
    name = folder(cursor, utf8=reading.utf8)
    special: SpecialUse | None = None
    if cursor.skip(b" "):
        found = cursor.many(lambda: use(cursor), 1)
        special = found[0] if found else None
    return Create(name, special)


def _delete(cursor: Cursor, reading: Reading) -> Asked:
    return Delete(folder(cursor, utf8=reading.utf8))


def _rename(cursor: Cursor, reading: Reading) -> Asked:
    old = folder(cursor, utf8=reading.utf8)
    return Rename(old, folder(cursor, utf8=reading.utf8))


def _subscribe(cursor: Cursor, reading: Reading, *, on: bool) -> Asked:
    return Subscribe(folder(cursor, utf8=reading.utf8), on)


def _list(cursor: Cursor, reading: Reading) -> Asked:
    cursor.space()
    chosen = frozenset[bytes]()
    extended = cursor.next_is(b"(")
    if extended:
        chosen = frozenset(known_words(cursor, (b"SUBSCRIBED", b"REMOTE", b"RECURSIVEMATCH", b"SPECIAL-USE")))
        cursor.space()
    reference = cursor.astring()
    cursor.space()
    if cursor.next_is(b"("):
        extended = True
        patterns = cursor.many(cursor.pattern, _MOST_PATTERNS)
    else:
        patterns = [cursor.pattern()]
    status: tuple[StatusItem, ...] = ()
    if cursor.skip(b" "):
        extended = True
        status = _list_return(cursor)
    if b"RECURSIVEMATCH" in chosen and not chosen & {b"SUBSCRIBED", b"SPECIAL-USE"}:
        cursor.fail("RECURSIVEMATCH of nothing")
    if not extended and patterns == [b""]:
        return List(())
    return List(
        [_pattern(cursor, reference, pattern, reading) for pattern in patterns],
        subscribed=b"SUBSCRIBED" in chosen,
        special_use=b"SPECIAL-USE" in chosen,
        recursive=b"RECURSIVEMATCH" in chosen,
        status=status,
        extended=extended,
    )


def _list_return(cursor: Cursor) -> tuple[StatusItem, ...]:
    """The return options, of which only STATUS asks for something that is not said anyway."""
    if cursor.word() != b"RETURN":
        cursor.fail("RETURN expected")
    cursor.space()
    asked: list[StatusItem] = []

    def option() -> None:
        word = cursor.word()
        if word == b"STATUS":
            cursor.space()
            asked.extend(status_items(cursor))
        elif word not in (b"SUBSCRIBED", b"CHILDREN", b"SPECIAL-USE"):
            cursor.fail("no such return option")

    cursor.many(option, _MOST_PATTERNS)
    return tuple(asked)


def _lsub(cursor: Cursor, reading: Reading) -> Asked:
    cursor.space()
    reference = cursor.astring()
    cursor.space()
    return Lsub(_pattern(cursor, reference, cursor.pattern(), reading))


def _pattern(cursor: Cursor, reference: bytes, pattern: bytes, reading: Reading) -> str:
    if len(reference) + len(pattern) > _LONGEST_PATTERN:
        cursor.fail("mailbox pattern too long")
    text = names.decoded(reference + pattern, utf8=reading.utf8)
    return cursor.fail("mailbox name in no known encoding") if text is None else text


def _status(cursor: Cursor, reading: Reading) -> Asked:
    name = folder(cursor, utf8=reading.utf8)
    cursor.space()
    return StatusOf(name, status_items(cursor))


def _fetch(cursor: Cursor, reading: Reading, *, uid: bool) -> Asked:  # noqa: ARG001
    cursor.space()
    numbers = number_set(cursor)
    cursor.space()
    items = fetch_items(cursor)
    since: int | None = None
    vanished = False

    def modifier() -> None:
        nonlocal since, vanished
        word = cursor.word()
        if word == b"CHANGEDSINCE":
            cursor.space()
            since = cursor.number(_LARGEST)
        elif word == b"VANISHED":
            vanished = True
        else:
            cursor.fail("no such modifier")

    if cursor.skip(b" "):
        cursor.many(modifier, 2)
    if vanished and (since is None or not uid):
        cursor.fail("VANISHED goes with UID FETCH and CHANGEDSINCE")
    return Fetch(numbers, uid, items, since, vanished)


_CHANGES: Final[Mapping[bytes, FlagChange]] = {
    b"FLAGS": FlagChange.REPLACE,
    b"+FLAGS": FlagChange.ADD,
    b"-FLAGS": FlagChange.REMOVE,
}


def _store(cursor: Cursor, reading: Reading, *, uid: bool) -> Asked:  # noqa: ARG001
    cursor.space()
    numbers = number_set(cursor)
    cursor.space()
    since: int | None = None
    if cursor.skip(b"("):
        if cursor.word() != b"UNCHANGEDSINCE":
            cursor.fail("no such modifier")
        cursor.space()
        since = cursor.number(_LARGEST)
        cursor.expect(b") ")
    word, dot, silent = cursor.word().partition(b".")
    change = _CHANGES.get(word)
    if change is None or (dot and silent != b"SILENT"):
        cursor.fail("FLAGS expected")
    cursor.space()
    kept = flags(cursor) if cursor.next_is(b"(") else bare_flags(cursor)
    return Store(numbers, uid, change, kept, bool(dot), since)


def _copy(cursor: Cursor, reading: Reading, *, uid: bool, move: bool) -> Asked:
    cursor.space()
    numbers = number_set(cursor)
    return Copy(numbers, uid, folder(cursor, utf8=reading.utf8), move)


def _search(cursor: Cursor, reading: Reading, *, uid: bool) -> Asked:
    cursor.space()
    returns: frozenset[bytes] | None = None
    if cursor.data[cursor.at : cursor.at + 8].upper() == b"RETURN (":
        cursor.at += len(b"RETURN ")
        returns = frozenset(known_words(cursor, (b"MIN", b"MAX", b"ALL", b"COUNT", b"SAVE"))) or frozenset({b"ALL"})
        cursor.space()
    charset = "utf-8" if reading.utf8 else "ascii"
    if cursor.data[cursor.at : cursor.at + 8].upper() == b"CHARSET ":
        cursor.at += len(b"CHARSET ")
        wanted = CHARSETS.get(cursor.astring().upper())
        if wanted is None:
            raise _BadCharset("no such character set")
        charset = wanted
        cursor.space()
    elif not cursor.data.isascii():
        charset = "utf-8"  # said without saying so, as some do
    query = search_keys(cursor, charset, reading.numbers, reading.recent)
    return Search(uid, query, returns, speaks_of_modseqs(query))


def _uid_expunge(cursor: Cursor, reading: Reading) -> Asked:  # noqa: ARG001
    cursor.space()
    return Expunge(number_set(cursor))


def _enable(cursor: Cursor, reading: Reading) -> Asked:  # noqa: ARG001
    return Enable(frozenset(enabled(cursor)))


def _id(cursor: Cursor, reading: Reading) -> Asked:  # noqa: ARG001
    cursor.space()
    return Id(pairs(cursor))


def _quota(cursor: Cursor, reading: Reading) -> Asked:
    cursor.space()
    return QuotaOf(names.decoded(cursor.astring(), utf8=reading.utf8) or "", root=True)


def _quota_root(cursor: Cursor, reading: Reading) -> Asked:
    return QuotaOf(folder(cursor, utf8=reading.utf8), root=False)


def _compress(cursor: Cursor, reading: Reading) -> Asked:  # noqa: ARG001
    cursor.space()
    return Compress(cursor.word())


def _append(cursor: Cursor, reading: Reading) -> Asked:  # noqa: ARG001
    """An APPEND with a message never comes here: its literal is not read with the command."""
    return cursor.fail("message expected")


_PARSERS: Final[Mapping[bytes, Parser]] = {
    **{
        verb.value: _nothing
        for verb in (
            Verb.CAPABILITY,
            Verb.CHECK,
            Verb.CLOSE,
            Verb.EXPUNGE,
            Verb.IDLE,
            Verb.LOGOUT,
            Verb.NAMESPACE,
            Verb.NOOP,
            Verb.STARTTLS,
            Verb.UNSELECT,
        )
    },
    b"APPEND": _append,
    b"AUTHENTICATE": _authenticate,
    b"COMPRESS": _compress,
    b"COPY": partial(_copy, uid=False, move=False),
    b"CREATE": _create,
    b"DELETE": _delete,
    b"ENABLE": _enable,
    b"EXAMINE": partial(_select, read_only=True),
    b"FETCH": partial(_fetch, uid=False),
    b"GETQUOTA": _quota,
    b"GETQUOTAROOT": _quota_root,
    b"ID": _id,
    b"LIST": _list,
    b"LOGIN": _login,
    b"LSUB": _lsub,
    b"MOVE": partial(_copy, uid=False, move=True),
    b"RENAME": _rename,
    b"SEARCH": partial(_search, uid=False),
    b"SELECT": partial(_select, read_only=False),
    b"STATUS": _status,
    b"STORE": partial(_store, uid=False),
    b"SUBSCRIBE": partial(_subscribe, on=True),
    b"UNSUBSCRIBE": partial(_subscribe, on=False),
}
_AFTER_UID: Final[Mapping[bytes, Parser]] = {
    b"COPY": partial(_copy, uid=True, move=False),
    b"EXPUNGE": _uid_expunge,
    b"FETCH": partial(_fetch, uid=True),
    b"MOVE": partial(_copy, uid=True, move=True),
    b"SEARCH": partial(_search, uid=True),
    b"STORE": partial(_store, uid=True),
}
