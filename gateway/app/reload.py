"""What SIGHUP does: certificate, index and routes are taken anew, and what is not good leaves the old in use (D33)."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from config.load import ConfigurationError
from config.settings import Settings
from gateway.app import terms
from gateway.app.certificates import warn_of_end
from gateway.app.parts import Parts
from receipts.errors import GatewayError

__all__ = ["Reload"]

log = logging.getLogger(__name__)

TAKEN: Final = frozenset({"tls.certificate_file", "tls.key_file", "index.file", "relay.routes"})
"""The settings that change without a restart."""


class Reload:
    """Brings changes into a running provider.

    Args:
        settings: those it was started with.
        reread: gives those that stand in the configuration now; raises ConfigurationError.
    """

    def __init__(self, settings: Settings, reread: Callable[[], Settings], parts: Parts) -> None:
        self._started_with = self._settings = settings
        self._reread = reread
        self._parts = parts

    async def __call__(self) -> None:
        """Never raises for anything that stands in a file. A bad configuration does not hold up a new certificate."""
        routes = self._take_settings()
        taken = {
            "routes": routes,
            "certificate": self._take_certificate(),
            "index": await self._take_index(),
            "authorities": self._take_authorities(),
        }
        log.info("reloaded", extra=taken)

    def _take_settings(self) -> bool:
        try:
            settings = self._reread()
        except ConfigurationError as error:
            log.error("configuration not reloaded, the old one stays in use", extra={"reason": str(error)})
            return False
        self._settings = settings
        self._parts.resolver.routes = terms.routes(settings)
        if waiting := changed(self._started_with, settings) - TAKEN:
            log.warning("settings that changed wait for a restart", extra={"settings": sorted(waiting)})
        return True

    def _take_certificate(self) -> bool:
        tls = self._settings.tls
        try:
            self._parts.tls.reload(tls.certificate_file, tls.key_file)
            self._parts.web_tls.reload(tls.certificate_file, tls.key_file)
        except (OSError, GatewayError) as error:
            log.error("TLS certificate not reloaded, the old one stays in use", extra={"reason": str(error)})
            return False
        warn_of_end(self._settings)
        return True

    async def _take_index(self) -> bool:
        """The index itself says why not."""
        return await asyncio.to_thread(self._parts.index.refresh, self._settings.index.file, forced=True)

    def _take_authorities(self) -> bool:
        """Those of other servers' certificates."""
        faults = self._parts.contexts.renew()
        for fault in faults:
            log.error("authorities of other servers not reloaded, the old ones stay in use", extra={"reason": fault})
        return not faults


def changed(before: Settings, after: Settings) -> frozenset[str]:
    """The settings that differ, as ``section.name``."""
    return frozenset(
        f"{section}.{name}"
        for section, field in Settings.model_fields.items()
        for name in (field.annotation.model_fields if field.annotation else ())
        if getattr(getattr(before, section), name) != getattr(getattr(after, section), name)
    )
