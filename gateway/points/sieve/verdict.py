"""What a script wants, as the verdict that rules give: nothing is lost, refused or sent out of turn (D34).

A certified mailbox differs from what RFC 5228 has in mind, on three points. Mail that a script discards goes to the
trash, where its holder still finds it, and certified mail, receipts and notices stay where they would go anyway. What
a script redirects leaves as a copy after delivery, and the message stays. The first address wins.
"""

from typing import Final

from gateway.points.marks import Mark
from gateway.points.rules import FORWARDED, KINDS, Copy, Verdict
from gateway.points.sieve.evaluation import asked
from gateway.points.sieve.mail import Mail
from gateway.points.sieve.script import Script

__all__ = ["TRASH", "scripted"]

TRASH: Final = "Trash"


def scripted(script: Script, mail: Mail) -> Verdict:
    """Ask a script about a message. Raises ScriptFailed."""
    wanted = asked(script, mail)
    kind = mail.facts.kind
    first, *others = wanted.places or ((TRASH if kind in KINDS["ordinary"] else None, Mark(0)),)
    return Verdict(
        folder=first[0],
        marks=first[1],
        copies=tuple(Copy(folder, marks) for folder, marks in others),
        forward=wanted.forwards[0] if wanted.forwards and kind in FORWARDED else None,
        tell=wanted.notices,
    )
