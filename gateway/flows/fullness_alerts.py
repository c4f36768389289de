"""Boxes that fill up: their holders are told at 70, 85 and 95 percent, each once until usage falls (D13)."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from gateway.drivers.sources import Clock, Ids
from gateway.flows.effects import Effects, Handover, Lease, Leased
from gateway.points.box import Capacity, alert_level
from gateway.storage import usage
from gateway.storage.engine import Storage
from gateway.storage.mailboxes import ORDINARY, SERVICE, Folder
from gateway.storage.usage import Usage
from receipts.headers import CRLF, date, line, mailbox, unstructured
from receipts.octets import Octets

__all__ = ["BoxAlertSettings", "BoxAlerts", "alert"]

log = logging.getLogger(__name__)

SUBJECTS = {"it": "La casella e' piena al {percent}%", "en": "Your mailbox is {percent}% full"}
TEXTS = {
    "it": """\
La casella {box} occupa {used} MB su {quota} MB ({percent}%).
Quando e' piena non riceve piu' posta ordinaria e, esaurita la riserva,
nemmeno posta certificata: il mittente riceve un avviso di mancata consegna.
Le ricevute non contano. Per fare spazio eliminare o archiviare i messaggi
con gli allegati piu' grandi e svuotare il cestino.
""",
    "en": """\
The mailbox {box} holds {used} MB of {quota} MB ({percent}%).
Once it is full it takes no more ordinary mail and, when its reserve is used
up, no certified mail either: the sender gets a notice of non-delivery.
Receipts do not count. To make room remove or archive the messages with the
largest attachments, and empty the trash.
""",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxAlertSettings:
    notice_address: str  # whom alerts come from
    capacity: Capacity  # of a box that has none of its own
    lease: Lease
    expiry: timedelta  # how long a notice waits for a server


class BoxAlerts:
    """Looks at all boxes now and then.

    Args:
        handover: is told of letters to notice addresses after their commit.
    """

    def __init__(
        self, storage: Storage, clock: Clock, ids: Ids, handover: Handover, settings: BoxAlertSettings
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._ids = ids
        self._handover = handover
        self._settings = settings

    async def look(self) -> int:
        """Tell those who are to be told; how many that were. Raises TemporaryError when storage is away."""
        capacity = self._settings.capacity
        found = await self._storage.read(lambda connection: usage.to_tell(connection, capacity.quota))
        told = 0
        for box in found:
            quota = capacity.of(box.quota).quota
            level = alert_level(box.used, quota)
            if level != box.told:
                told += await self._tell(box, quota or 0, level)
        return told

    async def note_day(self) -> None:
        """Note how full boxes are, for the forecast."""
        now = self._clock.now()

        def transaction(connection: Connection) -> None:
            usage.note_day(connection, now.date())
            usage.forget_days(connection, now - timedelta(days=400))

        await self._storage.write(transaction)

    async def _tell(self, box: Usage, quota: int, level: int) -> bool:
        """Whether the holder was told now: not by another node, and not that usage fell."""
        at = self._clock.now()
        effects = Effects(at=at, ids=self._ids)
        if level > box.told:
            for to in filter(None, (box.address, box.notice_address)):
                message = Octets.of(alert(box, quota, level, to, self._settings.notice_address, self._ids.token(), at))
                if to == box.address:
                    effects.file(box.mailbox_id, message, kind=SERVICE, folder=Folder.INBOX)
                else:
                    self._send(effects, message, to, at)

        def transaction(connection: Connection) -> tuple[Leased, ...] | None:
            if not usage.tell(connection, box, level):
                return None
            return effects.perform(connection, self._settings.lease).leased

        leased = await self._storage.write(transaction, size=effects.size)
        self._handover(leased or ())
        noted = leased is not None
        if noted and level > box.told:
            log.info("a box fills up", extra={"mailbox": box.mailbox_id, "percent": level})
        return noted and level > box.told

    def _send(self, effects: Effects, message: Octets, to: str, at: datetime) -> None:
        effects.send(
            message,
            kind=ORDINARY,
            reverse_path="",
            forward_path=to,
            certified=False,
            about=None,
            expires_at=at + self._settings.expiry,
        )


def alert(box: Usage, quota: int, level: int, to: str, notice_address: str, token: str, at: datetime) -> bytes:
    """What a holder reads: how full the box is and what to do, in the holder's language."""
    words = {
        "box": box.address,
        "used": box.used // 1_000_000,
        "quota": quota // 1_000_000,
        "percent": box.used * 100 // quota if quota else level,
    }
    language = box.language if box.language in TEXTS else "it"
    return b"".join(
        (
            date(at),
            mailbox("From", notice_address),
            line("To", to),
            unstructured("Subject", SUBJECTS[language].format(**words)),
            line("Message-ID", f"<{token}@{notice_address.rpartition('@')[2]}>"),
            line("Auto-Submitted", "auto-generated"),  # RFC 3834 5
            line("MIME-Version", "1.0"),
            b"Content-Type: text/plain; charset=us-ascii" + CRLF,
            b"Content-Transfer-Encoding: 7bit" + CRLF + CRLF,
            TEXTS[language].format(**words).replace("\n", "\r\n").encode("ascii", "replace"),
        )
    )
