"""All fuzz targets by name. A target is a hypothesis test: it must hold for whatever it is given."""

from collections.abc import Callable, Mapping

from tests.fuzz import imap, pop3, sieve
from tests.fuzz.addresses import addresses, words
from tests.fuzz.certification import certification, certification_bytes
from tests.fuzz.index import indexes, ldif
from tests.fuzz.messages import messages, recognition, trees, windows
from tests.fuzz.signatures import certificates, elements, seals, signatures

__all__ = ["TARGETS"]

TARGETS: Mapping[str, tuple[Callable[[], None], ...]] = {
    "scanner": (trees, messages, windows, recognition),
    "daticert": (certification, certification_bytes),
    "addresses": (addresses, words),
    "cms": (elements, signatures, certificates, seals),
    "ldif": (ldif, indexes),
    "imap": (imap.commands, imap.mutations, imap.patterns, imap.sets),
    "pop3": (pop3.dialogues,),
    "sieve": (sieve.scripts, sieve.mutations, sieve.mails, sieve.commands),
}
