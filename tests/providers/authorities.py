"""Keys and certificates that the tests of this folder share, and openssl beside them."""

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from gateway.drivers.keyfiles import KeyKind, PrivateKey, new_key
from gateway.lab.authority import Authority, Issued
from providers.chains import Trust
from providers.directory import Directory, ProviderRecord, read_directory, write_ldif
from providers.sealing import Signer
from receipts.octets import Octets
from receipts.writer import Unsealed

AT = datetime(2026, 3, 2, 9, 30, 15, tzinfo=UTC)
ALFA, ALFA_ADDRESS = "Alfa PEC", "posta-certificata@alfa.example"
BETA, BETA_ADDRESS = "Beta PEC", "posta-certificata@beta.example"


@dataclass(frozen=True)
class Network:
    """Two providers under one authority."""

    authority: Authority
    alfa: Issued
    beta: Issued


@cache
def rsa_key(which: int = 0) -> PrivateKey:
    """Made once in a run: RSA keys take a while."""
    return new_key(KeyKind.RSA_2048)


def network() -> Network:
    authority = Authority.create([(ALFA, "alfa.example"), (BETA, "beta.example")], AT)
    return Network(
        authority,
        authority.provider_certificate(ALFA, ALFA_ADDRESS, key=rsa_key(0)),
        authority.provider_certificate(BETA, BETA_ADDRESS, key=rsa_key(1)),
    )


def unsealed(body: bytes = b"Ciao.\r\n", sender: str = ALFA_ADDRESS) -> Unsealed:
    """A message of one text part, by hand."""
    content = (
        b'Content-Type: multipart/mixed; boundary="mx0"\r\n\r\n--mx0\r\n'
        b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\n" + body + b"\r\n--mx0--"
    )
    headers = f"X-Ricevuta: accettazione\r\nFrom: {sender}\r\nTo: anna@alfa.example\r\nSubject: A\r\n"
    return Unsealed(headers.encode(), Octets.of(content))


def openssl(*arguments: str | Path, data: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True, timeout=60)
    if check and done.returncode:
        raise AssertionError(done.stderr.decode())
    return done


def openssl_verifies(message: bytes, ca_file: Path, *options: str, at: datetime = AT) -> bool:
    """What ``openssl cms -verify`` says of a whole message."""
    when = str(int(at.timestamp()))
    done = openssl("cms", "-verify", "-CAfile", ca_file, "-attime", when, *options, data=message, check=False)
    return done.returncode == 0


def write_keys(directory: Path, issued: Issued) -> tuple[Path, Path, Path]:
    """Key, certificate and chain as files."""
    key, certificate, chain = (directory / name for name in ("key.pem", "cert.pem", "chain.pem"))
    key.write_bytes(issued.key_pem)
    key.chmod(0o600)
    certificate.write_bytes(issued.pem)
    chain.write_bytes(issued.chain_pem)
    return key, certificate, chain


class BrokenSigner:
    """A signer whose key is gone."""

    def __init__(self, like: Signer) -> None:
        self.certificate, self.chain, self.address, self.algorithm = (
            like.certificate,
            like.chain,
            like.address,
            like.algorithm,
        )

    def sign(self, data: bytes) -> bytes:
        from receipts.errors import SigningUnavailable

        raise SigningUnavailable("gone")


def records(net: Network) -> list[ProviderRecord]:
    return [
        ProviderRecord(
            name=name,
            certificates=(issued.der,),
            mail_receipt=address,
            managed_domains=frozenset({address.partition("@")[2]}),
        )
        for name, address, issued in ((ALFA, ALFA_ADDRESS, net.alfa), (BETA, BETA_ADDRESS, net.beta))
    ]


def directory(net: Network) -> Directory:
    return read_directory(write_ldif(records(net)))


def trust(net: Network) -> Trust:
    return Trust((net.authority.root.der,))
