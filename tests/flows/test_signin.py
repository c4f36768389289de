"""Sign-in: what opens a mailbox, what does not, what it costs, and who has to wait (D16)."""

import asyncio
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.drivers import passwords
from gateway.drivers.sources import RandomIds
from gateway.flows.failures import FailureLimits
from gateway.flows.outcomes import Holder, Peer, Protocol, SignInFailure
from gateway.flows.outcomes import SignIn as SignInBy
from gateway.flows.signin import Credentials, SignIn, SignInLimits
from receipts.errors import TemporaryError

PASSWORD = "corretto cavallo"
HASH = passwords.hash_password(PASSWORD)
DEVICE = passwords.new_device(RandomIds())
ANNA = Holder(
    account_id=1,
    mailbox_id=11,
    address="anna@alfa.example",
    addresses=frozenset({"anna@alfa.example"}),
    may_submit=True,
)
OFFICE = Peer(address="192.0.2.1", port=40000, tls=True)
STRANGER = Peer(address="198.51.100.7", port=40000, tls=True)


class FakeClock:
    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, 9, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def passes(self, **time: float) -> None:
        self.at += timedelta(**time)


class Book:
    """The accounts, and how often each was read."""

    def __init__(self) -> None:
        self.accounts = {
            "anna@alfa.example": Credentials(
                holder=ANNA, active=True, password=HASH, devices={DEVICE.lookup: DEVICE.digest}
            ),
            "macchina@alfa.example": Credentials(holder=ANNA, active=True, password=None),
        }

    async def read(self, user: str) -> Credentials | None:
        return self.accounts.get(user)

    def change(self, **changes: object) -> None:
        self.accounts["anna@alfa.example"] = replace(self.accounts["anna@alfa.example"], **changes)


