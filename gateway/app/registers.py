"""Those who look after the register, made from settings: for a provider that serves, and for the commands."""

import ssl
from datetime import timedelta
from zoneinfo import ZoneInfo

from config.settings import Settings
from gateway.drivers.dialer import Dialer
from gateway.drivers.http_client import HttpClient
from gateway.drivers.keyfiles import load_certificates, load_trust
from gateway.drivers.sources import Clock
from gateway.drivers.timestamps import TimeStamps
from gateway.flows.alarms import Bell
from gateway.flows.register_audit import SealJudge
from gateway.flows.register_closing import ClosingSettings, RegisterClosing
from gateway.flows.register_removal import RegisterRemoval
from gateway.storage.engine import Storage
from providers.sealing import Signer

__all__ = ["CLOSING_LOOKED_AT", "REMOVAL_EVERY", "closing", "judge", "removal"]

CLOSING_LOOKED_AT = timedelta(minutes=1)
REMOVAL_EVERY = timedelta(hours=6)


def closing(
    settings: Settings, storage: Storage, clock: Clock, signer: Signer, alarms: Bell, owner: str
) -> RegisterClosing:
    """Raises KeyRefused if the certificates of the time-stamp authorities cannot be read."""
    provider = settings.provider
    return RegisterClosing(
        storage=storage,
        clock=clock,
        signer=signer,
        stamper=_stamper(settings, clock),
        alarms=alarms,
        settings=ClosingSettings(
            provider=provider.name,
            domain=provider.domain,
            zone=ZoneInfo(provider.time_zone),
            hour=settings.legal_register.closed_after_hours,
            owner=owner,
        ),
    )


def removal(settings: Settings, storage: Storage, clock: Clock) -> RegisterRemoval:
    months, name = settings.legal_register.retention_months, settings.provider.name
    return RegisterRemoval(storage, clock, months=months, provider=name)


def judge(settings: Settings) -> SealJudge:
    """Raises KeyRefused if a file with authorities cannot be read."""
    file = settings.legal_register.tsa_ca_file
    stamps = None if file is None else tuple(load_certificates(file))
    return SealJudge(load_trust(settings.trust.ca_file), stamps)


def _stamper(settings: Settings, clock: Clock) -> TimeStamps | None:
    register = settings.legal_register
    if not register.tsa_urls or register.tsa_ca_file is None:
        return None
    client = HttpClient(
        Dialer(closed=settings.relay.closed),
        tls=ssl.create_default_context(),
        private=True,
        seconds=register.tsa_seconds,
    )
    return TimeStamps(client, register.tsa_urls, load_certificates(register.tsa_ca_file), clock)
