"""What a lab consists of: names, domains, ports and passwords, drawn once and kept with its folder."""

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway.lab.files import write_private
from gateway.lab.ports import FreePorts

__all__ = ["MAX_PROVIDERS", "SERVICES", "AccountPlan", "LabPlan", "NoPlan", "ProviderPlan", "kept_plan", "load_or_draw"]

LETTERS = ("alfa", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "sigma")
MAX_PROVIDERS = len(LETTERS)
PEOPLE = ("anna", "bruno", "carla", "dario", "elena", "fabio", "gina", "hugo", "ines", "luca")
SERVICES = ("submission", "submissions", "smtp", "imap", "imaps", "pop3", "pop3s", "managesieve", "https")
PLAN_FILE = "plan.json"


class NoPlan(ValueError):
    """The folder holds a plan that cannot be read; the text names the file."""


@dataclass(frozen=True, slots=True)
class AccountPlan:
    address: str
    password: str


@dataclass(frozen=True, slots=True)
class ProviderPlan:
    name: str
    domain: str
    ports: dict[str, int]
    service: AccountPlan
    accounts: tuple[AccountPlan, ...]

    @property
    def label(self) -> str:
        """The first label of its domain: the name of its folder."""
        return self.domain.partition(".")[0]


@dataclass(frozen=True, slots=True)
class LabPlan:
    providers: tuple[ProviderPlan, ...]
    ordinary_port: int


def load_or_draw(folder: Path, *, providers: int, accounts: int, first_port: int | None = None) -> LabPlan:
    """The plan kept in ``folder``, or a new one, which is kept there.

    A kept plan is grown to what is asked for, never shrunk: what was handed out stays good.

    Args:
        first_port: where the ports of what is new begin; free ones at random if left out.

    Raises:
        NoPlan: see above.
        OSError: there is no free port, or the folder cannot be written.
    """
    kept = kept_plan(folder)
    ports = FreePorts(_ports_of(kept), first_port)
    old = {one.domain: one for one in kept.providers} if kept else {}
    try:
        ordinary_port = kept.ordinary_port if kept else ports.take()
        plans = tuple(
            _provider(letter, accounts, old.get(_domain(letter)), ports)
            for letter in LETTERS[: max(providers, len(old))]
        )
    finally:
        ports.release()
    plan = LabPlan(plans, ordinary_port)
    write_private(folder / PLAN_FILE, json.dumps(asdict(plan), indent=1).encode())
    return plan


def _ports_of(plan: LabPlan | None) -> set[int]:
    if plan is None:
        return set()
    return {plan.ordinary_port, *(port for one in plan.providers for port in one.ports.values())}


def _provider(letter: str, accounts: int, old: ProviderPlan | None, ports: FreePorts) -> ProviderPlan:
    domain = _domain(letter)
    known = old.accounts if old else ()
    grown = (AccountPlan(f"{_person(n)}@{domain}", _password()) for n in range(len(known), accounts))
    return ProviderPlan(
        name=f"{letter.capitalize()} PEC",
        domain=domain,
        ports={service: _port(service, old) or ports.take() for service in SERVICES},
        service=old.service if old else AccountPlan(f"posta-certificata@{domain}", _password()),
        accounts=(*known, *grown),
    )


def _port(service: str, old: ProviderPlan | None) -> int | None:
    """The port of a service in a kept plan, which may be older than the service."""
    return old.ports.get(service) if old else None


def _domain(letter: str) -> str:
    return f"{letter}.example"


def _person(number: int) -> str:
    turn, which = divmod(number, len(PEOPLE))
    return PEOPLE[which] if not turn else f"{PEOPLE[which]}{turn + 1}"


def _password() -> str:
    """Letters and digits: programs take what begins with "-" for an option."""
    return secrets.token_hex(10)


def kept_plan(folder: Path) -> LabPlan | None:
    """The plan kept in ``folder``, if there is one.

    Raises:
        NoPlan: see above.
    """
    file = folder / PLAN_FILE
    if not file.exists():
        return None
    try:
        return _read(json.loads(file.read_bytes()))
    except (ValueError, KeyError, TypeError) as error:
        raise NoPlan(f"{file}: this is not the plan of a lab; name another folder with --dir") from error


def _read(raw: dict[str, Any]) -> LabPlan:
    return LabPlan(
        tuple(
            ProviderPlan(
                one["name"],
                one["domain"],
                {service: int(port) for service, port in one["ports"].items() if service in SERVICES},
                AccountPlan(**one["service"]),
                tuple(AccountPlan(**account) for account in one["accounts"]),
            )
            for one in raw["providers"]
        ),
        int(raw["ordinary_port"]),
    )
