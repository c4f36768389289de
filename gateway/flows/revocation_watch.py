"""What authorities say about the certificates of providers, fetched ahead and kept for every process (RFC 5280, 6960).

No message ever waits for it: verifying looks into what is known at the moment.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlalchemy import Connection

from gateway.drivers.http_client import FetchFailed
from gateway.drivers.sources import Clock
from gateway.flows.alarms import Bell
from gateway.flows.certificate_paths import CertificatePath, Paths, Question
from gateway.flows.fetching import FETCH_LEASE, pause
from gateway.storage import downloads
from gateway.storage.downloads import Download
from gateway.storage.engine import Storage
from providers.revocation import Answer, RevocationRefused, Word, answer_of
from providers.standing import Standings, Status, standing_of, worst
from providers.sync import IndexUnknown

__all__ = ["Ask", "RevocationSettings", "RevocationWatch"]

log = logging.getLogger(__name__)

UNKNOWN, REVOKED = "revocation unknown", "certificate revoked"  # alarms
KINDS: Final = ("crl:", "ocsp:")  # how their names begin among the downloads
FORGOTTEN: Final = timedelta(days=7)
AT_ONCE: Final = 4  # downloads
SOONEST: Final = timedelta(minutes=5)  # until the next, however short-lived an answer is
MOST_NAMED: Final = 10  # in an alarm

Ask = Callable[[Question], Awaitable[bytes]]
"""Fetches a list or an answer. Raises FetchFailed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationSettings:
    period: timedelta


