"""An index file that is none: the old index stays in use, whatever is put in its place."""

import json
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.lab.authority import Authority
from providers.directory import sign_index
from tests.hostile.conftest import Room
from tests.lab.labs import Lab
from tests.lab.waiting import until

pytestmark = pytest.mark.lab

ALARM, LOADED = "provider index not loaded", "provider index loaded"


@pytest.fixture
def index(lab: Lab, room: Room) -> Iterator[Path]:
    """The index file of the lab, to be ruined; it is put back at the end and then in use again."""
    room.megabytes = 200  # an index is read as a whole
    file = Path(lab.description["index"]["file"])
    good = file.read_bytes()
    yield file
    before = events(lab, LOADED)
    replace(file, good)
    until(lambda: more(lab, LOADED, before), "good index")


def replace(file: Path, data: bytes) -> None:
    """By rename, as a careful program does it."""
    fresh = file.with_suffix(".fresh")
    fresh.write_bytes(data)
    fresh.replace(file)


def events(lab: Lab, event: str) -> list[int]:
    """How often each provider has logged it."""
    logs = [Path(one["log_file"]).read_text().splitlines() for one in lab.description["providers"]]
    return [sum(1 for line in log if json.loads(line)["event"] == event) for log in logs]


def more(lab: Lab, event: str, before: list[int]) -> bool:
    """Whether every provider has logged it since then."""
    return all(now > then for now, then in zip(events(lab, event), before, strict=True))


def signed(ldif: bytes) -> Callable[[Path], bytes]:
    """An index that was signed by the right key, around anything."""

    def made(file: Path) -> bytes:
        now = datetime.now(UTC)
        return sign_index(ldif, Authority.load(file.parent / "authority", now).index_signer().signer(), now)

    return made


def forged(file: Path) -> bytes:
    """The right content under the key of somebody else."""
    stranger = Authority.create([], datetime.now(UTC)).index_signer().signer()
    return sign_index(b"dn: o=postacert\n", stranger, datetime.now(UTC))


DEEP = b"\x30\x80" * 100_000 + b"\0\0" * 100_000
GARBAGE: dict[str, Callable[[Path], bytes]] = {
    "nothing": lambda file: b"",
    "random bytes": lambda file: secrets.token_bytes(1_000_000),
    "LDIF without a signature": lambda file: b"dn: o=postacert\nobjectclass: top\n",
    "half of it": lambda file: file.read_bytes()[: file.stat().st_size // 2],
    "one byte changed": lambda file: file.read_bytes().replace(b"beta.example", b"bett.example", 1),
    "nested 100,000 deep": lambda file: DEEP,
    "60 MB": lambda file: b"\x30\x84\x03\x93\x87\x00" + bytes(60_000_000),
    "the key of a stranger": forged,
    "signed: nothing": signed(b""),
    "signed: random bytes": signed(secrets.token_bytes(1_000_000)),
    "signed: no colon": signed(b"dn o=postacert\n" * 100_000),
    "signed: one line of 5 MB": signed(b"dn: " + b"o" * 5_000_000 + b"\n"),
    "signed: folded without end": signed(b"dn: o\n" + b" x\n" * 1_000_000),
    "signed: base64 that is none": signed(b"dn:: ====\nproviderCertificate;binary:: %%%\n\n" * 10_000),
    "signed: a URL to be fetched": signed(b"dn:< file:///etc/passwd\nproviderName:< http://127.0.0.1:1/\n\n"),
    "signed: 200,000 records": signed(b"dn: providerName=x,o=postacert\nobjectclass: provider\n\n" * 200_000),
}


@pytest.mark.req("DIR-08")
@pytest.mark.parametrize("made", GARBAGE.values(), ids=GARBAGE.keys())
def test_the_old_index_stays(lab: Lab, index: Path, made: Callable[[Path], bytes]) -> None:
    """That it does, and that certified mail travels by it, is seen by the message that follows every test here."""
    before = events(lab, ALARM)
    replace(index, made(index))
    until(lambda: more(lab, ALARM, before), "alarm")


def test_without_its_file_the_index_stays(lab: Lab, index: Path) -> None:
    before = events(lab, ALARM)
    index.unlink()
    until(lambda: more(lab, ALARM, before), "alarm")
