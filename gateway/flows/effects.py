"""What a flow leaves behind, all of it in one commit: messages filed, on their way or kept apart, register rows.

Flows decide and issue first; only then, with every byte at hand, the effects are performed as statements (D23).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from gateway.drivers.sources import Ids
from gateway.flows.trace_fields import return_path
from gateway.storage import content, mailboxes, outbox, quarantine, register
from gateway.storage.handovers import Due
from gateway.storage.mailboxes import NewMessage
from gateway.storage.outbox import NewOutboxRow, OutboxRow
from gateway.storage.quarantine import NewQuarantined
from gateway.storage.register import Event, RegisterEntry
from receipts.facts import CertificationData
from receipts.identifiers import domain_of
from receipts.octets import Octets
from receipts.records import record

__all__ = ["Effects", "Handover", "Kept", "Lease", "Leased", "stored_form"]


@dataclass(frozen=True, slots=True)
class Lease:
    """On whose behalf new outbox rows are leased: the process that will try them at once."""

    owner: str
    length: timedelta


@record()
class Leased:
    """An outbox row that was just committed and leased to this process, with its message."""

    row: OutboxRow
    message: Octets


Handover = Callable[[Sequence[Leased]], None]
"""Takes what is to be relayed at once; never blocks, never raises."""


@record(kw_only=True)
class _Filing:
    mailbox_id: int
    token: str
    message: Octets
    kind: str
    folder: str | None
    flags: int
    return_path: str
    pec_msgid: str | None
    most: int | None
    elsewhere: bool | None
    due: Due | None


@record(kw_only=True)
class _Departure:
    message: Octets
    kind: str
    reverse_path: str
    forward_path: str
    certified: bool
    about: CertificationData | None
    expires_at: datetime | None


@record()
class Kept:
    """What the statements made: the bodies' ids, and what may be relayed once the commit is on disk."""

    bodies: dict[int, int]
    leased: tuple[Leased, ...]

    def body_id(self, message: Octets) -> int:
        """The id of a message that the effects hold: this very rope, not one that equals it."""
        return self.bodies[id(message)]


