"""The lab's certificate authority: a root, an e-mail CA under name constraints, and every certificate of a lab.

The e-mail CA is like the one that today's providers have: an intermediate with critical name constraints that list
each provider's mail domain and name (D5). Keys of CAs and TLS servers are elliptic, which are made at once.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from gateway.drivers.keyfiles import KeyKind, PrivateKey, key_pem, load_certificates, load_key, new_key, write_secret
from gateway.drivers.signers import SoftwareSigner

__all__ = ["Authority", "Issued"]

ROOT_NAME, EMAIL_CA_NAME = "Ceralacca Lab Root CA", "Ceralacca Lab E-mail CA"
ORGANISATION = "Ceralacca Lab"
SUBJECT_CN = "Posta Certificata"  # as in the examples of RFC 6109 5.5.1
LOOPBACK = ("localhost", "127.0.0.1", "::1")
BEFORE = timedelta(days=1)
CA_YEARS, LEAF_DAYS = 20, 820
EMAIL_PROTECTION = (ExtendedKeyUsageOID.EMAIL_PROTECTION,)

Provider = tuple[str, str]
"""A provider's name and the domain of its service address."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate, its key, and the certificates between it and the root."""

    key: PrivateKey
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def chain_pem(self) -> bytes:
        """The issuing CAs alone."""
        return b"".join(each.public_bytes(Encoding.PEM) for each in self.chain)

    @property
    def key_pem(self) -> bytes:
        return key_pem(self.key)

    def signer(self) -> SoftwareSigner:
        return SoftwareSigner(self.key, self.certificate, self.chain)


