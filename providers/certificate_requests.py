"""The request for a provider's certificate (PKCS#10), with all that the profile of RFC 6109 section 5.5 asks for."""

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["signing_request"]

COMMON_NAME = "Posta Certificata"  # as in the examples of 5.5.1
MAX_NAME = 64  # RFC 5280 appendix A: ub-organization-name


def signing_request(provider_name: str, address: str, country: str = "IT") -> x509.CertificateSigningRequestBuilder:
    """Subject, alternative name and usages; the key signs it (CRT-01 to CRT-03, CRT-06).

    The key identifiers are the authority's to add, and so is everything else.

    Raises:
        ValueError: the name is empty or too long, or the country has not two letters.
    """
    if not 1 <= len(provider_name) <= MAX_NAME:
        raise ValueError(f"the provider's name has 1 to {MAX_NAME} characters in a certificate")
    if len(country) != 2 or not country.isalpha() or not country.isascii():
        raise ValueError("a country has two letters")
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, country.upper()),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, provider_name),
            x509.NameAttribute(NameOID.COMMON_NAME, COMMON_NAME),
        ]
    )
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(subject)
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    )
