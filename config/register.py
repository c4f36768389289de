"""The legal register: when its days are closed, who stamps them, how long they are kept."""

from typing import Annotated, Self

from pydantic import Field, Strict, model_validator

from config.section import Section
from config.values import LocalPath, Positive

__all__ = ["RegisterSettings"]

HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s/]+(/\S*)?$", max_length=2_000)]


class RegisterSettings(Section):
    """The legal register.

    Every day is closed: signed with the provider's key, and stamped by a time-stamp authority.
    """

    closed_after_hours: Annotated[int, Field(ge=0, le=23)] = 1
    """How long after midnight, in legal time, a day is closed."""

    tsa_urls: Annotated[tuple[HttpUrl, ...], Strict(False)] = ()
    """Time-stamp authorities (RFC 3161 over HTTP), asked in this order until one answers.
    Empty: closed days are signed, but nobody else attests their time."""

    tsa_ca_file: LocalPath | None = None
    """PEM file with the certificates of the authorities under which the time stamps stand. Needed with `tsa_urls`."""

    tsa_seconds: Positive = 30
    """How long to wait for one time stamp."""

    retention_months: Annotated[int, Field(ge=30)] = 30
    """How long rows are kept. The law's floor is 30 months; what was signed about them stays for good."""

    @model_validator(mode="after")
    def _stamps_can_be_checked(self) -> Self:
        if self.tsa_urls and self.tsa_ca_file is None:
            raise ValueError("tsa_urls needs tsa_ca_file: a time stamp that cannot be checked is none")
        return self
