"""What the foreign provider does with certificates and signatures: it asks the ``openssl`` command."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Authority", "Certified", "Verified", "run", "verify"]

CA_EXTENSIONS = """
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""
LEAF_EXTENSIONS = """
keyUsage = critical, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def run(*arguments: str | Path, source: bytes = b"") -> bytes:
    """One command of OpenSSL; what it writes."""
    done = subprocess.run(["openssl", *map(str, arguments)], input=source, capture_output=True, check=False)
    assert done.returncode == 0, f"openssl {' '.join(map(str, arguments))}: {done.stderr.decode()}"
    return done.stdout


@dataclass(frozen=True)
class Certified:
    """A key and its certificate, in PEM files."""

    key: Path
    certificate: Path
    issuer: Path | None = None  # the CA below the root, to go into signatures

    @property
    def der(self) -> bytes:
        return run("x509", "-in", self.certificate, "-outform", "DER")

    def sign(self, content: bytes, *options: str) -> bytes:
        """CMS SignedData in DER, or in BER with ``-stream``."""
        issuer = ("-certfile", self.issuer) if self.issuer else ()
        signer = ("-signer", self.certificate, "-inkey", self.key, *issuer)
        return run("cms", "-sign", "-binary", "-outform", "DER", *signer, *options, source=content)


class Authority:
    """Issues certificates under a root whose key is at hand.

    Args:
        root: the root's certificate and key.
        folder: where files are kept.
    """

    def __init__(self, root: Certified, folder: Path) -> None:
        self._root = root
        self._folder = folder
        self._issued = 0
        self._email_ca = self._issue(root, "/C=IT/O=Foreign Trust/CN=Foreign E-mail CA", CA_EXTENSIONS)

    def email(self, name: str, address: str, *, usage: bool) -> Certified:
        """A provider's signing certificate; ``usage``: whether it has an extended key usage."""
        extensions = LEAF_EXTENSIONS + f"subjectAltName = email:{address}\n"
        if usage:
            extensions += "extendedKeyUsage = emailProtection\n"
        issued = self._issue(self._email_ca, f"/C=IT/O={name}/CN=Posta Certificata", extensions)
        return Certified(issued.key, issued.certificate, self._email_ca.certificate)

    def server(self) -> Certified:
        """A TLS server's certificate for this machine."""
        extensions = LEAF_EXTENSIONS + "subjectAltName = DNS:localhost\nextendedKeyUsage = serverAuth\n"
        return self._issue(self._root, "/C=IT/O=Foreign Trust/CN=localhost", extensions)

    def index(self) -> Certified:
        """Who signs the index."""
        extensions = LEAF_EXTENSIONS + "extendedKeyUsage = emailProtection\nsubjectAltName = email:index@lab.example\n"
        return self._issue(self._root, "/C=IT/O=Foreign Trust/CN=Index", extensions)

    def _issue(self, issuer: Certified, subject: str, extensions: str) -> Certified:
        self._issued += 1
        stem = self._folder / f"certificate{self._issued}"
        key, request, certificate, file = (stem.with_suffix(suffix) for suffix in (".key", ".csr", ".pem", ".ext"))
        run("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key)
        run("req", "-new", "-key", key, "-subj", subject, "-utf8", "-out", request)
        file.write_text(extensions)
        signed = ("-CA", issuer.certificate, "-CAkey", issuer.key, "-extfile", file, "-days", "30", "-sha256")
        run("x509", "-req", "-in", request, *signed, "-out", certificate)
        return Certified(key, certificate)


@dataclass(frozen=True)
class Verified:
    """A signature that holds."""

    content: bytes  # what was signed
    addresses: tuple[str, ...]  # e-mail addresses of the signer's certificate


def verify(message: bytes, ca_file: str, folder: Path) -> Verified:
    """Check a signed message; fails if its signature or chain does not hold."""
    signer = folder / "signer.pem"
    content = run("cms", "-verify", "-CAfile", ca_file, "-signer", signer, source=message)
    addresses = run("x509", "-in", signer, "-noout", "-email").decode().split()
    return Verified(content, tuple(addresses))