class Authority:
    """A root and an e-mail CA, and what they issue.

    Args:
        at: when everything that this object issues begins to be valid, less a day.
    """

    def __init__(self, root: Issued, email_ca: Issued, at: datetime) -> None:
        self.root = root
        self.email_ca = email_ca
        self._at = at

    @classmethod
    def create(cls, providers: Iterable[Provider], at: datetime) -> "Authority":
        """New CAs. The e-mail CA may certify these providers, by name and mail domain, and no others."""
        root_key = new_key(KeyKind.EC_P256)
        root_name = _name(ORGANISATION, ROOT_NAME)
        root = Issued(root_key, _ca(root_name, root_key, root_name, root_key, at, path_length=1))
        authority = cls(root, root, at)
        authority.permit(providers)
        return authority

    def permit(self, providers: Iterable[Provider], crl_url: str | None = None) -> None:
        """Issue the e-mail CA anew for these providers; its key and name stay, and so do certificates issued.

        Args:
            crl_url: where the root lists the authorities that it has taken back.
        """
        key = new_key(KeyKind.EC_P256) if self.email_ca is self.root else self.email_ca.key
        certificate = _ca(
            _name(ORGANISATION, EMAIL_CA_NAME),
            key,
            self.root.certificate.subject,
            self.root.key,
            self._at,
            path_length=0,
            constraints=x509.NameConstraints(_subtrees(providers), excluded_subtrees=None),
            crl_url=crl_url,
        )
        self.email_ca = Issued(key, certificate)

    def permits(self, providers: Iterable[Provider]) -> bool:
        """Whether the e-mail CA may certify these providers and no others."""
        found = self.email_ca.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        return set(found.permitted_subtrees or ()) == set(_subtrees(providers))

    @property
    def root_pem(self) -> bytes:
        return self.root.pem

    @property
    def email_ca_pem(self) -> bytes:
        """Root and intermediate, as ``openssl cms -verify -CAfile`` wants them."""
        return self.root.pem + self.email_ca.pem

    def provider_certificate(
        self,
        name: str,
        address: str,
        *,
        key: PrivateKey | None = None,
        lifetime: tuple[datetime, datetime] | None = None,
        usages: Sequence[x509.ObjectIdentifier] | None = EMAIL_PROTECTION,
        digital_signature: bool = True,
        crl_url: str | None = None,
        ocsp_url: str | None = None,
    ) -> Issued:
        """A signing certificate that meets the profile of RFC 6109 section 5.5, unless it is asked not to.

        Args:
            key: RSA-2048 made anew if left out, which takes a moment.
            lifetime: first and last instant of validity.
            usages: the extended key usage; None leaves the extension out.
            crl_url, ocsp_url: where one may ask whether it was revoked.
        """
        key = key or new_key(KeyKind.RSA_2048)
        builder = self._leaf(key, _name(name, SUBJECT_CN), self.email_ca, lifetime)
        builder = builder.add_extension(_key_usage(digital_signature=digital_signature), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
        if usages is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        builder = _with_sources(builder, crl_url, ocsp_url)
        return Issued(key, _signed(builder, self.email_ca.key), (self.email_ca.certificate,))

    def revocation_list(
        self, revoked: Iterable[Issued], at: datetime, *, until: datetime | None = None, issuer: Issued | None = None
    ) -> bytes:
        """The list (CRL) of the certificates that were taken back at ``at``, DER.

        Args:
            until: when the next one is promised; in a day if left out.
            issuer: the e-mail CA if left out.
        """
        issuer = issuer or self.email_ca
        builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.certificate.subject)
        builder = builder.last_update(at).next_update(until or at + BEFORE)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False
        )
        for each in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(each.certificate.serial_number).revocation_date(at)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.DER)

    def responder(self) -> Issued:
        """Who answers for the e-mail CA about its certificates (OCSP)."""
        key = new_key(KeyKind.EC_P256)
        builder = self._leaf(key, _name(ORGANISATION, "Ceralacca Lab Responder"), self.email_ca, None)
        builder = builder.add_extension(_key_usage(digital_signature=True), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
        builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)
        return Issued(key, _signed(builder, self.email_ca.key), (self.email_ca.certificate,))

    def tls_certificate(self, names: Sequence[str] = LOOPBACK) -> Issued:
        """A server certificate straight under the root, for host names and addresses."""
        key = new_key(KeyKind.EC_P256)
        builder = self._leaf(key, _name(ORGANISATION, names[0]), self.root, None)
        builder = builder.add_extension(_key_usage(digital_signature=True), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName(list(map(_host, names))), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        return Issued(key, _signed(builder, self.root.key))

    def client_certificate(self, name: str) -> Issued:
        """What a provider shows to fetch the index (RFC 6109 5.6); straight under the root."""
        key = new_key(KeyKind.EC_P256)
        builder = self._leaf(key, _name(name, "Ceralacca Lab Index Client"), self.root, None)
        builder = builder.add_extension(_key_usage(digital_signature=True), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        return Issued(key, _signed(builder, self.root.key))

    def index_signer(self, address: str = "index@lab.example") -> Issued:
        """Who signs the provider index; straight under the root."""
        key = new_key(KeyKind.EC_P256)
        builder = self._leaf(key, _name(ORGANISATION, "Ceralacca Lab Index"), self.root, None)
        builder = builder.add_extension(_key_usage(digital_signature=True), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(EMAIL_PROTECTION), critical=False)
        return Issued(key, _signed(builder, self.root.key))

    def time_stamper(self) -> Issued:
        """Who stamps time; straight under the root."""
        key = new_key(KeyKind.EC_P256)
        builder = self._leaf(key, _name(ORGANISATION, "Ceralacca Lab Time Stamps"), self.root, None)
        builder = builder.add_extension(_key_usage(digital_signature=True), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        return Issued(key, _signed(builder, self.root.key))

    def save(self, directory: Path) -> None:
        """Write both CAs, keys for their owner alone; what is there already is replaced."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, ca in (("root", self.root), ("email-ca", self.email_ca)):
            key_file = directory / f"{name}.key.pem"
            key_file.unlink(missing_ok=True)
            write_secret(key_file, ca.key_pem)
            (directory / f"{name}.pem").write_bytes(ca.pem)

    @classmethod
    def load(cls, directory: Path, at: datetime) -> "Authority":
        """Read what ``save`` wrote.

        Raises:
            KeyRefused: a file is missing or not as it should be.
        """
        root, email_ca = (
            Issued(load_key(directory / f"{name}.key.pem")[0], load_certificates(directory / f"{name}.pem")[0])
            for name in ("root", "email-ca")
        )
        return cls(root, email_ca, at)

    def _leaf(
        self, key: PrivateKey, subject: x509.Name, issuer: Issued, lifetime: tuple[datetime, datetime] | None
    ) -> x509.CertificateBuilder:
        start, end = lifetime or (self._at - BEFORE, self._at + timedelta(days=LEAF_DAYS))
        return _builder(subject, key, issuer.certificate.subject, issuer.key, start, end)


def _subtrees(providers: Iterable[Provider]) -> list[x509.GeneralName]:
    """Mail domain and name of each; a domain that cannot exist if there are none."""
    found: list[x509.GeneralName] = []
    for name, domain in providers:
        found += (x509.RFC822Name(domain), x509.DirectoryName(_name(name)))
    return found or [x509.RFC822Name("invalid")]


def _ca(
    subject: x509.Name,
    key: PrivateKey,
    issuer: x509.Name,
    issuer_key: PrivateKey,
    at: datetime,
    *,
    path_length: int,
    constraints: x509.NameConstraints | None = None,
    crl_url: str | None = None,
) -> x509.Certificate:
    builder = _builder(subject, key, issuer, issuer_key, at - BEFORE, at + timedelta(days=365 * CA_YEARS))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    builder = builder.add_extension(_key_usage(authority=True), critical=True)
    if constraints is not None:
        builder = builder.add_extension(constraints, critical=True)
    return _signed(_with_sources(builder, crl_url, None), issuer_key)


def _with_sources(
    builder: x509.CertificateBuilder, crl_url: str | None, ocsp_url: str | None
) -> x509.CertificateBuilder:
    if crl_url is not None:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl_url)], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
    if ocsp_url is not None:
        place = x509.UniformResourceIdentifier(ocsp_url)
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    return builder


def _builder(
    subject: x509.Name, key: PrivateKey, issuer: x509.Name, issuer_key: PrivateKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    """What every certificate has: names, validity, a serial, both key identifiers."""
    public = key.public_key()
    authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(authority_key, critical=False)
    )


def _signed(builder: x509.CertificateBuilder, key: PrivateKey) -> x509.Certificate:
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    return builder.sign(key, hashes.SHA256())


def _key_usage(*, digital_signature: bool = False, authority: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=not digital_signature and not authority,  # an empty key usage is not legal
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(organisation: str, common_name: str | None = None) -> x509.Name:
    attributes = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "IT"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
    ]
    if common_name is not None:
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(attributes)


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
