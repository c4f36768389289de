"""What a lab consists of: names, domains, ports and passwords, drawn once and kept with its folder."""

import json
import secrets
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway.lab.files import write_private

__all__ = ["MAX_PROVIDERS", "AccountPlan", "LabPlan", "ProviderPlan", "load_or_draw"]

LETTERS = ("alfa", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "sigma")
MAX_PROVIDERS = len(LETTERS)
PEOPLE = ("anna", "bruno", "carla", "dario", "elena", "fabio", "gina", "hugo", "ines", "luca")
SERVICES = ("submission", "submissions", "smtp", "pop3", "pop3s", "https")
PLAN_FILE = "plan.json"
LOWEST_PORT, HIGHEST_PORT = 20_000, 32_000
TRIES = 1_000


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


def load_or_draw(folder: Path, *, providers: int, accounts: int) -> LabPlan:
    """The plan kept in ``folder``, or a new one, which is kept there.

    A kept plan of another size is grown, never shrunk: what was handed out stays good.
    """
    kept = _load(folder / PLAN_FILE)
    ports = _FreePorts(
        {kept.ordinary_port, *(p for one in kept.providers for p in one.ports.values())} if kept else set()
    )
    old = {one.domain: one for one in kept.providers} if kept else {}
    plans = []
    for letter in LETTERS[: max(providers, len(old))]:
        domain = f"{letter}.example"
        plans.append(_provider(letter, domain, accounts, old.get(domain), ports))
    plan = LabPlan(tuple(plans), kept.ordinary_port if kept else ports.take())
    ports.release()
    write_private(folder / PLAN_FILE, json.dumps(asdict(plan), indent=1).encode())
    return plan


def _provider(letter: str, domain: str, accounts: int, old: ProviderPlan | None, ports: "_FreePorts") -> ProviderPlan:
    known = old.accounts if old else ()
    grown = [AccountPlan(f"{_person(n)}@{domain}", _password()) for n in range(len(known), accounts)]
    return ProviderPlan(
        name=f"{letter.capitalize()} PEC",
        domain=domain,
        ports=old.ports if old else {service: ports.take() for service in SERVICES},
        service=old.service if old else AccountPlan(f"posta-certificata@{domain}", _password()),
        accounts=(*known, *grown),
    )


def _person(number: int) -> str:
    turn, which = divmod(number, len(PEOPLE))
    return PEOPLE[which] if not turn else f"{PEOPLE[which]}{turn + 1}"


def _password() -> str:
    return secrets.token_urlsafe(12)


def _load(file: Path) -> LabPlan | None:
    if not file.exists():
        return None
    raw: dict[str, Any] = json.loads(file.read_text())
    return LabPlan(
        tuple(
            ProviderPlan(
                one["name"],
                one["domain"],
                one["ports"],
                AccountPlan(**one["service"]),
                tuple(AccountPlan(**account) for account in one["accounts"]),
            )
            for one in raw["providers"]
        ),
        raw["ordinary_port"],
    )


class _FreePorts:
    """Ports free on loopback, held until all are drawn so that none is drawn twice.

    They lie below the range from which the system takes ports for outgoing connections, so that a provider that
    is started again finds its port free.
    """

    def __init__(self, taken: set[int]) -> None:
        self._taken = taken
        self._held: list[socket.socket] = []

    def take(self) -> int:
        for _ in range(TRIES):
            port = LOWEST_PORT + secrets.randbelow(HIGHEST_PORT - LOWEST_PORT)
            if port not in self._taken and self._hold(port):
                self._taken.add(port)
                return port
        raise OSError(f"no free port between {LOWEST_PORT} and {HIGHEST_PORT} on 127.0.0.1")

    def release(self) -> None:
        for probe in self._held:
            probe.close()

    def _hold(self, port: int) -> bool:
        probe = socket.socket()
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            probe.close()
            return False
        self._held.append(probe)
        return True
