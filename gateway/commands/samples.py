"""``ceralacca lab emit``: real samples of every kind of certified message, for those who write clients."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from gateway.commands.reasons import reason_of
from gateway.drivers.signers import load_signer
from gateway.drivers.sources import Ids, RandomIds, legal_time
from gateway.flows.issue import Identity, Issuer
from gateway.lab.network import Layout, prepare_keys
from gateway.lab.plan import LabPlan, NoPlan, ProviderPlan, kept_plan, load_or_draw
from gateway.lab.running import FolderInUse, locked
from gateway.lab.samples import SAMPLES, Correspondence
from receipts.errors import GatewayError

__all__ = ["emit"]

ALL = "all"
ZONE = ZoneInfo("Europe/Rome")
PROVIDERS, ACCOUNTS = 2, 3


def emit(
    kind: Annotated[
        str, typer.Argument(help='What to write: a name that --list shows, T1 to T11, or "all".', show_default=False)
    ] = "",
    *,
    to: Annotated[
        Path | None, typer.Option("--to", help='The file; a folder for "all". Left out: standard output.')
    ] = None,
    folder: Annotated[Path, typer.Option("--dir", help="The lab whose keys seal it; made if there is none.")] = Path(
        "lab-data"
    ),
    list_kinds: Annotated[bool, typer.Option("--list", help="Show what there is, and write nothing.")] = False,
) -> None:
    """Write a real, sealed sample of any kind of certified message. No lab need run.

    All samples are about one message, whose sealed facts differ at each call. They are as they stand in a mailbox.

    They verify with: openssl cms -verify -CAfile DIR/email-ca.pem -in FILE
    """
    if list_kinds:
        typer.echo("\n".join(f"{name:<22}{sample.number:<5}{sample.title}" for name, sample in SAMPLES.items()))
        return
    names = _chosen(kind)
    if kind == ALL and to is None:
        raise _refuse('"all" needs --to FOLDER')
    try:
        made = _made(names, folder.absolute())
        if kind == ALL and to is not None:
            to.mkdir(parents=True, exist_ok=True)
            for name, message in made.items():
                (to / f"{name}.eml").write_bytes(message)
        else:
            _write(next(iter(made.values())), to)
    except (NoPlan, GatewayError, OSError) as error:
        raise _refuse(reason_of(error)) from None


def _chosen(kind: str) -> tuple[str, ...]:
    """The samples that a word names."""
    if kind == ALL:
        return tuple(SAMPLES)
    if kind in SAMPLES:
        return (kind,)
    numbered = [name for name, sample in SAMPLES.items() if sample.number == kind.upper()]
    if not numbered:
        raise _refuse(f'{kind or "no kind"}: there is no such sample; "ceralacca lab emit --list" shows all')
    return (numbered[0],)


def _made(names: tuple[str, ...], folder: Path) -> Mapping[str, bytes]:
    plan = _plan(folder)
    ids = RandomIds()
    sender, receiver = (_issuer(Layout(folder), provider, ids) for provider in plan.providers[:2])
    anna, bruno, carla = (
        plan.providers[0].accounts[0].address,
        *(f"{name}@{plan.providers[1].domain}" for name in ("bruno", "carla")),
    )
    talk = Correspondence(sender, receiver, (anna, bruno, carla), ids, legal_time(datetime.now(UTC), ZONE))
    return {name: SAMPLES[name].make(talk).read() for name in names}


def _plan(folder: Path) -> LabPlan:
    """The lab in the folder, with its keys; one that runs has them."""
    try:
        with locked(folder):
            kept = kept_plan(folder)
            providers = max(PROVIDERS, len(kept.providers) if kept else 0)
            plan = load_or_draw(folder, providers=providers, accounts=ACCOUNTS)
            prepare_keys(Layout(folder), plan)
            return plan
    except FolderInUse:
        running = kept_plan(folder)
        if running is None or len(running.providers) < PROVIDERS:
            raise
        return running


def _issuer(layout: Layout, provider: ProviderPlan, ids: Ids) -> Issuer:
    files = layout.provider(provider)
    identity = Identity(name=provider.name, domain=provider.domain, service_address=provider.service.address)
    return Issuer(identity, load_signer(files.signing_key, files.signing_certificate, files.chain), ids)


def _write(message: bytes, to: Path | None) -> None:
    if to is None:
        sys.stdout.buffer.write(message)
        sys.stdout.buffer.flush()
    else:
        to.write_bytes(message)


def _refuse(why: str) -> typer.Exit:
    typer.echo(f"ceralacca lab emit: {why}", err=True)
    return typer.Exit(1)
