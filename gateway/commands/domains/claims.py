"""Who manages a domain: we, as the storage says, or another certified provider, as the index says."""

from datetime import UTC, datetime

from sqlalchemy import Connection

from config.settings import Settings
from gateway.drivers.keyfiles import KeyRefused, load_trust
from gateway.storage import domains
from gateway.storage.accounts import AccountRefused
from providers.directory import IndexRefused, ProviderRecord, read_signed_index
from receipts.identifiers import address_key, domain_of

__all__ = ["managed_by_another", "refuse_certified_target"]


def managed_by_another(settings: Settings, domain: str) -> str | None:
    """The name of the provider that manages a domain and is not us; None too if there is no index to ask."""
    record = _record_of(settings, domain)
    if record is None or record.owner == "".join(settings.provider.name.split()).casefold():
        return None
    ours = address_key(settings.provider.service_address)  # names are written in many ways, this is not
    return None if address_key(record.mail_receipt) == ours else record.name


def refuse_certified_target(connection: Connection, settings: Settings, address: str) -> None:
    """A certified box takes certified mail from its holder, not copies from a machine (D34).

    Raises:
        AccountRefused: the address is one of certified mail.
    """
    domain = domain_of(address)
    if domain in domains.local_domains(connection) or _record_of(settings, domain) is not None:
        raise AccountRefused(f"{address}: is a certified address; forwards go to ordinary ones")


def _record_of(settings: Settings, domain: str) -> ProviderRecord | None:
    """What the index says of a domain, if it can be believed now."""
    index = settings.index
    try:
        anchors = load_trust(index.signer_ca_file).anchors
        return read_signed_index(index.file.read_bytes(), anchors, datetime.now(UTC)).by_domain(domain)
    except (OSError, KeyRefused, IndexRefused):
        return None
