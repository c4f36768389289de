"""A lab on disk: authority, index, and for each provider its keys, configuration, domain and accounts."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from sqlalchemy import Connection

from gateway.drivers.dkim_keys import DkimKeys
from gateway.drivers.passwords import hash_password
from gateway.lab.authority import Authority
from gateway.lab.clamd import CLAMD_SOCKET
from gateway.lab.files import write_private, write_public
from gateway.lab.ordinary import ORDINARY_DOMAIN
from gateway.lab.plan import LabPlan, ProviderPlan
from gateway.lab.ports import loopback_hosts
from gateway.lab.shifted import SHIFT_FILE
from gateway.storage import accounts, domains
from gateway.storage.accounts import BoxKind, NewAccount
from gateway.storage.engine import Storage
from providers.directory import ProviderRecord, sign_index
from providers.records import write_ldif

__all__ = ["Layout", "ProviderFiles", "prepare", "prepare_keys"]


@dataclass(frozen=True, slots=True)
class ProviderFiles:
    """Where one provider of the lab keeps its things."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "gateway.toml"

    @property
    def log(self) -> Path:
        return self.folder / "gateway.log"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def signing_certificate(self) -> Path:
        return self.folder / "signing.pem"

    @property
    def signing_key(self) -> Path:
        return self.folder / "signing.key.pem"

    @property
    def clock_shift(self) -> Path:
        return self.folder / SHIFT_FILE

    @property
    def chain(self) -> Path:
        return self.folder / "chain.pem"

    @property
    def index_copy(self) -> Path:
        """Its own copy of the index, where it fetches it."""
        return self.folder / "index.ldif.p7m"


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a lab keeps its things. All paths are absolute."""

    folder: Path

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def email_ca_file(self) -> Path:
        return self.folder / "email-ca.pem"

    @property
    def index_file(self) -> Path:
        return self.folder / "index.ldif.p7m"

    @property
    def maildir(self) -> Path:
        return self.folder / ORDINARY_DOMAIN / "Maildir"

    @property
    def tls_certificate(self) -> Path:
        return self.folder / "tls.pem"

    @property
    def tls_key(self) -> Path:
        return self.folder / "tls.key.pem"

    @property
    def client_certificate(self) -> Path:
        """What is shown to fetch the index, by a lab that asks for it."""
        return self.folder / "client.pem"

    @property
    def client_key(self) -> Path:
        return self.folder / "client.key.pem"

    @property
    def clamd_folders(self) -> tuple[Path, Path]:
        """Of the first provider's scanner, and of the one that all others share."""
        return self.folder / "clamd", self.folder / "clamd-2"

    def clamd_socket(self, plan: LabPlan, provider: ProviderPlan) -> Path:
        """Where the scanner of a provider listens, if the lab has scanners."""
        first, others = self.clamd_folders
        return (first if provider.domain == plan.providers[0].domain else others) / CLAMD_SOCKET

    def provider(self, plan: ProviderPlan) -> ProviderFiles:
        return ProviderFiles(self.folder / plan.label)


def prepare(
    layout: Layout,
    plan: LabPlan,
    storage_urls: dict[str, str] | None = None,
    *,
    client_certificates: bool = False,
    antivirus: bool = False,
    timestamps: str | None = None,
) -> None:
    """Make what is missing; what is there stays, so that a lab that is started again is the same lab.

    Args:
        client_certificates: the first provider gives the index to those alone who show a certificate; the others
            fetch theirs there.
        antivirus: each provider has a scanner.
        timestamps: the URL of the lab's time-stamp authority, if it has one.
        storage_urls: databases by domain; an SQLite file each if left out.
    """
    authority = prepare_keys(layout, plan)
    for provider in plan.providers:
        files = layout.provider(provider)
        url = (storage_urls or {}).get(provider.domain) or f"sqlite:///{files.data}/ceralacca.sqlite"
        files.data.mkdir(parents=True, exist_ok=True)
        files.clock_shift.unlink(missing_ok=True)  # a lab begins with the right time
        index = _index_section(layout, plan, provider, client_certificates=client_certificates)
        configuration = _configuration(layout, plan, provider, url, index)
        if antivirus:
            configuration += f'\n[antivirus]\nsocket = "{layout.clamd_socket(plan, provider)}"\n'
        if timestamps is not None:
            configuration += f'\n[legal_register]\ntsa_urls = ["{timestamps}"]\ntsa_ca_file = "{layout.ca_file}"\n'
        write_private(files.config, configuration.encode())
        _dkim_key(files, provider)
        _populate(url, provider)
    _publish_index(layout, plan, authority)
    if client_certificates and not layout.client_key.exists():
        client = authority.client_certificate("Ceralacca Lab")
        write_public(layout.client_certificate, client.pem)
        write_private(layout.client_key, client.key_pem)


def prepare_keys(layout: Layout, plan: LabPlan) -> Authority:
    """Make what is missing of the authorities and the providers' signing keys."""
    authority = _authority(layout, plan)
    for provider in plan.providers:
        files = layout.provider(provider)
        files.folder.mkdir(parents=True, exist_ok=True)
        _signing_key(authority, files, provider)
    return authority


