"""The settings of what is asked about revoked certificates."""

from typing import Annotated, Literal

from pydantic import Field

from config.section import Section

__all__ = ["RevocationSettings"]


class RevocationSettings(Section):
    """Whether the signing certificates of providers, and our own, were taken back by their authorities.

    Lists (CRL) and answers (OCSP) are fetched ahead from where the certificates say, never while a message waits.
    """

    check: bool = True
    """Whether anything is fetched and judged. Off: a certificate that stands in the index is believed."""

    stale: Literal["accept", "defer"] = "accept"
    """When no authority can be asked and the last word is too old: `accept` the signature, with an alarm,
    or `defer` the message (451) until it is known."""

    refresh_hours: Annotated[int, Field(ge=1, le=24)] = 6
    """How often each list or answer is fetched at least; sooner when the next one is promised sooner."""

    private_addresses: bool = False
    """Whether certificates may send us to addresses of this machine or its network."""

    alarm_expiry_days: Annotated[int, Field(ge=1)] = 30
    """How long before our own signing certificate ends there is an alarm. Ended or revoked, it signs no more."""
