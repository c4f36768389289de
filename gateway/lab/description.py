"""``lab.json``: what any program needs to join in. Fields are added over time, never renamed or removed."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.lab.files import write_private
from gateway.lab.network import Layout
from gateway.lab.ordinary import ORDINARY_DOMAIN
from gateway.lab.plan import AccountPlan, LabPlan, ProviderPlan

__all__ = ["VERSION", "description_file", "write_description"]

VERSION = 1
INDEX_NAME = "index.ldif.p7m"


def description_file(layout: Layout) -> Path:
    return layout.folder / "lab.json"


def write_description(
    layout: Layout,
    plan: LabPlan,
    pids: Mapping[str, int],
    commands: Mapping[str, Sequence[str]],
    *,
    client_certificates: bool = False,
    antivirus: bool = False,
    timestamps: str | None = None,
) -> None:
    """Write it by rename, for its owner alone: it holds passwords.

    Args:
        pids, commands: the process of each provider by domain.
        client_certificates: the index is for those alone who show one.
        antivirus: the providers scan.
        timestamps: the URL of the time-stamp authority, if there is one.
    """
    lab = {
        "version": VERSION,
        "providers": [
            _provider(layout, one, pids[one.domain], commands[one.domain])
            | {"clamd_socket": str(layout.clamd_socket(plan, one)) if antivirus else None}
            for one in plan.providers
        ],
        "accounts": [_account(account) for provider in plan.providers for account in provider.accounts],
        "ca_file": str(layout.ca_file),
        "email_ca_file": str(layout.email_ca_file),
        "index": {
            "url": f"https://localhost:{plan.providers[0].ports['https']}/{INDEX_NAME}",
            "file": str(layout.index_file),
            "signer_ca_file": str(layout.ca_file),
            "client_cert_file": str(layout.client_certificate) if client_certificates else None,
            "client_key_file": str(layout.client_key) if client_certificates else None,
        },
        "ordinary": {"domain": ORDINARY_DOMAIN, "smtp": plan.ordinary_port, "maildir": str(layout.maildir)},
        "timestamps": None if timestamps is None else {"url": timestamps, "ca_file": str(layout.ca_file)},
    }
    write_private(description_file(layout), (json.dumps(lab, indent=1) + "\n").encode())


def _provider(layout: Layout, provider: ProviderPlan, pid: int, command: Sequence[str]) -> dict[str, object]:
    files = layout.provider(provider)
    return {
        "name": provider.name,
        "domain": provider.domain,
        "service_address": provider.service.address,
        "service_account": _account(provider.service),
        "pid": pid,
        "command": list(command),
        "data_dir": str(files.data),
        "config_file": str(files.config),
        "log_file": str(files.log),
        "host": "localhost",
        "ports": provider.ports,
    }


def _account(account: AccountPlan) -> dict[str, str]:
    return {"address": account.address, "password": account.password}
