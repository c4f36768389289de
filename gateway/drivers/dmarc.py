"""Whether SPF or DKIM speak for the author's domain, and what that domain asks for (RFC 7489).

Which domains belong together is asked of the DNS by walking up the tree of names, as DMARC's revision does, and not
of a list of public suffixes, which would have to be fetched and grows old.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.drivers.dns import Dns, DnsUnavailable
from gateway.points.authentication import Dkim, Dmarc, Result, Spf

__all__ = ["check_dmarc"]

MAX_QUERIES: Final = 8  # of one walk: the name itself, then at most seven labels
MAX_RECORD: Final = 4_000
POLICIES: Final = frozenset({"none", "quarantine", "reject"})


@dataclass(frozen=True, slots=True)
class _Record:
    domain: str
    tags: Mapping[str, str]

    @property
    def policy(self) -> str:
        policy = self.tags.get("p", "none")
        return policy if policy in POLICIES else "none"


async def check_dmarc(dns: Dns, *, author_domain: str, spf: Spf, dkim: Sequence[Dkim]) -> Dmarc:
    """The verdict for the domain of the one author; ``author_domain`` is empty if there is none, or several."""
    if not author_domain or "." not in author_domain:
        return Dmarc(result=Result.NONE)
    walk = _Walk(dns)
    try:
        records = await walk.up(author_domain)
        if not records:
            return Dmarc(result=Result.NONE, domain=author_domain)
        applied = records[0] if records[0].domain == author_domain else await walk.applied(author_domain)
        policy = applied.policy
        if applied.domain != author_domain and applied.tags.get("sp") in POLICIES:
            policy = applied.tags["sp"]
        aligned = False
        if spf.result is Result.PASS and not aligned:
            aligned = await walk.agree(author_domain, spf.domain, strict=applied.tags.get("aspf") == "s")
        for each in dkim:
            if each.result is Result.PASS and not aligned:
                aligned = await walk.agree(author_domain, each.domain, strict=applied.tags.get("adkim") == "s")
    except DnsUnavailable:
        return Dmarc(result=Result.TEMPERROR, domain=author_domain)
    unknown = Result.TEMPERROR in (spf.result, *(each.result for each in dkim))
    if not aligned and unknown:
        return Dmarc(result=Result.TEMPERROR, domain=author_domain, policy=policy)
    return Dmarc(result=Result.PASS if aligned else Result.FAIL, domain=author_domain, policy=policy)


class _Walk:
    """The records that stand at and above names, each asked for once."""

    def __init__(self, dns: Dns) -> None:
        self._dns = dns
        self._known: dict[str, _Record | None] = {}

    async def up(self, domain: str) -> list[_Record]:
        """The records from a name upwards, until one says where its tree ends."""
        found = []
        for name in _names(domain):
            record = await self._record(name)
            if record is None:
                continue
            found.append(record)
            if record.tags.get("psd") == "n" or (record.tags.get("psd") == "y" and name != domain):
                break
        return found

    async def organisation(self, domain: str) -> str:
        """The domain that all names of one owner share."""
        records = await self.up(domain)
        for record in records:
            if record.tags.get("psd") == "n":
                return record.domain
            if record.tags.get("psd") == "y" and record.domain != domain:
                labels = record.domain.count(".") + 2
                return ".".join(domain.split(".")[-labels:])
        return records[-1].domain if records else domain

    async def applied(self, domain: str) -> _Record:
        """The record of the organisation, for a name that has none of its own; there is one above it."""
        organisation = await self.organisation(domain)
        records = await self.up(domain)
        return next((record for record in records if record.domain == organisation), records[-1])

    async def agree(self, author: str, other: str, *, strict: bool) -> bool:
        """Whether two names are aligned (3.1)."""
        other = other.lower()
        if author == other:
            return True
        if strict:
            return False
        return await self.organisation(author) == await self.organisation(other)

    async def _record(self, name: str) -> _Record | None:
        if name not in self._known:
            self._known[name] = _only(name, await self._dns.texts(f"_dmarc.{name}"))
        return self._known[name]


def _names(domain: str) -> list[str]:
    labels = domain.split(".")
    shorter = range(1, len(labels)) if len(labels) <= MAX_QUERIES else range(len(labels) - MAX_QUERIES + 1, len(labels))
    return [domain, *(".".join(labels[start:]) for start in shorter)]


def _only(name: str, texts: Iterable[bytes]) -> _Record | None:
    """The one record among the texts; several count as none (6.6.3)."""
    found = []
    for text in texts:
        if len(text) > MAX_RECORD:
            continue
        pairs = [tag.partition("=") for tag in text.decode("ascii", "replace").split(";")]
        tags = {key.strip().lower(): value.strip().lower() for key, equals, value in pairs if equals}
        if pairs[0][0].strip().lower() == "v" and tags.get("v") == "dmarc1":
            found.append(_Record(name, tags))
    return found[0] if len(found) == 1 else None
