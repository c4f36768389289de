"""The settings of the provider index: where it comes from, who signs it, and what of ours is published."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from config.section import Section
from config.values import LocalPath, Positive

__all__ = ["IndexSettings"]


def _https_url(value: str) -> str:
    if not value.startswith("https://") or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError('must be an https URL, as in "https://index.example/index.ldif.p7m"')
    return value


HttpsUrl = Annotated[str, AfterValidator(_https_url)]


class IndexSettings(Section):
    """The signed index of the certified providers. Read again when the file changes, and on SIGHUP."""

    file: LocalPath
    """The index as its authority publishes it: LDIF inside a signature, in DER (`.p7m`)."""

    signer_ca_file: LocalPath
    """PEM file with the authorities under which the signer of the index must stand."""

    url: HttpsUrl | None = None
    """Where the index is fetched from, over HTTPS. Left out: something else puts the file in place."""

    ca_file: LocalPath | None = None
    """PEM file with the authorities of that server's certificate. Left out: those of the operating system."""

    client_certificate_file: LocalPath | None = None
    """PEM file with the certificate that we show to that server, then its issuers."""

    client_key_file: LocalPath | None = None
    """PEM file with its private key; nobody but its owner may read it."""

    refresh_hours: Annotated[int, Field(ge=1, le=24)] = 24
    """How often the index is fetched; the rules want it daily. A little earlier each time, not all at one moment."""

    alarm_after_hours: Positive = 48
    """An index that was not fetched, or put in place, for so long is an alarm; it stays in use."""

    alarm_signed_days: Positive = 30
    """An index that was signed longer ago is an alarm; it stays in use."""

    publish: bool = False
    """Whether `/index.ldif.p7m` on the HTTPS port serves this file to others."""

    record_file: LocalPath | None = None
    """Our own record, signed by us (`ceralacca index publish` writes it).
    The HTTPS port serves it as `/record.ldif.p7m`."""

    record_url: HttpsUrl | None = None
    """Where others fetch our record: what stands in it as `LDIFLocationURL`."""

    client_ca_file: LocalPath | None = None
    """PEM file with the authorities of those who may fetch what we publish: the HTTPS port asks for a
    certificate of theirs and gives index and record to nobody else. Left out: to everybody."""

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        if (self.client_certificate_file is None) != (self.client_key_file is None):
            raise ValueError("client_certificate_file and client_key_file belong together")
        return self
