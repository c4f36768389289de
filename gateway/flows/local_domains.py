"""The domains of this provider, at hand for whoever has to know at once."""

from gateway.storage import domains
from gateway.storage.engine import Storage

__all__ = ["LocalDomains"]


class LocalDomains:
    """The domains as of the last look."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._domains: frozenset[str] = frozenset()

    def __contains__(self, domain: object) -> bool:
        return domain in self._domains

    async def look(self) -> None:
        """Raises TemporaryError when nobody can tell; then those known stand."""
        self._domains = await self._storage.read(domains.local_domains)
