"""The annotated configuration file that ``ceralacca example-config`` prints."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from config.elsewhere import StoreSettings
from config.settings import RouteSettings, Settings
from config.values import Endpoint

__all__ = ["SAMPLES", "TABLES", "about", "example_toml", "sections", "toml_value"]

TABLES: Mapping[str, type[BaseModel]] = {"relay.routes": RouteSettings, "elsewhere.stores": StoreSettings}
"""Settings that are lists of tables, and what one of them is."""

SAMPLES: Mapping[str, str | int] = {  # values for what has no default, by the dotted key
    "provider.name": "Alfa PEC",
    "provider.domain": "alfa.example",
    "provider.service_address": "posta-certificata@alfa.example",
    "tls.certificate_file": "tls.pem",
    "tls.key_file": "tls.key",
    "signing.key_file": "signing.key",
    "signing.certificate_file": "signing.pem",
    "signing.chain_file": "signing-chain.pem",
    "signing.password_file": "signing.password",
    "signing.token_module": "/usr/lib/softhsm/libsofthsm2.so",
    "signing.token_label": "pec",
    "signing.token_key": "sign",
    "trust.ca_file": "roots.pem",
    "index.file": "index.ldif.p7m",
    "index.signer_ca_file": "index-ca.pem",
    "authentication.authserv_id": "alfa.example",
    "dkim.folder": "/var/lib/ceralacca/dkim",
    "policy.notice_address": "avvisi@alfa.example",
    "index.url": "https://index.example/index.ldif.p7m",
    "index.ca_file": "index-server-ca.pem",
    "index.client_certificate_file": "index-client.pem",
    "index.client_key_file": "index-client.key",
    "index.record_file": "record.ldif.p7m",
    "index.record_url": "https://pec.alfa.example/record.ldif.p7m",
    "index.client_ca_file": "index-clients-ca.pem",
    "notices.read_at": "https://posta.alfa.example/",
    "relay.tls_ca_file": "roots-tls.pem",
    "relay.routes.domain": "beta.example",
    "relay.routes.host": "mx.beta.example",
    "relay.routes.tls": "verify",
    "relay.routes.tls_ca_file": "beta-ca.pem",
    "clients.host": "mail.alfa.example",
    "clients.display_name": "Alfa PEC",
    "clients.help_at": "https://posta.alfa.example/devices",
    "clients.submission_port": 587,
    "clients.submissions_port": 465,
    "clients.imaps_port": 993,
    "clients.pop3s_port": 995,
    "clients.managesieve_port": 4190,
    "clients.https_port": 443,
    "elsewhere.stores.name": "sede",
    "elsewhere.stores.host": "imap.alfa.example",
    "elsewhere.stores.ca_file": "imap-ca.pem",
    "elsewhere.stores.user": "{address}*ceralacca",
    "elsewhere.stores.password_file": "imap.password",
    "antivirus.socket": "/run/clamav/clamd.ctl",
    "legal_register.tsa_ca_file": "tsa-ca.pem",
    "log.file": "/var/log/ceralacca/gateway.log",
}
SHOWN_BY_DEFAULT = frozenset({"signing.key_file", "signing.certificate_file"})  # what most installations need to set

INSTEAD = frozenset({"elsewhere.stores.passwords_file"})  # stand for another key, and never beside it

HEADER = """\
# Configuration of one Ceralacca provider.
#
# A line that begins with "# " and a key shows a default or a sample: remove the "# " to change it.
# Relative file names start in the folder of this file. 1 MB is 1,000,000 bytes.
# Every key can be set by the environment, which wins: CERALACCA_LIMITS__MAX_RECIPIENTS=200; lists are JSON there.
# "ceralacca check-config --config FILE" names everything that is wrong with a file, with its line.
"""


def example_toml() -> str:
    """Every setting with its meaning and its default, ready to be filled in."""
    parts = [HEADER]
    for name, model, _ in sections():
        parts.append(f"\n{_comment(about(model))}[{name}]\n")
        tables = ""
        for key, field in model.model_fields.items():
            if f"{name}.{key}" in TABLES:
                tables = _example_tables(f"{name}.{key}", field)
            else:
                parts.append(f"{_comment(field.description or '')}{_example_line(f'{name}.{key}', field)}\n")
        parts.append(tables)
    return "".join(parts).replace("\n\n\n", "\n\n")


def sections() -> Iterator[tuple[str, type[BaseModel], bool]]:
    """Name and model of every section, and whether it may not be left out."""
    for name, field in Settings.model_fields.items():
        yield name, cast("type[BaseModel]", field.annotation), field.is_required()


def about(model: type[BaseModel]) -> str:
    """What the docstring of a section says, without its indentation."""
    return "\n".join(line.strip() for line in (model.__doc__ or "").strip().splitlines())


def _comment(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())


def _example_line(dotted: str, field: FieldInfo) -> str:
    key = dotted.rpartition(".")[2]
    mark = "" if field.is_required() or dotted in SHOWN_BY_DEFAULT else "# "
    return f"{mark}{key} = {toml_value(_value(dotted, field))}\n"


def _example_tables(name: str, field: FieldInfo) -> str:
    lines = [_comment(field.description or ""), f"# [[{name}]]\n"]
    for key, inner in TABLES[name].model_fields.items():
        if f"{name}.{key}" in INSTEAD:
            continue
        about = (inner.description or "").replace("\n", "\n# ")
        lines.append(f"# # {about}\n".replace("\n# ", "\n# # "))
        lines.append(f"# {key} = {toml_value(_value(f'{name}.{key}', inner))}\n")
    return "".join(lines)


def _value(dotted: str, field: FieldInfo) -> Any:
    if dotted in SAMPLES:
        return SAMPLES[dotted]
    if field.default is PydanticUndefined or field.default is None:
        raise ValueError(f"{dotted} has neither default nor sample")
    return field.default


def toml_value(value: Any) -> str:
    """A default as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:_}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, str | Path | Endpoint):
        return json.dumps(str(value))
    raise TypeError(f"no TOML form for {type(value).__name__}")
