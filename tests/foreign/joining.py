"""How foreign providers join a lab: into the signed index, and into the routes of its providers."""

import base64
import hashlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.foreign.openssl import Certified, run
from tests.foreign.provider import Foreign
from tests.lab.labs import Lab
from tests.lab.waiting import until

__all__ = ["Entry", "enter_index", "open_routes", "root_of"]


@dataclass(frozen=True)
class Entry:
    """A record of the index."""

    name: str
    mail_receipt: str
    domains: tuple[str, ...]
    certificate: bytes

    @classmethod
    def of(cls, provider: Foreign) -> "Entry":
        domains = (provider.service_domain, provider.domain)
        return cls(provider.name, provider.service_address, domains, provider.key.der)

    def ldif(self) -> str:
        lines = [
            f"dn: providerName={self.name},o=postacert",
            "objectclass: top",
            "objectclass: provider",
            f"providerName: {self.name}",
            f"providerCertificateHash: {hashlib.sha1(self.certificate).hexdigest()}",
            f"providerCertificate;binary:: {base64.b64encode(self.certificate).decode()}",
            f"mailReceipt: {self.mail_receipt}",
            *(f"managedDomains: {domain}" for domain in self.domains),
        ]
        return "\n".join(lines) + "\n"


def root_of(lab: Lab) -> Certified:
    """The lab's root, with its key."""
    return Certified(lab.folder / "authority" / "root.key.pem", lab.folder / "authority" / "root.pem")


def enter_index(lab: Lab, entries: Sequence[Entry], signer: Certified) -> None:
    """Add records to the lab's index and sign it anew."""
    index = lab.description["index"]
    file = Path(index["file"])
    ldif = run("cms", "-verify", "-inform", "DER", "-in", file, "-CAfile", index["signer_ca_file"]).decode()
    for entry in entries:
        ldif = f"{ldif.rstrip()}\n\n{entry.ldif()}"
    fresh = file.with_suffix(".new")
    fresh.write_bytes(signer.sign(ldif.encode(), "-nodetach", "-md", "sha256"))
    fresh.replace(file)


def open_routes(lab: Lab, providers: Sequence[Foreign]) -> None:
    """Let the lab's providers reach the foreign ones, and read index and routes anew."""
    routes = "".join(
        f'\n[[relay.routes]]\ndomain = "{domain}"\nhost = "localhost"\nport = {provider.server.port}\n'
        for provider in providers
        for domain in (provider.domain, provider.service_domain)
    )
    for one in lab.description["providers"]:
        config, log = Path(one["config_file"]), Path(one["log_file"])
        with config.open("a") as file:
            file.write(routes)
        before = log.read_text().count('"reloaded"')
        os.kill(one["pid"], signal.SIGHUP)
        until(lambda log=log, before=before: log.read_text().count('"reloaded"') > before, "reload")  # type: ignore[misc]