def _authority(layout: Layout, plan: LabPlan) -> Authority:
    """The lab's certificate authorities, made once; the e-mail CA is issued anew when a provider is new to it."""
    now = datetime.now(UTC)
    providers = [(provider.name, provider.domain) for provider in plan.providers]
    folder = layout.folder / "authority"
    if folder.exists():
        authority = Authority.load(folder, now)
        if not authority.permits(providers):
            authority.permit(providers)
            write_public(folder / "email-ca.pem", authority.email_ca.pem)
    else:
        authority = Authority.create(providers, now)
        fresh = folder.with_name(".authority")
        shutil.rmtree(fresh, ignore_errors=True)
        authority.save(fresh)
        fresh.rename(folder)
    write_public(layout.ca_file, authority.root_pem)
    write_public(layout.email_ca_file, authority.email_ca_pem)
    if not layout.tls_key.exists():
        tls = authority.tls_certificate()
        write_public(layout.tls_certificate, tls.pem)
        write_private(layout.tls_key, tls.key_pem)
    return authority


def _signing_key(authority: Authority, files: ProviderFiles, provider: ProviderPlan) -> None:
    if not files.signing_key.exists():
        issued = authority.provider_certificate(provider.name, provider.service.address)
        write_public(files.signing_certificate, issued.pem)
        write_private(files.signing_key, issued.key_pem)
    write_public(files.chain, authority.email_ca.pem)


def _dkim_key(files: ProviderFiles, provider: ProviderPlan) -> None:
    """What mail to mail.example is signed with; nobody publishes it."""
    keys = DkimKeys(files.folder / "dkim")
    if not keys.selectors(provider.domain):
        keys.make(provider.domain, "lab")


def _publish_index(layout: Layout, plan: LabPlan, authority: Authority) -> None:
    records = [
        ProviderRecord(
            name=provider.name,
            unit=None,
            certificates=(
                load_pem_x509_certificate(layout.provider(provider).signing_certificate.read_bytes()).public_bytes(
                    Encoding.DER
                ),
            ),
            mail_receipt=provider.service.address,
            managed_domains=frozenset({provider.domain}),
            ldif_url=_index_url(provider),
            description="A provider of the lab",
        )
        for provider in plan.providers
    ]
    ldif = write_ldif(records, _index_url(plan.providers[0]))
    signer = authority.index_signer().signer()
    write_public(layout.index_file, sign_index(ldif, signer, datetime.now(UTC)))


def _index_url(provider: ProviderPlan) -> str:
    return f"https://localhost:{provider.ports['https']}/index.ldif.p7m"


def _populate(url: str, provider: ProviderPlan) -> None:
    storage = Storage.open(url, migrate=True)
    at = datetime.now(UTC)
    try:
        known = storage.read_now(lambda connection: {one.address for one in accounts.list_accounts(connection)})
        wanted = [(provider.service, BoxKind.SERVICE), *((account, BoxKind.USER) for account in provider.accounts)]
        missing = [(account, kind) for account, kind in wanted if account.address not in known]
        with ThreadPoolExecutor() as pool:  # hashing takes time on purpose, and a processor each
            hashes = list(pool.map(hash_password, (account.password for account, _ in missing)))
        new = [
            NewAccount(
                address=account.address,
                at=at,
                kind=kind,
                display_name=account.address.partition("@")[0].capitalize(),
                password=password,
            )
            for (account, kind), password in zip(missing, hashes, strict=True)
        ]

        def add(connection: Connection) -> None:
            domains.add_domain(connection, provider.domain, at)
            for account in new:
                accounts.add_account(connection, account)

        storage.write_now(add)
    finally:
        storage.close()


def _index_section(layout: Layout, plan: LabPlan, provider: ProviderPlan, *, client_certificates: bool) -> str:
    """All have the one file and serve it; or the first has it, for clients with a certificate, and the others fetch."""
    first = plan.providers[0]
    if client_certificates and provider is not first:
        return f'''file = "{layout.provider(provider).index_copy}"
signer_ca_file = "{layout.ca_file}"
url = "{_index_url(first)}"
ca_file = "{layout.ca_file}"
client_certificate_file = "{layout.client_certificate}"
client_key_file = "{layout.client_key}"'''
    asked = f'client_ca_file = "{layout.ca_file}"' if client_certificates else ""
    return f'''file = "{layout.index_file}"
signer_ca_file = "{layout.ca_file}"
publish = true
{asked}'''


def _configuration(layout: Layout, plan: LabPlan, provider: ProviderPlan, url: str, index: str) -> str:
    files = layout.provider(provider)
    hosts = [f"[{host}]" if ":" in host else host for host in loopback_hosts()]
    listen = "\n".join(
        f"{service} = {json.dumps([f'{host}:{port}' for host in hosts])}" for service, port in provider.ports.items()
    )
    return f"""# Made by `ceralacca lab`; written anew each time it starts.

[provider]
name = "{provider.name}"
domain = "{provider.domain}"
service_address = "{provider.service.address}"

[listen]
{listen}

[clients]
host = "localhost"

[tls]
certificate_file = "{layout.tls_certificate}"
key_file = "{layout.tls_key}"

[signing]
key_file = "{files.folder}/signing.key.pem"
certificate_file = "{files.signing_certificate}"
chain_file = "{files.folder}/chain.pem"

[trust]
ca_file = "{layout.ca_file}"

[index]
{index}

[dkim]
folder = "{files.folder}/dkim"

[storage]
url = "{url}"

[clock]
watched = false

[relay]
closed = true
tls_ca_file = "{layout.ca_file}"
{_routes(plan, provider)}
"""


def _routes(plan: LabPlan, provider: ProviderPlan) -> str:
    """The closed world of the lab: the other providers, and the one ordinary server (D29)."""
    certified = [(other.domain, other.ports["smtp"]) for other in plan.providers if other is not provider]
    return "\n".join(
        f'\n[[relay.routes]]\ndomain = "{domain}"\nhost = "localhost"\nport = {port}'
        for domain, port in [*certified, (ORDINARY_DOMAIN, plan.ordinary_port)]
    )
