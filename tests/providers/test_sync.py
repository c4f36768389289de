"""The index file: loaded when it changes, kept when it is bad, tried again without anybody's help (D6)."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.lab.authority import Authority
from providers.chains import Trust
from providers.directory import ProviderRecord, sign_index, write_ldif
from providers.sync import REMINDED, TRIED_AGAIN, IndexFile, IndexUnknown
from receipts.errors import TemporaryError

NOW = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
ALFA, BETA, GAMMA = "alfa.example", "beta.example", "gamma.example"


@dataclass
class Place:
    """An index file, who signs it, and a clock."""

    file: Path
    authority: Authority = field(default_factory=lambda: Authority.create([("Alfa PEC", ALFA)], NOW))
    at: datetime = NOW

    def __post_init__(self) -> None:
        self.certificate = self.authority.provider_certificate("Alfa PEC", f"posta-certificata@{ALFA}")
        self.index = IndexFile(self.file, Trust.of_pem(self.authority.root_pem).anchors, lambda: self.at)

    def record(self, *domains: str) -> ProviderRecord:
        return ProviderRecord(
            name="Alfa PEC",
            certificates=(self.certificate.der,),
            mail_receipt=f"posta-certificata@{ALFA}",
            managed_domains=frozenset(domains),
        )

    def signed(self, *domains: str, by: Authority | None = None) -> bytes:
        return sign_index(write_ldif([self.record(*domains)]), (by or self.authority).index_signer().signer(), NOW)

    def publish(self, data: bytes) -> None:
        """Put it in place of the other, as those who publish do."""
        fresh = self.file.with_suffix(".new")
        fresh.write_bytes(data)
        fresh.rename(self.file)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "index.ldif.p7m")


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.reason for record in caplog.records if record.levelno == logging.ERROR]  # type: ignore[attr-defined]


def test_never_loaded_nobody_can_say_who_is_certified(place: Place) -> None:
    assert not place.index.refresh()
    assert not place.index.loaded
    assert place.index.data is None
    with pytest.raises(IndexUnknown):
        place.index.directory()
    assert issubclass(IndexUnknown, TemporaryError)


def test_a_file_that_appears_is_loaded_and_read_no_more_until_it_changes(place: Place) -> None:
    assert not place.index.refresh()
    place.publish(place.signed(ALFA))
    assert place.index.refresh()
    first = place.index.directory()
    assert first.is_certified(ALFA)
    assert not place.index.refresh()
    assert place.index.directory() is first
    place.publish(place.signed(ALFA, BETA))
    assert place.index.refresh()
    assert place.index.directory().is_certified(BETA)


def _removed(place: Place) -> None:
    place.file.unlink()


def _cut(place: Place) -> None:
    place.publish(place.signed(ALFA, BETA)[:-20])


def _of_a_stranger(place: Place) -> None:
    place.publish(place.signed(ALFA, BETA, by=Authority.create([], NOW)))


def _tampered(place: Place) -> None:
    """One more domain for alfa, written into the file that alfa's index is signed in."""
    signed = place.signed(ALFA, BETA)
    assert BETA.encode() in signed
    place.publish(signed.replace(BETA.encode(), b"beto.example"))


def _a_folder(place: Place) -> None:
    place.file.unlink()
    place.file.mkdir()


def _a_pipe(place: Place) -> None:
    place.file.unlink()
    os.mkfifo(place.file)


@pytest.mark.req("DIR-08", "DIR-09")
@pytest.mark.parametrize("damage", [_removed, _cut, _of_a_stranger, _tampered, _a_folder, _a_pipe])
def test_a_bad_file_leaves_the_last_good_index_in_use_and_is_an_alarm(
    place: Place, damage: Callable[[Place], None], caplog: pytest.LogCaptureFixture
) -> None:
    good = place.signed(ALFA)
    place.publish(good)
    place.index.refresh()
    before = place.index.directory()
    damage(place)
    assert not place.index.refresh()
    assert place.index.directory() is before
    assert place.index.data == good
    assert len(alarms(caplog)) == 1


def test_an_alarm_that_stands_is_told_again_now_and_then_only(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(100):
        place.index.refresh()
    assert alarms(caplog) == ["No such file or directory"]
    place.at += REMINDED
    place.index.refresh()
    place.index.refresh()
    assert len(alarms(caplog)) == 2
    place.publish(place.signed(ALFA))
    assert place.index.refresh()
    place.file.unlink()
    place.index.refresh()
    assert len(alarms(caplog)) == 3


def test_a_file_that_was_bad_by_the_clock_is_good_once_the_clock_is_right(place: Place) -> None:
    place.publish(place.signed(ALFA))
    place.at = NOW - timedelta(days=400)  # the signer's certificate is not valid yet
    assert not place.index.refresh()
    place.at = NOW
    assert place.index.refresh()


def test_a_bad_file_that_stays_the_same_is_read_again_once_a_minute(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    whole = Path.open

    def counted(self: Path, *arguments: object, **options: object) -> object:
        read.append(self)
        return whole(self, *arguments, **options)  # type: ignore[call-overload]

    place.publish(b"no index")
    monkeypatch.setattr(Path, "open", counted)
    for _ in range(10):
        place.index.refresh()
    assert len(read) == 1
    place.at += TRIED_AGAIN
    place.index.refresh()
    place.index.refresh()
    assert len(read) == 2


def test_a_file_whose_permissions_were_put_right_is_read_at_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.publish(place.signed(ALFA))
    place.file.chmod(0)
    with monkeypatch.context() as patched:  # root reads everything
        patched.setattr("providers.sync._read", _forbidden)
        assert not place.index.refresh()
    place.file.chmod(0o644)
    assert place.index.refresh()


def _forbidden(file: Path) -> bytes:
    raise PermissionError(13, "Permission denied")


def test_forced_it_is_loaded_anew_and_may_stand_elsewhere(place: Place, tmp_path: Path) -> None:
    place.publish(place.signed(ALFA))
    assert place.index.refresh()
    assert place.index.refresh(forced=True)
    other = tmp_path / "other.p7m"
    other.write_bytes(place.signed(ALFA, GAMMA))
    assert place.index.refresh(other)
    assert place.index.directory().is_certified(GAMMA)
    place.publish(place.signed(ALFA, BETA))
    assert not place.index.refresh()


def test_an_index_signed_before_the_one_in_use_is_not_taken(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Its signature is good for ever; who could put it back would undo what was struck off since."""
    old = sign_index(write_ldif([place.record(ALFA, BETA)]), place.authority.index_signer().signer(), NOW)
    place.at = NOW + timedelta(hours=2)
    new = sign_index(
        write_ldif([place.record(ALFA)]), place.authority.index_signer().signer(), NOW + timedelta(hours=1)
    )
    place.publish(new)
    assert place.index.refresh()
    place.publish(old)
    assert not place.index.refresh()
    assert not place.index.refresh(forced=True)
    assert not place.index.directory().is_certified(BETA)
    assert "older than the one in use" in alarms(caplog)[0]
    assert place.index.judge(old, older=True).is_certified(BETA)


def test_placing_leaves_a_whole_file_and_nothing_beside_it(place: Place) -> None:
    place.index.place(b"one")
    place.index.place(b"two")
    assert [(file.name, file.read_bytes()) for file in place.file.parent.iterdir()] == [(place.file.name, b"two")]
    place.file.unlink()
    place.file.mkdir()
    (place.file / "in the way").touch()
    with pytest.raises(OSError):
        place.index.place(b"three")
    assert [file.name for file in place.file.parent.iterdir()] == [place.file.name]
