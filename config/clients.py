"""What mail programs are told when they set an account up by themselves."""

from typing import Annotated

from pydantic import Field

from config.section import Section
from config.values import HIGHEST_PORT

__all__ = ["ClientSettings"]

Port = Annotated[int, Field(ge=1, le=HIGHEST_PORT)]


class ClientSettings(Section):
    """What mail programs are told when they set an account up by themselves.

    Ports are those of `[listen]`, unless holders reach them under other numbers.
    """

    host: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """Host name under which holders reach the servers; the TLS certificate must carry it.
    Left out: the domain of the provider."""

    display_name: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    """How programs call the account's provider. Left out: the name of the provider."""

    help_at: Annotated[str, Field(pattern=r"^https://[!-~]{1,500}$")] | None = None
    """Address of the page where holders ask for device passwords, told on the page that helps them to set a program up.
    Left out: they are told to ask the provider."""

    submission_port: Port | None = None
    """Submission with STARTTLS, as holders see it."""

    submissions_port: Port | None = None
    """Submission in TLS, as holders see it."""

    imaps_port: Port | None = None
    """IMAP in TLS, as holders see it."""

    pop3s_port: Port | None = None
    """POP3 in TLS, as holders see it."""

    managesieve_port: Port | None = None
    """ManageSieve with STARTTLS, as holders see it."""

    https_port: Port | None = None
    """HTTPS, as holders see it."""