class Checks:
    """Stands before the slow check: counts it, remembers what was compared, can hold it up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kept: list[str] = []
        self.free = threading.Event()
        self.free.set()
        self._check = passwords.is_password
        monkeypatch.setattr(passwords, "is_password", self._counted)

    def _counted(self, kept: str, password: str) -> bool:
        self.kept.append(kept)
        assert self.free.wait(60)
        return self._check(kept, password)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Checks:
    return Checks(monkeypatch)


def sign_in(book: Book, clock: FakeClock, **limits: object) -> SignInBy:
    return SignIn(book.read, clock, SignInLimits(**limits)).through(Protocol.IMAP)  # type: ignore[arg-type]


async def test_the_right_password_gives_the_holder(book: Book, clock: FakeClock) -> None:
    assert await sign_in(book, clock)("anna@alfa.example", PASSWORD, OFFICE) == ANNA


async def test_a_user_name_counts_without_case_and_blanks(book: Book, clock: FakeClock) -> None:
    assert await sign_in(book, clock)(" Anna@ALFA.example ", PASSWORD, OFFICE) == ANNA


@pytest.mark.parametrize(
    ("user", "password"),
    [
        ("anna@alfa.example", "sbagliata"),
        ("anna@alfa.example", ""),
        ("anna@alfa.example", PASSWORD.upper()),
        ("anna@alfa.example", "x" * 1_025),
        ("anna@alfa.example", "\udcff"),
        ("nessuno@alfa.example", PASSWORD),
        ("", PASSWORD),
        ("a" * 321, PASSWORD),
        ("macchina@alfa.example", PASSWORD),
        pytest.param("macchina@alfa.example", DEVICE.secret, id="device-of-another"),
        pytest.param(
            "anna@alfa.example", DEVICE.secret[:-1] + ("0" if DEVICE.secret[-1] != "0" else "1"), id="device-misspelt"
        ),
    ],
)
async def test_whatever_is_wrong_looks_and_costs_the_same(
    book: Book, clock: FakeClock, checks: Checks, user: str, password: str
) -> None:
    assert await sign_in(book, clock)(user, password, OFFICE) is SignInFailure.WRONG
    assert len(checks.kept) == 1


async def test_a_stranger_is_checked_against_a_hash_of_the_same_cost(
    book: Book, clock: FakeClock, checks: Checks
) -> None:
    await sign_in(book, clock)("nessuno@alfa.example", PASSWORD, OFFICE)
    assert checks.kept == [passwords.UNKNOWN]
    assert passwords.UNKNOWN.split("$")[:4] == HASH.split("$")[:4]


async def test_a_disabled_account_is_refused_even_when_its_password_is_remembered(book: Book, clock: FakeClock) -> None:
    desk = sign_in(book, clock)
    assert await desk("anna@alfa.example", PASSWORD, OFFICE) == ANNA
    book.change(active=False)
    assert await desk("anna@alfa.example", PASSWORD, OFFICE) is SignInFailure.WRONG
    assert await desk("anna@alfa.example", DEVICE.secret, OFFICE) is SignInFailure.WRONG


async def test_a_device_password_needs_no_slow_check_and_ends_when_revoked(
    book: Book, clock: FakeClock, checks: Checks
) -> None:
    desk = sign_in(book, clock)
    assert await desk("anna@alfa.example", DEVICE.secret, OFFICE) == ANNA
    assert checks.kept == []
    book.change(devices={})
    assert await desk("anna@alfa.example", DEVICE.secret, OFFICE) is SignInFailure.WRONG


async def test_a_success_is_remembered_ten_minutes(book: Book, clock: FakeClock, checks: Checks) -> None:
    desk = sign_in(book, clock)
    for _ in range(3):
        assert await desk("anna@alfa.example", PASSWORD, OFFICE) == ANNA
    assert len(checks.kept) == 1
    clock.passes(minutes=9, seconds=59)
    assert await desk("anna@alfa.example", PASSWORD, STRANGER) == ANNA
    assert len(checks.kept) == 1
    clock.passes(seconds=1)
    assert await desk("anna@alfa.example", PASSWORD, OFFICE) == ANNA
    assert len(checks.kept) == 2


async def test_memory_ends_when_the_password_changes(book: Book, clock: FakeClock) -> None:
    desk = sign_in(book, clock)
    assert await desk("anna@alfa.example", PASSWORD, OFFICE) == ANNA
    book.change(password=passwords.hash_password("nuova"))
    assert await desk("anna@alfa.example", PASSWORD, OFFICE) is SignInFailure.WRONG
    assert await desk("anna@alfa.example", "nuova", OFFICE) == ANNA


async def test_memory_is_bounded(book: Book, clock: FakeClock, checks: Checks) -> None:
    other = Credentials(holder=replace(ANNA, account_id=2), active=True, password=HASH)
    book.accounts["bruno@alfa.example"] = other
    desk = sign_in(book, clock, remembered_entries=1)
    for user in ("anna@alfa.example", "bruno@alfa.example", "anna@alfa.example"):
        assert not isinstance(await desk(user, PASSWORD, OFFICE), SignInFailure)
    assert len(checks.kept) == 3


async def test_a_password_remembered_for_one_account_opens_no_other(book: Book, clock: FakeClock) -> None:
    other = Credentials(holder=replace(ANNA, account_id=2), active=True, password=passwords.hash_password("altra"))
    book.accounts["bruno@alfa.example"] = other
    desk = sign_in(book, clock)
    assert await desk("anna@alfa.example", PASSWORD, OFFICE) == ANNA
    assert await desk("bruno@alfa.example", PASSWORD, OFFICE) is SignInFailure.WRONG


async def test_a_full_queue_says_come_back(book: Book, clock: FakeClock, checks: Checks) -> None:
    desk = sign_in(book, clock, checkers=1, queue=2)
    checks.free.clear()
    waiting = [asyncio.create_task(desk("anna@alfa.example", PASSWORD, OFFICE)) for _ in range(3)]
    await asyncio.sleep(0)
    assert await desk("anna@alfa.example", PASSWORD, OFFICE) is SignInFailure.BUSY
    checks.free.set()
    assert await asyncio.gather(*waiting) == [ANNA] * 3
    assert await desk("anna@alfa.example", PASSWORD, OFFICE) == ANNA


async def test_who_failed_lately_gets_a_small_part_of_the_queue(book: Book, clock: FakeClock, checks: Checks) -> None:
    desk = sign_in(book, clock, checkers=1, queue=64, queue_per_suspect=2)
    assert await desk("anna@alfa.example", "sbagliata", STRANGER) is SignInFailure.WRONG
    checks.free.clear()
    waiting = [asyncio.create_task(desk("anna@alfa.example", "sbagliata", STRANGER)) for _ in range(2)]
    await asyncio.sleep(0)
    assert await desk("anna@alfa.example", "sbagliata", STRANGER) is SignInFailure.BUSY
    holder = asyncio.create_task(desk("anna@alfa.example", PASSWORD, OFFICE))
    await asyncio.sleep(0)
    checks.free.set()
    assert await holder == ANNA
    await asyncio.gather(*waiting)


async def test_checks_run_beside_the_loop(book: Book, clock: FakeClock, checks: Checks) -> None:
    desk = sign_in(book, clock)
    checks.free.clear()
    waiting = asyncio.create_task(desk("anna@alfa.example", PASSWORD, OFFICE))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not waiting.done()
    checks.free.set()
    assert await waiting == ANNA


async def test_failures_of_an_address_shut_it_out_of_one_account(book: Book, clock: FakeClock) -> None:
    book.accounts["bruno@alfa.example"] = Credentials(holder=ANNA, active=True, password=HASH)
    desk = sign_in(book, clock, failures=FailureLimits(per_account_and_address=3))
    for _ in range(3):
        assert await desk("anna@alfa.example", "sbagliata", STRANGER) is SignInFailure.WRONG
    assert await desk("anna@alfa.example", PASSWORD, STRANGER) is SignInFailure.TOO_MANY
    assert await desk("anna@alfa.example", PASSWORD, OFFICE) == ANNA
    assert await desk("bruno@alfa.example", PASSWORD, STRANGER) == ANNA
    clock.passes(minutes=15)
    assert await desk("anna@alfa.example", PASSWORD, STRANGER) == ANNA


async def test_failures_over_many_accounts_shut_the_address_out_of_all(book: Book, clock: FakeClock) -> None:
    desk = sign_in(book, clock, failures=FailureLimits(per_address=4))
    for number in range(4):
        assert await desk(f"nome{number}@alfa.example", "sbagliata", STRANGER) is SignInFailure.WRONG
    assert await desk("anna@alfa.example", PASSWORD, STRANGER) is SignInFailure.TOO_MANY
    assert await desk("anna@alfa.example", PASSWORD, OFFICE) == ANNA


async def test_an_address_that_lately_succeeded_is_never_shut_out_of_that_account(book: Book, clock: FakeClock) -> None:
    limits = FailureLimits(per_account_and_address=2, per_address=3)
    desk = sign_in(book, clock, failures=limits)
    assert await desk("anna@alfa.example", PASSWORD, OFFICE) == ANNA
    for _ in range(5):
        assert await desk("anna@alfa.example", "sbagliata", OFFICE) is SignInFailure.WRONG
    assert await desk("nessuno@alfa.example", PASSWORD, OFFICE) is SignInFailure.TOO_MANY
    assert await desk("anna@alfa.example", PASSWORD, OFFICE) == ANNA
    clock.passes(days=1)
    for _ in range(2):
        assert await desk("anna@alfa.example", "sbagliata", OFFICE) is SignInFailure.WRONG
    assert await desk("anna@alfa.example", PASSWORD, OFFICE) is SignInFailure.TOO_MANY


async def test_a_line_of_ipv6_counts_as_one_address(book: Book, clock: FakeClock) -> None:
    desk = sign_in(book, clock, failures=FailureLimits(per_account_and_address=2))
    for host in (1, 2):
        await desk("anna@alfa.example", "sbagliata", replace(STRANGER, address=f"2001:db8:1:1::{host}"))
    again = await desk("anna@alfa.example", PASSWORD, replace(STRANGER, address="2001:db8:1:1:ffff::9"))
    assert again is SignInFailure.TOO_MANY
    assert await desk("anna@alfa.example", PASSWORD, replace(STRANGER, address="2001:db8:1:2::1")) == ANNA


async def test_counting_is_bounded(book: Book, clock: FakeClock, checks: Checks) -> None:
    desk = sign_in(book, clock, failures=FailureLimits(per_account_and_address=1, tracked=2))
    for host in range(3):
        peer = replace(STRANGER, address=f"198.51.100.{host}")
        assert await desk("anna@alfa.example", "sbagliata", peer) is SignInFailure.WRONG
    forgotten, kept = (replace(STRANGER, address=f"198.51.100.{host}") for host in (0, 2))
    assert await desk("anna@alfa.example", PASSWORD, forgotten) == ANNA
    assert await desk("anna@alfa.example", PASSWORD, kept) is SignInFailure.TOO_MANY


async def test_accounts_that_cannot_be_read_are_no_failure_of_the_user(clock: FakeClock, book: Book) -> None:
    broken = True

    async def read(user: str) -> Credentials | None:
        if broken:
            raise TemporaryError("database is away")
        return await book.read(user)

    desk = SignIn(read, clock, SignInLimits(failures=FailureLimits(per_account_and_address=1))).through(Protocol.IMAP)
    with pytest.raises(TemporaryError):
        await desk("anna@alfa.example", PASSWORD, OFFICE)
    broken = False
    assert await desk("anna@alfa.example", PASSWORD, OFFICE) == ANNA


def test_no_secret_shows_in_a_representation(book: Book) -> None:
    shown = repr(book.accounts["anna@alfa.example"]) + repr(DEVICE)
    for secret in (HASH, DEVICE.secret, repr(DEVICE.digest)):
        assert secret not in shown


@dataclass
class Diary:
    """What sign-in tells of accounts that exist."""

    uses: list[tuple[int, str, Protocol, str]] = field(default_factory=list)
    failures: list[tuple[int, str]] = field(default_factory=list)

    def used(self, holder: Holder, lookup: str, protocol: Protocol, peer: Peer, network: str) -> None:
        assert network == peer.address
        self.uses.append((holder.account_id, lookup, protocol, peer.address))

    def failed(self, holder: Holder, peer: Peer) -> None:
        self.failures.append((holder.account_id, peer.address))


@pytest.mark.parametrize(
    ("protocol", "password", "who"),
    [
        (Protocol.IMAP, PASSWORD, ANNA),
        (Protocol.SMTP, PASSWORD, ANNA),
        (Protocol.POP3, PASSWORD, SignInFailure.CLOSED),
        (Protocol.POP3, "sbagliata", SignInFailure.WRONG),
    ],
)
async def test_an_account_is_used_by_the_protocols_it_allows_and_only_the_holder_learns_which(
    book: Book, clock: FakeClock, protocol: Protocol, password: str, who: Holder | SignInFailure
) -> None:
    book.change(protocols=frozenset({Protocol.IMAP, Protocol.SMTP}))
    desk = SignIn(book.read, clock).through(protocol)
    assert await desk("anna@alfa.example", password, OFFICE) == who


@pytest.mark.parametrize(
    ("password", "who"),
    [(PASSWORD, SignInFailure.NEEDS_DEVICE), (DEVICE.secret, ANNA), ("sbagliata", SignInFailure.WRONG)],
    ids=["chosen", "of a device", "wrong"],
)
async def test_a_right_password_that_should_be_a_devices_is_told_so(
    book: Book, clock: FakeClock, password: str, who: Holder | SignInFailure
) -> None:
    book.change(devices_only=True)
    assert await sign_in(book, clock)("anna@alfa.example", password, OFFICE) == who


async def test_right_passwords_that_open_nothing_shut_nobody_out(book: Book, clock: FakeClock) -> None:
    book.change(devices_only=True)
    desk = sign_in(book, clock, failures=FailureLimits(per_account_and_address=2))
    answers = {await desk("anna@alfa.example", PASSWORD, OFFICE) for _ in range(5)}
    assert answers == {SignInFailure.NEEDS_DEVICE}
    assert await desk("anna@alfa.example", DEVICE.secret, OFFICE) == ANNA


async def test_the_diary_hears_of_uses_and_of_failures_at_accounts_that_exist(book: Book, clock: FakeClock) -> None:
    diary = Diary()
    desk = SignIn(book.read, clock, diary=diary)
    await desk.through(Protocol.SMTP)("anna@alfa.example", PASSWORD, OFFICE)
    await desk.through(Protocol.POP3)("anna@alfa.example", DEVICE.secret, STRANGER)
    await desk.through(Protocol.IMAP)("anna@alfa.example", "sbagliata", STRANGER)
    await desk.through(Protocol.IMAP)("nessuno@alfa.example", PASSWORD, STRANGER)
    assert diary.uses == [
        (1, "", Protocol.SMTP, OFFICE.address),
        (1, DEVICE.lookup, Protocol.POP3, STRANGER.address),
    ]
    assert diary.failures == [(1, STRANGER.address)]
