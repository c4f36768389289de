"""What one provider keeps up to date about the others and about itself: index, revoked certificates, its own one."""

import random
from datetime import datetime, timedelta
from typing import Final

from config.settings import Settings
from gateway.app import terms
from gateway.drivers.dialer import Dialer
from gateway.drivers.guarded_signer import GuardedSigner
from gateway.drivers.keyfiles import load_trust
from gateway.drivers.sources import Clock
from gateway.flows.alarms import Bell
from gateway.flows.certificate_paths import Paths
from gateway.flows.index_update import INDEX, IndexUpdate, UpdateSettings
from gateway.flows.index_watch import IndexWatch, WatchSettings
from gateway.flows.inspection import Inspector
from gateway.flows.own_certificate import OwnCertificate
from gateway.flows.revocation_watch import RevocationSettings, RevocationWatch
from gateway.storage import downloads
from gateway.storage.engine import Storage
from gateway.workers.ticks import Ticks
from providers.certificates import read_certificate
from providers.sealing import Signer
from providers.standing import Standings
from providers.sync import IndexFile

__all__ = ["Keepers"]

FETCHED_LOOKED_AT: Final = timedelta(seconds=5)
"""How soon what is due, or what another process has fetched, is taken."""
WATCHED: Final = timedelta(minutes=1)


class Keepers:
    """The index, the inspector that asks it, and the signer that may be told to stop.

    Raises:
        KeyRefused, OSError: a key, a certificate or an authority cannot be used; the text names its file.
    """

    def __init__(self, settings: Settings, storage: Storage, clock: Clock, bell: Bell, dialer: Dialer) -> None:
        self._settings, self._storage, self._clock, self._bell, self._dialer = settings, storage, clock, bell, dialer
        signer = terms.signer(settings)
        self.index = IndexFile(settings.index.file, load_trust(settings.index.signer_ca_file).anchors, clock.now)
        self.index_update = self._index_update()
        self.index_watch = self._index_watch(signer)
        self.inspector = Inspector(
            load_trust(settings.trust.ca_file),
            self.index.directory,
            standings=self._standings if settings.revocation.check else None,
            wait_for_standing=settings.revocation.stale == "defer",
        )
        self.revocation_watch = self._revocation_watch(signer) if settings.revocation.check else None
        self.own_certificate = OwnCertificate(
            read_certificate(signer.certificate),
            self._standings,
            bell,
            clock,
            timedelta(days=settings.revocation.alarm_expiry_days),
        )
        self.signer: Signer = GuardedSigner(signer, self.own_certificate.fault)

    def tick(self, ticks: Ticks) -> None:
        """Let all of them look now and then."""
        if self.index_update is not None:
            ticks.every(FETCHED_LOOKED_AT, self.index_update.look, "index update", at_once=True)
        if self.revocation_watch is not None:
            ticks.every(FETCHED_LOOKED_AT, self.revocation_watch.look, "revocation", at_once=True)
        ticks.every(WATCHED, self.index_watch.look, "index watch")
        ticks.every(WATCHED, self.own_certificate.look, "own certificate", at_once=True)

    def published_index(self) -> bytes | None:
        return self.index.data if self._settings.index.publish else None

    def published_record(self) -> bytes | None:
        """As it is on the disk now: a few kilobytes that hardly anybody asks for."""
        file = self._settings.index.record_file
        return None if file is None or not file.is_file() else file.read_bytes()

    def _standings(self) -> Standings:
        return Standings() if self.revocation_watch is None else self.revocation_watch.standings

    def _index_update(self) -> IndexUpdate | None:
        settings = self._settings.index
        if settings.url is None:
            return None
        return IndexUpdate(
            storage=self._storage,
            index=self.index,
            fetch=terms.index_fetch(self._settings, self._dialer, settings.url),
            bell=self._bell,
            clock=self._clock,
            chance=random.random,
            settings=UpdateSettings(url=settings.url, period=timedelta(hours=settings.refresh_hours)),
        )

    def _index_watch(self, signer: Signer) -> IndexWatch:
        settings = WatchSettings(
            most_unseen=timedelta(hours=self._settings.index.alarm_after_hours),
            most_signed=timedelta(days=self._settings.index.alarm_signed_days),
            certificate=signer.certificate,
        )
        return IndexWatch(self.index, self._index_good_at, self._bell, self._clock, settings)

    def _revocation_watch(self, signer: Signer) -> RevocationWatch:
        paths = Paths(
            self.index.directory,
            load_trust(self._settings.trust.ca_file),
            (signer.certificate, *signer.chain),
            self.inspector.authorities_met,
        )
        return RevocationWatch(
            storage=self._storage,
            paths=paths,
            ask=terms.revocation_ask(self._settings, self._dialer),
            bell=self._bell,
            clock=self._clock,
            chance=random.random,
            settings=RevocationSettings(period=timedelta(hours=self._settings.revocation.refresh_hours)),
        )

    async def _index_good_at(self) -> datetime | None:
        """None where we do not fetch the index."""
        if self._settings.index.url is None:
            return None
        state = await self._storage.read(lambda connection: downloads.state_of(connection, INDEX))
        return None if state is None else state.good_at
