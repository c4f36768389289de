"""Providers as operators run them: ``ceralacca serve`` in a process of its own, with a configuration in files."""

import contextlib
import json
import os
import signal
import smtplib
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.drivers.configuration import read_settings
from gateway.lab.network import Layout, ProviderFiles, prepare
from gateway.lab.plan import AccountPlan, LabPlan, ProviderPlan, load_or_draw
from gateway.storage.engine import Storage
from tests.lab.boxes import Mailbox
from tests.lab.labs import COMMAND, letter
from tests.lab.waiting import until

__all__ = ["Network", "Provider", "Served", "letter", "network"]

ANSWER_SECONDS = 180


class Served:
    """A ``ceralacca serve`` that was started."""

    def __init__(self, process: subprocess.Popen[bytes], errors: Path) -> None:
        self.process = process
        self._errors = errors

    @property
    def said(self) -> str:
        """Everything it wrote, log and all."""
        return self._errors.read_text()

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The lines of its log."""
        lines = [json.loads(line) for line in self.said.splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in lines if name is None or line["event"] == name]

    def event(self, name: str, holds: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The first such line, as soon as it is there."""

        def look() -> dict[str, Any] | None:
            assert self.process.poll() is None or self.events(name), f"it ended: {self.said[-3000:]}"
            return next(filter(holds, self.events(name)), None)

        return until(look, f"{name!r} in the log", seconds=ANSWER_SECONDS)

    def hang_up(self) -> dict[str, Any]:
        """SIGHUP; what it says when it has reloaded."""
        before = len(self.events("reloaded"))
        self.process.send_signal(signal.SIGHUP)
        until(lambda: len(self.events("reloaded")) > before, "end of the reload")
        return self.events("reloaded")[-1]

    def stop(self, seconds: float = 90) -> int:
        """SIGTERM, and its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


class Provider:
    """One provider of a network on disk."""

    def __init__(self, layout: Layout, plan: ProviderPlan) -> None:
        self.layout = layout
        self.plan = plan

    @property
    def files(self) -> ProviderFiles:
        return self.layout.provider(self.plan)

    @property
    def config(self) -> Path:
        return self.files.config

    @property
    def ports(self) -> dict[str, int]:
        return self.plan.ports

    def account(self, name: str) -> AccountPlan:
        """An account by its local part; "posta-certificata" is the service mailbox."""
        accounts = (*self.plan.accounts, self.plan.service)
        return next(one for one in accounts if one.address.partition("@")[0] == name)

    def command(self, name: str = "serve", *arguments: str) -> list[str]:
        return [*COMMAND, name, "--config", str(self.config), *arguments]

    @contextmanager
    def starting(self, **environment: str) -> Iterator[Served]:
        """A process, from its first instruction on. It is dead at the end."""
        errors = self.files.folder / f"served-{len(list(self.files.folder.glob('served-*')))}.log"
        with errors.open("wb") as stream:
            process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            )
        try:
            yield Served(process, errors)
        finally:
            process.kill()
            process.wait()

    @contextmanager
    def serving(self, **environment: str) -> Iterator[Served]:
        """A process that serves. ``environment`` goes over the configuration."""
        with self.starting(**environment) as served:
            served.event("serving")
            yield served

    def refused(self, **environment: str) -> tuple[int, str]:
        """Exit code and words of a process that must not start."""
        with self.starting(**environment) as served:
            return served.process.wait(ANSWER_SECONDS), served.said

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.layout.ca_file))

    @contextmanager
    def submission(
        self, sender: str = "anna", *, port: int | None = None, password: str | None = None
    ) -> Iterator[smtplib.SMTP_SSL]:
        """A session on which ``sender`` has signed in."""
        account = self.account(sender)
        port = port or self.ports["submissions"]
        client = smtplib.SMTP_SSL("localhost", port, context=self.context(), timeout=ANSWER_SECONDS)
        try:
            client.login(account.address, password or account.password)
            yield client
        finally:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                client.quit()
            client.close()

    def send(self, *to: str, subject: str = "prova", text: str = "ciao\n", port: int | None = None) -> str:
        """Hand a message from anna in; its Message-ID."""
        message = letter(self.account("anna").address, to=to, subject=subject, text=text)
        with self.submission(port=port) as client:
            assert client.send_message(message) == {}
        return str(message["Message-ID"])

    @contextmanager
    def incoming(self) -> Iterator[smtplib.SMTP]:
        """A session on port 25, as from another server."""
        client = smtplib.SMTP("localhost", self.ports["smtp"], timeout=ANSWER_SECONDS)
        try:
            client.ehlo("mx.elsewhere.example")
            yield client
        finally:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                client.quit()
            client.close()

    def mailbox(self, name: str, *, port: int | None = None) -> Mailbox:
        account = self.account(name)
        port = port or self.ports["pop3s"]
        return Mailbox(address=account.address, password=account.password, port=port, context=self.context())

    @contextmanager
    def storage(self) -> Iterator[Storage]:
        """Its database, beside the process."""
        storage = Storage.open(read_settings(self.config).storage.url)
        try:
            yield storage
        finally:
            storage.close()

    def said_by(self, name: str, *arguments: str) -> str:
        """What another command says."""
        command = [*COMMAND, *name.split(), "--config", str(self.config), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def route(self, to: "Provider", port: int) -> None:
        """Let mail for another provider go to this port."""
        text = self.config.read_text()
        before, mark, after = text.partition(f'domain = "{to.plan.domain}"\nhost = "localhost"\nport = ')
        assert mark
        self.config.write_text(f"{before}{mark}{port}\n{after.partition(chr(10))[2]}")

    def configure(self, old: str, new: str) -> None:
        """Change the configuration file."""
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))


class Network:
    """Providers on disk; none of them runs."""

    def __init__(self, layout: Layout, plan: LabPlan) -> None:
        self.layout = layout
        self.plan = plan
        self.alfa, *others = (Provider(layout, one) for one in plan.providers)
        self.others = others

    @property
    def beta(self) -> Provider:
        return self.others[0]


def network(folder: Path, *, storage_url: str | None = None) -> Network:
    """Alfa and Beta in ``folder``.

    Args:
        storage_url: the database of Alfa; an SQLite file if left out.
    """
    layout = Layout(folder)
    folder.mkdir(parents=True, exist_ok=True)
    plan = load_or_draw(folder, providers=2, accounts=3)
    prepare(layout, plan, {} if storage_url is None else {plan.providers[0].domain: storage_url})
    return Network(layout, plan)
