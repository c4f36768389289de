"""``ceralacca domain dkim`` and ``domain dns``: the keys that sign mail to ordinary addresses, and the DNS records."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from config.settings import Settings
from gateway.app import terms
from gateway.commands.config import DEFAULT_CONFIG, ConfigOption, settings_or_exit
from gateway.commands.names import given_domain, refuse
from gateway.drivers.dkim_keys import DkimKey, DkimKeys
from gateway.drivers.keyfiles import KeyRefused
from gateway.drivers.mail_records import key_record, mail_records
from gateway.web.setup.dns import dns_records
from receipts.identifiers import domain_of

__all__ = ["dkim", "dns"]

LONGEST_SELECTOR = 63
HTTPS = 443

Domain = Annotated[str, typer.Argument(metavar="DOMAIN", help="A mail domain.")]


def dkim(
    domain: Domain,
    rotate: Annotated[bool, typer.Option("--rotate", help="Make the next key; it is not used yet.")] = False,
    use: Annotated[
        str | None, typer.Option("--use", metavar="SELECTOR", help="Sign with this key from now on.")
    ] = None,
    remove: Annotated[
        str | None, typer.Option("--remove", metavar="SELECTOR", help="Forget a key that is no longer in use.")
    ] = None,
    selector: Annotated[
        str | None, typer.Option("--selector", help="How the new key is called; the date if left out.")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Make the key that signs mail to ordinary addresses, and print the DNS records that publish it."""
    settings = settings_or_exit(config)
    domain = given_domain(domain)
    if sum((rotate, use is not None, remove is not None)) > 1:
        raise refuse("one of --rotate, --use and --remove at a time")
    keys = _keys(settings)
    for named in (use, remove):
        if named is not None and named not in (there := keys.selectors(domain)):
            raise refuse(f"{domain} has no key {named}; it has {', '.join(there) or 'none'}")
    try:
        if use is not None:
            keys.use(domain, use)
            typer.echo(f"; {domain} signs with {use} from now on; leave older keys published for a week")
        elif remove is not None:
            keys.remove(domain, remove)
            typer.echo(f"; {remove} is forgotten; its record may go")
        elif rotate or selector is not None or not keys.selectors(domain):
            _make(keys, domain, selector)
        for line in _shown(settings, keys, domain):
            typer.echo(line)
    except (KeyRefused, OSError) as error:
        raise refuse(str(error)) from None


def dns(domain: Domain, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Print every DNS record of a domain, ready to paste: mail in, mail out, and the settings of mail programs."""
    settings = settings_or_exit(config)
    domain = given_domain(domain)
    provider = settings.provider
    try:
        published = [] if settings.dkim.folder is None else _published(DkimKeys(settings.dkim.folder), domain)
    except KeyRefused as error:
        raise refuse(str(error)) from None
    postmaster = f"postmaster@{provider.domain}"
    for line in mail_records(domain, host=provider.domain, postmaster=postmaster, keys=published):
        typer.echo(line)
    clients, https = settings.clients, settings.listen.https
    port = clients.https_port or (https[0].port if https else HTTPS)
    for line in dns_records(terms.mail_servers(settings), domain, https_port=port):
        typer.echo(line)


def _published(keys: DkimKeys, domain: str) -> list[DkimKey]:
    return [keys.key(domain, selector) for selector in keys.selectors(domain)]


def _make(keys: DkimKeys, domain: str, selector: str | None) -> None:
    taken = keys.selectors(domain)
    if selector is None:
        selector = _fresh(f"c{datetime.now(UTC):%Y%m%d}", taken)
    selector = selector.lower()
    if not 0 < len(selector) <= LONGEST_SELECTOR or not selector.replace("-", "").isalnum() or not selector.isascii():
        raise refuse(f"{selector}: a selector is letters, digits and hyphens")
    if selector in taken:
        raise refuse(f"{selector}: there is such a key already, and a selector is never used again")
    keys.make(domain, selector)
    if taken:
        typer.echo(f"; {selector} is new: publish it, wait a day, then say --use {selector}")


def _fresh(name: str, taken: list[str]) -> str:
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    return found


def _shown(settings: Settings, keys: DkimKeys, domain: str) -> Iterator[str]:
    """The records of the keys, and which of them signs."""
    current = keys.current(domain)
    for selector in keys.selectors(domain):
        key = keys.key(domain, selector)
        used = current is not None and current.selector == selector
        yield f"; {selector}: {'in use' if used else 'not in use'}"
        yield key_record(key)
    senders = {domain_of(address) for address in (settings.provider.service_address, terms.notice_address(settings))}
    if domain not in senders:
        yield f"; no mail comes from {domain} itself: envelopes and forwards come from {', '.join(sorted(senders))}"
    yield f"; `ceralacca domain dns {domain}` prints the other records"


def _keys(settings: Settings) -> DkimKeys:
    folder: Path | None = settings.dkim.folder
    if folder is None:
        raise refuse("[dkim] folder says where keys are kept; it is not set")
    return DkimKeys(folder)
