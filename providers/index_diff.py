"""What one index says otherwise than another: providers that came, went and changed."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from providers.directory import Directory
from providers.records import ProviderRecord

__all__ = ["Change", "changes"]


@dataclass(frozen=True, slots=True)
class Change:
    """One record that differs."""

    record: str  # distinguished name
    added: tuple[str, ...]  # what it says now and did not say, in words
    removed: tuple[str, ...]
    kind: str = "changed"  # or "new" or "gone"


def changes(old: Directory, new: Directory) -> tuple[Change, ...]:
    """What became of each record, in the order of their names."""
    before, after = _by_name(old), _by_name(new)
    return tuple(
        change
        for name in sorted(before.keys() | after.keys())
        if (change := _change(before.get(name), after.get(name)))
    )


def _by_name(directory: Directory) -> dict[tuple[str, str], ProviderRecord]:
    return {(record.owner, (record.unit or "").casefold()): record for record in directory.records}


def _change(old: ProviderRecord | None, new: ProviderRecord | None) -> Change | None:
    before, after = (tuple(_facts(one)) if one else () for one in (old, new))
    present = new or old
    assert present is not None
    if old is None or new is None:
        return Change(present.dn, after, before, "new" if old is None else "gone")
    added = tuple(fact for fact in after if fact not in before)
    removed = tuple(fact for fact in before if fact not in after)
    return Change(present.dn, added, removed) if added or removed else None


def _facts(record: ProviderRecord) -> Iterator[str]:
    """All that counts, a line each."""
    yield f"receipts to {record.mail_receipt}"
    if record.ldif_url is not None:
        yield f"published at {record.ldif_url}"
    for domain in sorted(record.managed_domains):
        yield f"domain {domain}"
    for certificate in record.certificates:
        yield f"certificate {hashlib.sha1(certificate, usedforsecurity=False).hexdigest()}"
