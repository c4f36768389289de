"""The word to a holder's ordinary mailbox that something has come: how much of what kind, and nothing of what it says.

It travels in clear through servers that nobody chose, so it has neither senders nor subjects. Each is told of once: the
transaction that takes the counted arrivals out is the one that sends the notice, whichever process makes it.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

from sqlalchemy import Connection

from gateway.drivers.sources import Clock, Ids
from gateway.flows.effects import Effects, Handover, Lease, Leased
from gateway.flows.letters import Letter, Writer
from gateway.points.digests import AT_MOST_EVERY, About, Beat, due
from gateway.storage import digests
from gateway.storage.digests import Digest
from gateway.storage.engine import Storage
from gateway.storage.mailboxes import ORDINARY

__all__ = ["DigestSettings", "Digests", "digest_letter"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestSettings:
    writer: Writer  # whom notices come from
    daily_at: time  # of the wall clock
    read_at: str | None  # where holders read their mail; None: in their mail program
    lease: Lease
    expiry: timedelta  # how long a notice waits for a server


class Digests:
    """Looks now and then at what holders are yet to hear of.

    Args:
        handover: is told of notices after their commit.
    """

    def __init__(self, storage: Storage, clock: Clock, ids: Ids, handover: Handover, settings: DigestSettings) -> None:
        self._storage = storage
        self._clock = clock
        self._ids = ids
        self._handover = handover
        self._settings = settings

    async def look(self) -> int:
        """Send the notices that are due; how many that were. Raises TemporaryError when storage is away."""
        now, sent = self._clock.now(), 0
        while found := await self._storage.read(lambda connection: digests.waiting(connection, now)):
            for digest in found:
                sent += await self._treat(digest, now)
        return sent

    async def _treat(self, digest: Digest, now: datetime) -> bool:
        """Whether a notice leaves. Another process may have sent it, or more may have come: then there is none."""
        at = due(digest.beat, digest.first_at.astimezone(now.tzinfo), self._settings.daily_at)
        if at > now:
            await self._storage.write(lambda connection: digests.put_off(connection, digest, at))
            return False
        effects = Effects(at=now, ids=self._ids)
        if digest.to is not None:
            self._send(effects, digest, digest.to)
        pause = AT_MOST_EVERY if digest.beat is Beat.IMMEDIATELY else timedelta(0)

        def transaction(connection: Connection) -> tuple[Leased, ...]:
            if not digests.take(connection, digest, now + pause):
                return ()
            return effects.perform(connection, self._settings.lease).leased

        leased = await self._storage.write(transaction, size=effects.size)
        self._handover(leased)
        if leased:
            log.info("a holder is told of what came", extra={"mailbox": digest.mailbox_id, "beat": digest.beat.value})
        return bool(leased)

    def _send(self, effects: Effects, digest: Digest, to: str) -> None:
        since = digest.first_at.astimezone(effects.at.tzinfo)
        letter = digest_letter(digest.language, digest.box, digest.counted, since, self._settings.read_at)
        effects.send(
            self._settings.writer.written(letter, to, at=effects.at, token=self._ids.token()),
            kind=ORDINARY,
            reverse_path="",
            forward_path=to,
            certified=False,
            about=None,
            expires_at=effects.at + self._settings.expiry,
        )


def digest_letter(
    language: str, box: str, counted: Mapping[About, int], since: datetime, read_at: str | None
) -> Letter:
    """What the holder of ``box`` reads; ``since`` is in the provider's zone."""
    words = _ENGLISH if language == "en" else _ITALIAN
    lines = [f"{many} {words.kinds[about][0 if many == 1 else 1]}" for about, many in counted.items() if many]
    total = sum(counted.values())
    return Letter(
        words.subject[0 if total == 1 else 1].format(total=total, box=box),
        (
            words.since.format(box=box, since=f"{since:%d/%m/%Y %H:%M}"),
            "",
            *(f"  {line}" for line in lines),
            "",
            words.where if read_at is None else words.where_at.format(read_at=read_at),
            *words.warning,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    subject: tuple[str, str]  # of one, of several
    since: str
    kinds: Mapping[About, tuple[str, str]]
    where: str
    where_at: str
    warning: tuple[str, ...]


_ITALIAN: Final = _Words(
    subject=("1 nuovo messaggio nella casella {box}", "{total} nuovi messaggi nella casella {box}"),
    since="Nella casella {box} sono arrivati, dal {since}:",
    kinds={
        About.CERTIFIED: ("messaggio di posta certificata", "messaggi di posta certificata"),
        About.FAILURES: ("avviso di mancato invio o mancata consegna", "avvisi di mancato invio o mancata consegna"),
        About.RECEIPTS: ("ricevuta", "ricevute"),
        About.ORDINARY: ("messaggio ordinario", "messaggi ordinari"),
    },
    where="Si leggono nella casella, con il suo programma di posta.",
    where_at="Si leggono nella casella, con il suo programma di posta oppure qui: {read_at}",
    warning=(
        "Ciò che è nella casella vale come consegnato anche se non viene letto.",
        "",
        "Questo avviso non contiene mittenti né oggetti, e non chiede mai una password.",
    ),
)
_ENGLISH: Final = _Words(
    subject=("1 new message in the mailbox {box}", "{total} new messages in the mailbox {box}"),
    since="Arrived in the mailbox {box} since {since}:",
    kinds={
        About.CERTIFIED: ("certified message", "certified messages"),
        About.FAILURES: ("notice of non-acceptance or non-delivery", "notices of non-acceptance or non-delivery"),
        About.RECEIPTS: ("receipt", "receipts"),
        About.ORDINARY: ("ordinary message", "ordinary messages"),
    },
    where="Read them in the mailbox, with your mail program.",
    where_at="Read them in the mailbox, with your mail program or here: {read_at}",
    warning=(
        "What is in the mailbox counts as delivered even if it is not read.",
        "",
        "This notice has neither senders nor subjects, and never asks for a password.",
    ),
)
