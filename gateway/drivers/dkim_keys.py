"""The keys that sign mail to ordinary addresses, a folder for each domain (RFC 6376).

``FOLDER/DOMAIN/SELECTOR.pem`` is a key, ``FOLDER/DOMAIN/current`` names the selector in use. All nodes of a provider
have the same files. A new key is published before it is used, and stays published until what it signed has arrived:
so there is always more than one.
"""

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.drivers.keyfiles import KeyKind, KeyRefused, key_pem, load_key, new_key, write_secret

__all__ = ["DkimKey", "DkimKeys"]

CURRENT: Final = "current"
SUFFIX: Final = ".pem"


@dataclass(frozen=True, slots=True)
class DkimKey:
    """One key of one domain."""

    domain: str
    selector: str
    private: rsa.RSAPrivateKey

    @property
    def record_name(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """The TXT record that publishes it (3.6.1)."""
        public = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={b64encode(public).decode('ascii')}"


class DkimKeys:
    """The keys of one provider; those in use are remembered until their files change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[float, DkimKey]] = {}

    def current(self, domain: str) -> DkimKey | None:
        """The key in use for a domain; None if it has none.

        Raises:
            KeyRefused: the file cannot be used, or others can read it.
        """
        pointer = self._folder / domain / CURRENT
        try:
            changed = pointer.stat().st_mtime
        except OSError:
            return None
        known = self._known.get(domain)
        if known is None or known[0] != changed:
            known = self._known[domain] = (changed, self.key(domain, _first_line(pointer)))
        return known[1]

    def key(self, domain: str, selector: str) -> DkimKey:
        """Raises KeyRefused if there is no such key, or it cannot be used."""
        file = self._file(domain, selector)
        private, _ = load_key(file)
        if not isinstance(private, rsa.RSAPrivateKey):
            raise KeyRefused(f"{file}: DKIM signs with RSA keys")
        return DkimKey(domain, selector, private)

    def selectors(self, domain: str) -> list[str]:
        """Those that have a key, by name."""
        return sorted(file.name.removesuffix(SUFFIX) for file in (self._folder / domain).glob(f"*{SUFFIX}"))

    def make(self, domain: str, selector: str) -> DkimKey:
        """A new key; in use at once if the domain has none yet.

        Raises:
            FileExistsError: the selector has a key; a selector is never used again.
            OSError: it cannot be written.
        """
        folder = self._folder / domain
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        write_secret(self._file(domain, selector), key_pem(new_key(KeyKind.RSA_2048)))
        if not (folder / CURRENT).exists():
            self.use(domain, selector)
        return self.key(domain, selector)

    def use(self, domain: str, selector: str) -> None:
        """Sign with this key from now on. Raises KeyRefused, OSError."""
        self.key(domain, selector)
        fresh = self._folder / domain / f".{CURRENT}"
        fresh.write_text(f"{selector}\n")
        fresh.replace(self._folder / domain / CURRENT)

    def remove(self, domain: str, selector: str) -> None:
        """Forget a key that is no longer in use. Raises KeyRefused, OSError."""
        found = self.current(domain)
        if found is not None and found.selector == selector:
            raise KeyRefused(f"{self._file(domain, selector)}: is in use")
        self._file(domain, selector).unlink()

    def _file(self, domain: str, selector: str) -> Path:
        return self._folder / domain / f"{selector}{SUFFIX}"


def _first_line(file: Path) -> str:
    with file.open(encoding="ascii", errors="replace") as opened:
        word = opened.readline(100).strip()
    if not word or "/" in word or word.startswith("."):
        raise KeyRefused(f"{file}: names no selector")
    return word
