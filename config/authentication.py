"""How the origin of ordinary mail is looked into, and how mail to ordinary addresses is signed."""

from typing import Annotated

from pydantic import Field

from config.section import Section
from config.values import Domain, Listeners, LocalPath

__all__ = ["AuthenticationSettings", "DkimSettings"]


class AuthenticationSettings(Section):
    """The origin of ordinary mail: SPF, DKIM and DMARC. They are shown to the reader and refuse nothing."""

    check: bool = True
    """Whether it is looked into. In a closed network (`relay.closed`) only with name servers of its own."""

    authserv_id: Domain | None = None
    """By which name the verdicts are known in `Authentication-Results`. Left out: the provider's domain."""

    nameservers: Listeners = ()
    """Name servers to ask, as "address:port". Left out: those of the machine."""

    max_seconds: Annotated[int, Field(ge=1, le=60)] = 10
    """How long a message waits for all answers; what is not known by then is called a temporary error."""


class DkimSettings(Section):
    """Signatures (DKIM) on mail that leaves for ordinary addresses."""

    folder: LocalPath | None = None
    """Folder of the keys that `ceralacca domain dkim` makes: the same files on every node. Left out: not signed."""
