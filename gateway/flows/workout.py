"""Details of messages, worked out once: soon after they come, or when somebody asks first (D27)."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection

from gateway.storage import content, details
from gateway.storage.details import Worked
from gateway.storage.engine import Storage
from receipts.choice import USUAL, FieldChooser
from receipts.fields import unfold
from receipts.imapforms import body_structure, envelope
from receipts.octets import EMPTY, Octets
from receipts.outline import Place, outline, places
from receipts.parts import Header
from receipts.plaintext import words_of

__all__ = ["Bodies", "work_out", "work_out_all"]

log = logging.getLogger(__name__)

Bodies = Sequence[tuple[int, int]]
"""Ids and sizes of bodies."""
AT_ONCE: Final = 100
BYTES_AT_ONCE: Final = 4_000_000
"""What is read, worked out and committed together; one body at least."""
_USUAL_FIELDS: Final = FieldChooser(USUAL, others=False)


async def work_out_all(storage: Storage, bodies: Bodies) -> None:
    """Work out the details of all these bodies and keep them; what is gone is passed over."""
    for some in portions(bodies):
        worked = await asyncio.to_thread(_worked, storage, some)
        size = sum(len(one.words.body) + len(one.header) for one in worked)
        await storage.write(partial(details.add_details, worked=worked), size=size)


def portions(bodies: Bodies) -> list[list[int]]:
    """The ids of bodies that are worked out together."""
    found: list[list[int]] = []
    size = 0
    for body_id, bytes_ in bodies:
        if not found or size + bytes_ > BYTES_AT_ONCE or len(found[-1]) == AT_ONCE:
            found.append([])
            size = 0
        found[-1].append(body_id)
        size += bytes_
    return found


def work_out(body_id: int, message: Octets) -> Worked:
    """What is kept of one message beside its bytes."""
    root = outline(message)
    header = root.part.header
    body, structure = body_structure(root, message)
    head = message.read(0, root.body_start)
    return Worked(
        body_id=body_id,
        envelope=envelope(header),
        body=body,
        structure=structure,
        header=head,
        fields=_USUAL_FIELDS(head),
        places=places(root),
        sent_day=_sent_day(header),
        words=words_of(root, message),
    )


def _worked(storage: Storage, body_ids: Sequence[int]) -> list[Worked]:
    """In a thread: large messages are read on from storage as they are looked through."""

    def load(connection: Connection, body_id: int) -> Octets | None:
        try:
            return content.load(connection, body_id)
        except LookupError:
            return None

    found = storage.read_now(lambda connection: [(body_id, load(connection, body_id)) for body_id in body_ids])
    return [_at_any_rate(body_id, message) for body_id, message in found if message is not None]


def _at_any_rate(body_id: int, message: Octets) -> Worked:
    """A message that nobody can make sense of is shown as one without header, and holds nobody up."""
    try:
        return work_out(body_id, message)
    except Exception:
        log.exception("a message could not be worked out", extra={"body": body_id})
        return replace(work_out(body_id, EMPTY), places=(Place((), 0, 0, message.size, -1),))


def _sent_day(header: Header) -> int | None:
    """The day that the Date field names, in its own zone; None if it names none."""
    field = header.first("Date")
    if field is None:
        return None
    try:
        return parsedate_to_datetime(unfold(field.value)[:200]).toordinal()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