class RevocationWatch:
    """Keeps what is known of revoked certificates. ``standings`` may be read from any thread at any time."""

    def __init__(
        self,
        *,
        storage: Storage,
        paths: Paths,
        ask: Ask,
        bell: Bell,
        clock: Clock,
        chance: Callable[[], float],
        settings: RevocationSettings,
    ) -> None:
        self._storage = storage
        self._paths = paths
        self._ask = ask
        self._bell = bell
        self._clock = clock
        self._chance = chance
        self._settings = settings
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._agreed: frozenset[str] = frozenset()
        self._copies: dict[str, _Copy] = {}
        self.standings = Standings()

    async def look(self) -> None:
        """Fetch what is due, take what other processes have fetched, and judge anew."""
        try:
            paths = await asyncio.to_thread(self._paths.at, self._clock.now())
        except IndexUnknown:
            return
        questions = {question.name: question for path in paths for step in path.steps for question in step}
        await self._agree(questions)
        await self._take(questions)
        now = self._clock.now()
        states = await self._storage.read(downloads.states)
        due = [state for state in states if state.name in questions and state.next_at <= now]
        if due:
            await asyncio.gather(*(self._fetch(state, questions[state.name]) for state in due))
            await self._take(questions)
        self.standings = await asyncio.to_thread(self._judge, paths)
        await self._tell(paths)

    async def _agree(self, questions: Mapping[str, Question]) -> None:
        """Have them all among the downloads, and drop those that nobody has asked for a week."""
        if self._agreed == questions.keys():
            return
        now = self._clock.now()

        def agree(connection: Connection) -> None:
            for name, question in questions.items():
                downloads.want(connection, name, question.source.url, now)
            asked = [each for each in downloads.states(connection) if each.name.startswith(KINDS)]
            old = [each.name for each in asked if each.name not in questions and each.next_at < now - FORGOTTEN]
            downloads.forget(connection, old)

        await self._storage.write(agree)
        self._agreed = frozenset(questions)

    async def _take(self, questions: Mapping[str, Question]) -> None:
        """Read the copies that are new."""
        states = [state for state in await self._storage.read(downloads.states) if state.name in questions]
        if len(states) < len(questions):
            self._agreed = frozenset()  # another process, with another index, has dropped some
        for state in states:
            held = self._copies.get(state.name)
            if state.version is None or (held is not None and held.version == state.version):
                continue
            data = await self._storage.read(partial(downloads.copy_of, name=state.name))
            if data is not None:
                self._copies[state.name] = _Copy(state.version, data)
        for name in self._copies.keys() - questions.keys():
            del self._copies[name]

    async def _fetch(self, state: Download, question: Question) -> None:
        async with self._gate:
            now = self._clock.now()
            claim = partial(downloads.claim, name=state.name, at=now, until=now + FETCH_LEASE)
            if not await self._storage.write(claim):
                return
            try:
                data = await self._ask(question)
                answer = await asyncio.to_thread(self._believed, question, data)
            except (FetchFailed, RevocationRefused) as error:
                await self._failed(state, str(error))
            else:
                await self._succeeded(state, data, answer)

    def _believed(self, question: Question, data: bytes) -> Answer:
        """Raises RevocationRefused for what is older than what we have, or stale: a good signature is good for ever."""
        now = self._clock.now()
        answer = answer_of(question.source.means, data, question.subject, now)
        held = self._copies.get(question.name)
        before = None if held is None else held.answer(question, now)
        if before is not None and answer.said_at < before.said_at:
            raise RevocationRefused(f"it is of {answer.said_at:%Y-%m-%d %H:%M} UTC, older than the one we have")
        if answer.until is not None and answer.until < now and answer.word is not Word.REVOKED:
            raise RevocationRefused(f"it has ended at {answer.until:%Y-%m-%d %H:%M} UTC")
        return answer

    async def _succeeded(self, state: Download, data: bytes, answer: Answer) -> None:
        now = self._clock.now()
        left = self._settings.period if answer.until is None else (answer.until - now) / 2
        next_at = now + max(SOONEST, min(left, self._settings.period)) * (1 - self._chance() / 10)
        keep = partial(downloads.keep, name=state.name, data=data, tag=None, at=now, next_at=next_at)
        await self._storage.write(keep, size=len(data))

    async def _failed(self, state: Download, reason: str) -> None:
        now = self._clock.now()
        next_at = now + pause(state.failures, self._chance())
        await self._storage.write(partial(downloads.fail, name=state.name, reason=reason, at=now, next_at=next_at))
        log.warning(
            "revocation not fetched", extra={"url": state.url, "reason": reason, "failures": state.failures + 1}
        )

    def _judge(self, paths: Iterable[CertificatePath]) -> Standings:
        now = self._clock.now()

        def answer(question: Question) -> Answer | None:
            held = self._copies.get(question.name)
            return None if held is None else held.answer(question, now)

        return Standings({path.sha256: worst(standing_of(map(answer, step)) for step in path.steps) for path in paths})

    async def _tell(self, paths: Iterable[CertificatePath]) -> None:
        now = self._clock.now()
        for alarm, status, what in (
            (UNKNOWN, Status.UNKNOWN, "no authority says today how the certificate stands of"),
            (REVOKED, Status.REVOKED, "the index still has a revoked certificate of"),
        ):
            found = [path.owner for path in paths if self.standings.of(path.sha256).at(now) is status]
            if found:
                named = ", ".join(dict.fromkeys(found[:MOST_NAMED]))
                await self._bell.raised(alarm, f"{what} {named}", everywhere=True)
            else:
                await self._bell.over(alarm, everywhere=True)


class _Copy:
    """A list or an answer, and what it says about each certificate that was looked for in it."""

    def __init__(self, version: str, data: bytes) -> None:
        self.version = version
        self._data = data
        self._said: dict[bytes, Answer | None] = {}

    def answer(self, question: Question, at: datetime) -> Answer | None:
        """None if it is not to be believed after all: what stands in the database is judged again here."""
        certificate = question.subject.certificate
        if certificate not in self._said:
            try:
                self._said[certificate] = answer_of(question.source.means, self._data, question.subject, at)
            except RevocationRefused as error:
                log.warning("kept revocation not used", extra={"url": question.source.url, "reason": str(error)})
                self._said[certificate] = None
        return self._said[certificate]