@dataclass(slots=True, kw_only=True)
class Effects:
    """The effects of one transaction at ``at``. A message filed or sent several times is kept once."""

    at: datetime
    ids: Ids
    size: int = 0
    """About how many bytes will be written."""
    _messages: dict[int, Octets] = field(default_factory=dict)
    _filings: list[_Filing] = field(default_factory=list)
    _departures: list[_Departure] = field(default_factory=list)
    _isolated: list[tuple[NewQuarantined, bytes]] = field(default_factory=list)
    _entries: list[RegisterEntry] = field(default_factory=list)
    _further: list[Callable[[Connection], object]] = field(default_factory=list)

    def keep_message(self, message: Octets) -> None:
        """Keep a message without filing or sending it."""
        if id(message) not in self._messages:
            self._messages[id(message)] = message
            self.size += message.size

    def file(
        self,
        mailbox_id: int,
        message: Octets,
        *,
        kind: str,
        folder: str | None = None,
        flags: int = 0,
        reverse_path: str = "",
        pec_msgid: str | None = None,
        token: str | None = None,
        most: int | None = None,
        elsewhere: bool | None = None,
        due: Due | None = None,
    ) -> None:
        """Put a message into a mailbox, or let it wait for the server that keeps that mailbox.

        What its holder reads begins with what ``stored_form`` prepends.

        Args:
            folder: the key or name of one; left out: the inbox, or where the mailbox keeps receipts.
            token: its opaque id, if that is known already.
            most: bytes up to which it may fill the mailbox; beyond it, the transaction finds a Conflict.
            elsewhere: whether another server keeps the mailbox, if that was decided on; a Conflict if it is not so.
            due: the receipts that are due once that server has it.
        """
        self.keep_message(message)
        self._filings.append(
            _Filing(
                mailbox_id=mailbox_id,
                token=token or self.ids.token(),
                message=message,
                kind=kind,
                folder=folder,
                flags=flags,
                return_path=reverse_path,
                pec_msgid=pec_msgid,
                most=most,
                elsewhere=elsewhere,
                due=due,
            )
        )

    def filings_into(self, mailbox_ids: Collection[int]) -> list["_Filing"]:
        """What is filed in these mailboxes by now."""
        return [filing for filing in self._filings if filing.mailbox_id in mailbox_ids]

    def refile(self, filing: "_Filing", *, folder: str | None, flags: int) -> None:
        """File a message in another folder, if one is named, and with more marks."""
        at = next(number for number, one in enumerate(self._filings) if one is filing)
        self._filings[at] = replace(filing, folder=folder or filing.folder, flags=filing.flags | flags)

    def copy(self, filing: "_Filing", *, folder: str | None, flags: int) -> None:
        """File a message once more in the same mailbox, which is kept here; its content is kept and counted once.

        What is due for the delivery is due for the first one alone.
        """
        self._filings.append(
            replace(
                filing,
                token=self.ids.token(),
                folder=folder,
                flags=filing.flags | flags,
                most=None,
                elsewhere=False,
                due=None,
            )
        )

    def further(self, statement: Callable[[Connection], object]) -> None:
        """Do that as well, behind everything else. A transaction that fails is done again."""
        self._further.append(statement)

    def send(
        self,
        message: Octets,
        *,
        kind: str,
        reverse_path: str,
        forward_path: str,
        certified: bool,
        about: CertificationData | None,
        expires_at: datetime | None = None,
    ) -> None:
        """Let a message leave for one recipient, who may well be local.

        Args:
            about: the original message that this one is about, if it is about one.
        """
        self.keep_message(message)
        self._departures.append(
            _Departure(
                message=message,
                kind=kind,
                reverse_path=reverse_path,
                forward_path=forward_path,
                certified=certified,
                about=about,
                expires_at=expires_at,
            )
        )

    def isolate(self, infected: NewQuarantined) -> None:
        """Put an infected message into the virus store, as it came."""
        self.keep_message(infected.message)
        self._isolated.append((infected, infected.message.sha256()))

    def register(self, entry: RegisterEntry) -> None:
        self._entries.append(entry)

    @property
    def alarms(self) -> list[RegisterEntry]:
        """What an operator must see."""
        return [entry for entry in self._entries if entry.event is Event.ALARM]

    def perform(self, connection: Connection, lease: Lease, *, without: str | None = None) -> Kept:
        """Make the statements. May be called again: a transaction that fails is done again.

        Args:
            without: the opaque id of a message that is not filed after all.
        """
        order = list(self._messages.values())
        body_ids = content.save_many(connection, order, self.at)
        bodies = {id(message): body_id for message, body_id in zip(order, body_ids, strict=True)}
        mailboxes.deliver(
            connection, [self._new_message(filing, bodies) for filing in self._filings if filing.token != without]
        )
        rows = [self._new_row(departure, bodies) for departure in self._departures]
        row_ids = outbox.enqueue(connection, rows, owner=lease.owner, lease=lease.length)
        for infected, sha256 in self._isolated:
            quarantine.add(connection, infected, bodies[id(infected.message)], sha256)
        register.append(connection, self._entries)
        for statement in self._further:
            statement(connection)
        leased = tuple(
            Leased(_leased_row(row, row_id, lease), departure.message)
            for row, row_id, departure in zip(rows, row_ids, self._departures, strict=True)
        )
        return Kept(bodies, leased)

    def _new_message(self, filing: _Filing, bodies: dict[int, int]) -> NewMessage:
        return NewMessage(
            mailbox_id=filing.mailbox_id,
            token=filing.token,
            body_id=bodies[id(filing.message)],
            size=filing.message.size,
            kind=filing.kind,
            at=self.at,
            folder=filing.folder,
            flags=filing.flags,
            most=filing.most,
            return_path=filing.return_path,
            pec_msgid=filing.pec_msgid,
            arrived=True,
            elsewhere=filing.elsewhere,
            due=filing.due,
        )

    def _new_row(self, departure: _Departure, bodies: dict[int, int]) -> NewOutboxRow:
        about = departure.about
        return NewOutboxRow(
            body_id=bodies[id(departure.message)],
            kind=departure.kind,
            reverse_path=departure.reverse_path,
            forward_path=departure.forward_path,
            domain=domain_of(departure.forward_path),
            certified=departure.certified,
            pec_msgid=None if about is None else about.pec_msgid,
            msgid=None if about is None else about.msgid,
            sender=None if about is None else about.sender,
            subject=None if about is None else about.subject,
            at=self.at,
            expires_at=departure.expires_at,
        )


def stored_form(message: Octets, reverse_path: str) -> Octets:
    """A message as its holder reads it: Return-Path on top (D21)."""
    return Octets.of(return_path(reverse_path), message)


def _leased_row(row: NewOutboxRow, row_id: int, lease: Lease) -> OutboxRow:
    return OutboxRow(
        id=row_id,
        body_id=row.body_id,
        kind=row.kind,
        reverse_path=row.reverse_path,
        forward_path=row.forward_path,
        domain=row.domain,
        certified=row.certified,
        pec_msgid=row.pec_msgid,
        msgid=row.msgid,
        sender=row.sender,
        subject=row.subject,
        created_at=row.at,
        expires_at=row.expires_at,
        next_attempt_at=row.at,
        attempts=0,
        last_reply=None,
        lease_owner=lease.owner,
        leased_until=row.at + lease.length,
        held=False,
        unreached=False,
    )
