"""Every certified message of a lab, counted by kind, each one given to OpenSSL."""

from collections import Counter
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.mail import openssl_verifies, read_mail

if TYPE_CHECKING:
    from tests.lab.labs import Lab

__all__ = ["KINDS_OF_THIS_RELEASE", "summary", "take_census"]

KINDS_OF_THIS_RELEASE = (
    "T1 acceptance",
    "T2 non-acceptance",
    "T4 envelope",
    "T5 take-charge",
    "T6 anomaly",
    "T9 delivery, complete",
    "T9 delivery, brief",
    "T9 delivery, concise",
    "T10 non-delivery",
)


def take_census(lab: "Lab", folder: Path) -> Counter[str]:
    """Count what has entered any mailbox or the ordinary server; fails if a signature does not hold."""
    ca_file = lab.description["email_ca_file"]
    counts: Counter[str] = Counter()
    for raw in chain.from_iterable(box.raw() for box in (*lab.mailboxes(), lab.ordinary())):
        mail = read_mail(raw)
        if mail is not None:
            openssl_verifies(raw, ca_file, folder)
            counts[mail.kind] += 1
    return counts


def summary(counts: Counter[str]) -> str:
    kinds = dict.fromkeys((*KINDS_OF_THIS_RELEASE, *sorted(counts)))
    return "certified messages verified by OpenSSL: " + ", ".join(f"{kind} {counts[kind]}" for kind in kinds)
