"""A lab that is badly treated: after each test both providers are still the same, and a good message passes."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from unittest.mock import patch

import pytest

from gateway.lab.processes import forget_peak, usage
from tests.hostile.boxes import Inbox
from tests.lab.labs import Lab, alive, letter, running

LIMITS = {"CERALACCA_LIMITS__MAX_MESSAGE_BYTES": "40000000"}
"""Less than by default, so that what has no end is over sooner."""

ROOM_MB = 80
"""What a provider may need at most beyond what it had before, unless a test says otherwise."""


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with (
        patch.dict(os.environ, LIMITS),
        running(tmp_path_factory.mktemp("hostile") / "lab", "--accounts", "4", "--no-restart") as started,
    ):
        yield started


@dataclass
class Room:
    """How many MB more than before a provider may take during the test at hand."""

    megabytes: float = ROOM_MB
    pids: dict[str, int] = field(default_factory=dict)
    before: dict[str, float] = field(default_factory=dict)


@pytest.fixture(autouse=True)
def room(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Room]:
    """Whatever a test does: both providers live on, a good message passes, and memory stays bounded."""
    room = Room(pids={one["domain"]: one["pid"] for one in lab.description["providers"]})
    for domain, pid in room.pids.items():
        forget_peak(pid)
        room.before[domain] = usage(pid).rss_mb
    yield room
    assert all(map(alive, room.pids.values()))
    assert {one["domain"]: one["pid"] for one in lab.description["providers"]} == room.pids
    for sender, recipient in (
        ("dario@alfa.example", "dario@beta.example"),
        ("dario@beta.example", "dario@alfa.example"),
    ):
        a_good_message_passes(lab, sender, recipient)
    for domain, pid in room.pids.items():
        took = usage(pid).peak_rss_mb - room.before[domain]
        print(f"{domain}: {room.before[domain]:.0f} MB before, at most {took:.0f} MB more")
        assert took < room.megabytes, domain


def a_good_message_passes(lab: Lab, sender: str, recipient: str) -> None:
    msgid = lab.send(letter(sender, to=[recipient], subject="Dopo tutto questo"))
    Inbox(lab, sender).wait(
        lambda raw: b"X-Ricevuta: avvenuta-consegna" in raw and msgid.encode() in raw, "delivery receipt"
    )
    Inbox(lab, recipient).wait(
        lambda raw: b"X-Trasporto: posta-certificata" in raw and msgid.encode() in raw, "envelope"
    )
