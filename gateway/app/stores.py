"""The mail servers that keep boxes of ours, as the settings describe them."""

from datetime import timedelta

from config.elsewhere import StoreSettings
from config.settings import Settings
from gateway.drivers.imap_store import Passwords, Store, from_many, from_one_file
from gateway.drivers.tls import client_trusting
from gateway.points.handing_over import Places

__all__ = ["stores"]


def stores(settings: Settings) -> dict[str, Store]:
    """By their names.

    Raises:
        KeyRefused: an authority's file cannot be used; the text names it.
    """
    return {one.name: _store(one, settings.elsewhere.answer_seconds) for one in settings.elsewhere.stores}


def _store(settings: StoreSettings, answer_seconds: int) -> Store:
    return Store(
        name=settings.name,
        host=settings.host,
        port=settings.port,
        user=settings.user,
        passwords=_passwords(settings),
        context=client_trusting(settings.ca_file),
        places=Places(settings.inbox, settings.receipts),
        connections=settings.connections,
        patience=timedelta(hours=settings.patience_hours),
        answer_seconds=answer_seconds,
    )


def _passwords(settings: StoreSettings) -> Passwords:
    if settings.password_file is not None:
        return from_one_file(settings.password_file)
    assert settings.passwords_file is not None  # as the settings ask
    return from_many(settings.passwords_file)
