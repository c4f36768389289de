"""The settings of mail servers that keep boxes of ours."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, Strict, model_validator

from config.section import Section
from config.values import HIGHEST_PORT, LocalPath, Positive

__all__ = ["ElsewhereSettings", "StoreSettings"]

_PLACES = re.compile(r"\{(address|local|domain)\}")


def _user(value: str) -> str:
    rest = _PLACES.sub("", value)
    if "{" in rest or "}" in rest or not value.isprintable():
        raise ValueError('must be a text with {address}, {local} or {domain} in it, as in "{address}*ceralacca"')
    return value


class StoreSettings(Section):
    """A mail server that keeps boxes of ours, spoken to by IMAP in TLS from the first byte.

    `ceralacca domain store` and `ceralacca account store` say whose boxes it keeps.
    """

    name: Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    """How the commands, the log and the alarms call it. Boxes are bound to it by this name: do not change it."""

    host: Annotated[str, Field(min_length=1)]
    """Host name or address of the server; the name its certificate must carry."""

    port: Annotated[int, Field(ge=1, le=HIGHEST_PORT)] = 993
    """Port of the server."""

    ca_file: LocalPath | None = None
    """PEM file with the authorities of its certificate. Left out: those of the operating system."""

    user: Annotated[str, AfterValidator(_user)] = "{address}"
    """The user name there, with `{address}`, `{local}` and `{domain}` for those of the box.
    `{address}*ceralacca` is Dovecot's form for a master user of that name."""

    password_file: LocalPath | None = None
    """File whose first line is the password of all boxes there, as a master user has it; read at every sign-in.
    Nobody but its owner may read it."""

    passwords_file: LocalPath | None = None
    """File with a line `address:password` for each box instead; read at every sign-in.
    Nobody but its owner may read it."""

    inbox: Annotated[str, Field(min_length=1)] = "INBOX"
    """The folder that certified and ordinary mail goes to."""

    receipts: Annotated[str, Field(min_length=1)] = "Ricevute"
    """The folder that acceptance and delivery receipts go to, made if it is missing; it may be the same one."""

    connections: Annotated[int, Field(ge=1, le=100)] = 4
    """Connections to it at the same time."""

    patience_hours: Annotated[int, Field(ge=1, le=20)] = 18
    """How long an envelope waits for a server that is away or refuses, before its sender is told that it was not
    delivered: before that provider's own notice, which comes after 22 hours."""

    @model_validator(mode="after")
    def _one_kind_of_password(self) -> Self:
        if (self.password_file is None) == (self.passwords_file is None):
            raise ValueError("a store needs password_file or passwords_file, and not both")
        return self


class ElsewhereSettings(Section):
    """Mail servers of your own that keep boxes instead of this one."""

    answer_seconds: Positive = 30
    """How long one answer of such a server may take."""

    stores: Annotated[tuple[StoreSettings, ...], Strict(False)] = ()
    """The servers: one `[[elsewhere.stores]]` table each."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [store.name for store in self.stores]
        if len(names) != len(set(names)):
            raise ValueError("two stores have the same name")
        return self
