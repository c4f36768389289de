"""The commands about folders: list, make, remove, rename, subscribe, count (RFC 3501 section 6.3)."""

from collections.abc import Iterable

from gateway.mailbox.imap import names, replies
from gateway.mailbox.imap.commands import Create, Delete, List, Lsub, QuotaOf, Rename, StatusItem, StatusOf, Subscribe
from gateway.mailbox.imap.inside import Declined, Inside
from gateway.points.boxes import Folder, Why

__all__ = ["count", "create", "delete", "list_folders", "list_subscribed", "rename", "show_quota", "subscribe"]

_CANNOT = replies.REFUSED_BY_BOX[Why.CANNOT]
_UNKNOWN = replies.REFUSED_BY_BOX[Why.NO_FOLDER]


async def create(inside: Inside, asked: Create) -> None:
    name = asked.name.removesuffix(names.SEPARATOR)  # says only that folders below it will follow
    _check(name)
    await inside.box.create([*names.above(name), name], asked.use)


async def delete(inside: Inside, asked: Delete) -> None:
    if asked.name == names.INBOX:
        raise Declined(_CANNOT)
    await inside.box.delete(asked.name)


async def rename(inside: Inside, asked: Rename) -> None:
    new = asked.new.removesuffix(names.SEPARATOR)
    _check(new)
    if new == names.INBOX or new.startswith(asked.old + names.SEPARATOR):
        raise Declined(_CANNOT)
    await inside.box.rename(asked.old, new, names.above(new))


async def subscribe(inside: Inside, asked: Subscribe) -> None:
    if asked.on:
        _check(asked.name)
    await inside.box.subscribe(asked.name, asked.on)


async def list_folders(inside: Inside, asked: List) -> None:
    """LIST in all its forms; with STATUS, a line of it behind each folder that there is (RFC 5819)."""
    if not asked.patterns:
        await inside.say(replies.ROOT)
        return
    shown = _shown(await inside.box.folders(), asked)
    real = [folder.name for folder, _, _ in shown if folder.exists] if asked.status else []
    counts = await inside.box.status(real) if real else {}
    for folder, children, info in shown:
        await inside.say(
            replies.listed(folder, children=children, child_info=info, subscriptions=asked.extended, utf8=inside.utf8)
        )
        found = counts.get(folder.name)
        if found is not None:
            await inside.say(replies.status(folder.name, found, asked.status, utf8=inside.utf8))


async def list_subscribed(inside: Inside, asked: Lsub) -> None:
    """LSUB; a name above what is subscribed stands for it where ``%`` stops (RFC 3501 section 6.3.9)."""
    matches = names.Matcher([asked.pattern])
    subscribed = {folder.name: folder.exists for folder in await inside.box.folders() if folder.subscribed}
    implied = {above for name in subscribed for above in names.above(name)} if "%" in asked.pattern else set()
    for name in sorted({*subscribed, *implied}):
        if matches(name):
            selectable = subscribed.get(name, False)
            await inside.say(replies.lsub(name, selectable=selectable, utf8=inside.utf8))


async def count(inside: Inside, asked: StatusOf) -> None:
    if StatusItem.HIGHESTMODSEQ in asked.items:
        inside.condstore = True  # RFC 7162 section 3.1
    found = (await inside.box.status([asked.name])).get(asked.name)
    if found is None:
        raise Declined(_UNKNOWN)
    await inside.say(replies.status(asked.name, found, asked.items, utf8=inside.utf8))


async def show_quota(inside: Inside, asked: QuotaOf) -> None:
    """The one quota root of a box has no name (RFC 2087)."""
    if asked.root and asked.name:
        raise Declined(_UNKNOWN)
    if not asked.root:
        if not await inside.box.status([asked.name]):
            raise Declined(_UNKNOWN)
        await inside.say(replies.quota_root(asked.name, utf8=inside.utf8))
    await inside.say(replies.quota(await inside.box.quota()))


def _check(name: str) -> None:
    if not names.is_name(name):
        raise Declined(_CANNOT)


def _shown(folders: Iterable[Folder], asked: List) -> list[tuple[Folder, bool, list[bytes]]]:
    """What LIST shows, by name: a folder, whether there are some below it, and which selection those fulfil.

    A name with folders below it, that is none itself, is shown as such.
    """
    known = {folder.name: folder for folder in folders}
    existing = [folder.name for folder in known.values() if folder.exists]
    parents = {above for name in existing for above in names.above(name)}
    chosen = {folder.name for folder in known.values() if _is_chosen(folder, asked)}
    over = {above for name in chosen for above in names.above(name)} if asked.recursive else set[str]()
    plain = not (asked.subscribed or asked.special_use)
    matches = names.Matcher(asked.patterns)
    shown = []
    for name in sorted({*known, *parents, *over}):
        selected = name in chosen or (plain and name in parents)
        if (selected or name in over) and matches(name):
            folder = known.get(name) or Folder(name=name, exists=False)
            info = [b"SUBSCRIBED" if asked.subscribed else b"SPECIAL-USE"] if name in over else []
            shown.append((folder, name in parents, info))
    return shown


def _is_chosen(folder: Folder, asked: List) -> bool:
    if asked.subscribed and not folder.subscribed:
        return False
    if asked.special_use and folder.special_use is None:
        return False
    return asked.subscribed or folder.exists
