"""The active script of a box, asked about what is about to be filed; its holder hears once when it fails."""

import logging
from dataclasses import dataclass

from sqlalchemy import Connection

from gateway.drivers.sources import Ids
from gateway.flows.effects import Effects, Lease
from gateway.flows.letters import Letter, Writer, post
from gateway.points.rules import Verdict
from gateway.points.sieve.check import understood
from gateway.points.sieve.errors import ScriptFailed, ScriptRefused
from gateway.points.sieve.mail import Mail
from gateway.points.sieve.verdict import scripted
from gateway.storage import scripts
from gateway.storage.scripts import StoredScript

__all__ = ["WEIGHT", "BoxScript", "ask_script"]

log = logging.getLogger(__name__)

WEIGHT = 8
"""Bytes of a message that are read as soon as one of a script is understood and followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxScript:
    """The active script of a box, and what it needs to know of the box."""

    stored: StoredScript
    folders: frozenset[str]
    language: str  # of the holder


def ask_script(
    box: BoxScript, mail: Mail, address: str, effects: Effects, *, writer: Writer, ids: Ids, lease: Lease
) -> Verdict:
    """What the script says of a message; if it cannot say, the message goes where it would go without it.

    Args:
        address: of the box.
        effects: a letter to the holder is added to them, if the script failed for the first time.
    """
    try:
        return scripted(understood(box.stored.script), mail)
    except (ScriptRefused, ScriptFailed) as error:  # refused: by a version that reads scripts more strictly
        log.warning("a script failed", extra={"mailbox": box.stored.mailbox_id, "why": type(error).__name__})
        if not box.stored.told:
            _tell(box, str(error), address, effects, writer=writer, ids=ids, lease=lease)
        return Verdict()


def _tell(box: BoxScript, why: str, address: str, effects: Effects, *, writer: Writer, ids: Ids, lease: Lease) -> None:
    """Of several messages at once the first to be kept brings the letter."""
    letters = Effects(at=effects.at, ids=ids)
    letter = failed(box.language, name=box.stored.name, why=why)
    post(letters, box.stored.mailbox_id, writer.written(letter, address, at=effects.at, token=ids.token()))

    def once(connection: Connection) -> None:
        if scripts.tell(connection, box.stored.id):
            letters.perform(connection, lease)

    effects.further(once)


def failed(language: str, *, name: str, why: str) -> Letter:
    """The letter about a script that cannot be followed."""
    if language == "en":
        return Letter(
            f"Your mail filter {name} does not work",
            (
                f"The Sieve script {name} could not be followed for a message that came in:",
                why,
                "",
                "That message, and others for which it cannot be followed, are in their usual folder. This is said",
                "once: correct the script and hand it in again.",
            ),
        )
    return Letter(
        f"Il filtro {name} della casella non funziona",
        (
            f"Lo script Sieve {name} non ha potuto essere seguito per un messaggio in arrivo:",
            why,
            "",
            "Quel messaggio, e gli altri per i quali non può essere seguito, sono nella cartella consueta. Questo",
            "avviso è dato una volta sola: corregga lo script e lo carichi di nuovo.",
        ),
    )
