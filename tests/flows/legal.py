"""A register with rows of several days, closed by hand; what auditors and experts say of it."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, text

from gateway.drivers.timestamps import Stamp, StampUnavailable
from gateway.flows.register_audit import SealJudge
from gateway.flows.register_closing import ClosingSettings, RegisterClosing, Stamper
from gateway.storage import audit, chain, content, register, segments
from gateway.storage.audit import Audit, unzipped
from gateway.storage.engine import Storage
from gateway.storage.register import Event, RegisterEntry
from gateway.storage.segment_form import SegmentStatement
from gateway.storage.segments import Segment
from providers.chains import Trust
from providers.sealing import Signer
from tests.flows.credentials import ROME, authority, credential, trust
from tests.flows.house import HandClock

__all__ = ["Alarmed", "Legal", "NoStamps", "openssl", "unguarded"]

UNGUARD = {
    "sqlite": (
        "DROP TRIGGER IF EXISTS register_unchanged",
        "DROP TRIGGER IF EXISTS register_kept",
        "DROP TRIGGER IF EXISTS register_segment_kept",
        "DROP TRIGGER IF EXISTS register_segment_unchanged",
    ),
    "postgresql": (
        "DROP TRIGGER IF EXISTS register_guard ON register",
        "DROP TRIGGER IF EXISTS register_segment_guard ON register_segments",
    ),
}


@dataclass
class Alarmed:
    """Which alarms stand, by name."""

    standing: dict[str, str] = field(default_factory=dict)

    async def raised(self, name: str, detail: str, *, everywhere: bool = False) -> None:
        self.standing[name] = detail

    async def over(self, name: str, *, everywhere: bool = False) -> None:
        self.standing.pop(name, None)


class NoStamps:
    """An authority that does not answer, and counts who asks."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, data: bytes) -> Stamp:
        self.asked += 1
        raise StampUnavailable("http://tsa.example/: no answer")


class Legal:
    """The register of alfa.example."""

    def __init__(
        self,
        storage: Storage,
        clock: HandClock,
        stamper: Stamper | None = None,
        sealed: tuple[Signer, Trust] | None = None,
    ) -> None:
        self.storage, self.clock = storage, clock
        self.alarms = Alarmed()
        self.signer, self.trust = sealed or (credential("alfa.example").signer, trust())
        self.stamper = stamper
        self.closing = self.closes()
        self.number = 0

    def closes(self, owner: str = "node-1") -> RegisterClosing:
        """Another process of the same provider."""
        return RegisterClosing(
            storage=self.storage,
            clock=self.clock,
            signer=self.signer,
            stamper=self.stamper,
            alarms=self.alarms,
            settings=ClosingSettings(provider="Alfa PEC", domain="alfa.example", zone=ROME, hour=1, owner=owner),
        )

    async def registered(self, *instants: datetime, linked: bool = True) -> None:
        """Rows of these instants."""
        entries = []
        for at in instants:
            self.number += 1
            entries.append(
                RegisterEntry(
                    event=Event.EMISSION,
                    at=at,
                    pec_msgid=f"{self.number}@alfa.example",
                    sender="anna@alfa.example",
                    recipients=("bruno@beta.example",),
                    subject=f"Città\t{self.number}\n",
                    provider="Alfa PEC",
                    detail="acceptance",
                )
            )
        await self.storage.write(lambda connection: register.append(connection, entries))
        if linked:
            await self.link()

    async def link(self) -> None:
        await self.storage.write(lambda connection: chain.link(connection, "chainer", self.clock.now(), sweep=True))

    async def a_day(self, rows: int = 3) -> None:
        """Some rows now, closed next morning."""
        await self.registered(*(self.clock.now() + timedelta(seconds=n) for n in range(rows)))
        self.clock.pass_(days=1)
        assert await self.closing() == 1

    def segments(self) -> list[Segment]:
        return self.storage.read_now(lambda connection: segments.list_from(connection, 1, 1_000))

    def statements(self) -> list[SegmentStatement]:
        return [SegmentStatement.from_bytes(segment.statement) for segment in self.segments()]

    def lines(self, segment: Segment) -> bytes:
        assert segment.body_id is not None
        body_id = segment.body_id
        return b"".join(unzipped(self.storage.read_now(lambda c: content.load(c, body_id)).pieces()))

    def verify(self) -> Audit:
        judge = SealJudge(self.trust, [authority().root.certificate])
        return self.storage.read_now(lambda connection: audit.verify(connection, judge))

    def tamper(self, *statements: str, **values: object) -> None:
        """What somebody with all rights on the database does."""
        unguarded(self.storage)

        def act(connection: Connection) -> None:
            for statement in statements:
                connection.execute(text(statement), values)

        self.storage.write_now(act)


def unguarded(storage: Storage) -> None:
    def act(connection: Connection) -> None:
        for statement in UNGUARD[storage.dialect]:
            connection.execute(text(statement))

    storage.write_now(act)


def openssl(folder: Path, *arguments: str) -> str:
    """One command of OpenSSL, which must succeed; what it says."""
    command: Sequence[str] = ("openssl", *arguments)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout + done.stderr
