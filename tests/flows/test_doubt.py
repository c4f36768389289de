"""Doubt is temporary (promise 5), and what was decided on facts that changed is decided again (D23)."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import Connection, delete

from gateway.flows.outcomes import Accepted, Submission, Taken
from gateway.flows.work import until_settled
from gateway.storage import accounts, tables
from gateway.storage.engine import Storage
from gateway.storage.errors import Conflict
from providers.directory import Directory
from receipts.errors import SigningUnavailable, TemporaryError
from receipts.octets import Octets
from tests.flows.credentials import START, credential
from tests.flows.house import CLIENT, Provider, original
from tests.flows.pens import Pen
from tests.providers.authorities import BrokenSigner

BRUNO, CARLA, NOBODY = "bruno@beta.example", "carla@beta.example", "nessuno@beta.example"
SERVICE = "posta-certificata@beta.example"


def never_loaded() -> Directory:
    raise TemporaryError("the index was never loaded")


class TestWhileTheIndexIsNotKnown:
    @pytest.mark.parametrize("to", [BRUNO, "x@mail.example"])
    async def test_nothing_is_accepted_nor_refused(self, alfa: Provider, to: str) -> None:
        alfa.index = never_loaded
        for path in (to, "nascosto@beta.example"):
            with pytest.raises(TemporaryError):
                await alfa.hand_in(original([to]), path)
        assert alfa.is_untouched()

    async def test_nothing_is_taken_not_even_ordinary_mail(self, beta: Provider, pen: Pen) -> None:
        beta.index = never_loaded
        for raw in (pen.envelope(), original(sender="x@mail.example"), pen.delivery(pen.facts(), BRUNO)):
            with pytest.raises(TemporaryError):
                await beta.arrive(raw)
        assert beta.is_untouched()

    async def test_an_unknown_mailbox_is_not_refused_to_who_may_be_a_provider(self, beta: Provider) -> None:
        beta.index = never_loaded
        with pytest.raises(TemporaryError):
            await beta.check_recipient("anna@alfa.example", NOBODY)


class TestWhileTheKeyCannotSign:
    @pytest.mark.parametrize("to", [BRUNO, "nascosto@beta.example"])
    async def test_nothing_is_accepted_nor_refused(self, storage: Storage, to: str) -> None:
        alfa = Provider("alfa.example", storage, signer=BrokenSigner(credential("alfa.example").signer))
        with pytest.raises(SigningUnavailable):
            await alfa.hand_in(original(), to)
        assert alfa.is_untouched()

    @pytest.mark.parametrize("to", [(BRUNO,), (NOBODY,), (CARLA,)])
    async def test_nothing_is_taken_that_has_to_be_answered(
        self, storage: Storage, pen: Pen, to: tuple[str, ...]
    ) -> None:
        beta = Provider("beta.example", storage, signer=BrokenSigner(credential("beta.example").signer))
        with pytest.raises(SigningUnavailable):
            await beta.arrive(pen.envelope(pen.facts([BRUNO, NOBODY])), *to)
        assert beta.is_untouched()

    async def test_a_receipt_needs_no_key(self, storage: Storage, pen: Pen) -> None:
        beta = Provider("beta.example", storage, signer=BrokenSigner(credential("beta.example").signer))
        assert await beta.arrive(pen.delivery(pen.facts(sender=BRUNO), "anna@alfa.example")) == Taken()
        assert beta.kinds("bruno") == ["delivery"]


class TestWhileTheDatabaseFails:
    async def test_nothing_is_acknowledged(self, storage: Storage, pen: Pen) -> None:
        beta = Provider("beta.example", storage)
        holder = beta.holder("bruno")
        submission = Submission(
            holder=holder,
            reverse_path=BRUNO,
            forward_paths=("anna@alfa.example",),
            message=Octets.of(original(["anna@alfa.example"], sender=BRUNO)),
            peer=CLIENT,
        )
        storage.close()
        with pytest.raises(TemporaryError):
            await beta.submit(submission)
        for raw in (pen.envelope(), pen.delivery(pen.facts(), BRUNO), original()):
            with pytest.raises(TemporaryError):
                await beta.arrive(raw)
        with pytest.raises(TemporaryError):
            await beta.check_recipient("x@mail.example", BRUNO)
        assert beta.leaving == []

    async def test_an_act_is_kept_whole_or_not_at_all(self, beta: Provider, pen: Pen) -> None:
        """The last statement of the transaction fails: mailbox, outbox, register and memory know nothing."""
        envelope = pen.envelope()
        with failing(beta.storage), pytest.raises(Exhausted):
            await beta.arrive(envelope)
        assert beta.is_untouched()
        assert await beta.arrive(envelope) == Taken()
        assert beta.kinds("bruno") == ["envelope"]

    async def test_a_submission_too(self, alfa: Provider) -> None:
        with failing(alfa.storage), pytest.raises(Exhausted):
            await alfa.hand_in(original())
        assert alfa.is_untouched()
        assert isinstance(await alfa.hand_in(original()), Accepted)
        assert alfa.kinds("anna") == ["acceptance", "sent"]


class Exhausted(Exception):
    """The disk is full, say."""


@contextmanager
def failing(storage: Storage) -> Iterator[None]:
    """Transactions fail when all their statements were made."""
    write = storage.write

    async def failed_write(transaction: Callable[[Connection], object], *, size: int = 0) -> object:
        def failed(connection: Connection) -> object:
            transaction(connection)
            raise Exhausted

        return await write(failed, size=size)

    storage.write = failed_write  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        storage.write = write  # type: ignore[method-assign]


async def test_take_charge_receipts_wait_for_a_service_mailbox(beta: Provider, pen: Pen) -> None:
    box = beta.people.pop("posta-certificata").mailbox_id
    beta.storage.write_now(lambda connection: remove_box(connection, box))
    raw = pen.take_charge(pen.facts(sender=BRUNO), "dora@alfa.example", to=SERVICE)
    with pytest.raises(TemporaryError, match="service mailbox"):
        await beta.arrive(raw, SERVICE)
    assert beta.is_untouched()


def remove_box(connection: Connection, box: int) -> None:
    connection.execute(delete(tables.accounts).where(tables.accounts.c.mailbox_id == box))
    connection.execute(delete(tables.mailboxes).where(tables.mailboxes.c.id == box))


class TestFactsThatChange:
    """Between the decision and its transaction; each attempt takes a new instant."""

    @contextmanager
    def before_the_first_write(self, provider: Provider, change: Callable[[], object]) -> Iterator[list[int]]:
        write, attempts = provider.storage.write, [0]

        async def meddled(transaction: Callable[[Connection], object], *, size: int = 0) -> object:
            attempts[0] += 1
            provider.clock.pass_(seconds=10)
            if attempts[0] == 1:
                await asyncio.to_thread(change)
            return await write(transaction, size=size)

        provider.storage.write = meddled  # type: ignore[method-assign, assignment]
        try:
            yield attempts
        finally:
            provider.storage.write = write  # type: ignore[method-assign]

    async def test_a_mailbox_that_was_made_gets_the_message(self, beta: Provider, pen: Pen) -> None:
        raw = pen.envelope(pen.facts([NOBODY]))
        with self.before_the_first_write(beta, lambda: beta.alias(NOBODY, "carla")) as attempts:
            assert await beta.arrive(raw, NOBODY) == Taken()
        assert attempts == [2]
        assert beta.kinds("carla") == ["envelope"]
        delivery = beta.outbox()[1]
        assert delivery.row.kind == "delivery"
        assert delivery.row.created_at == START + timedelta(seconds=10)

    async def test_a_mailbox_that_is_gone_gets_a_notice(self, beta: Provider, pen: Pen) -> None:
        box = beta.people.pop("carla").mailbox_id

        def remove() -> None:
            beta.storage.write_now(lambda connection: remove_box(connection, box))

        with self.before_the_first_write(beta, remove) as attempts:
            await beta.arrive(pen.envelope(pen.facts([CARLA])), CARLA)
        assert attempts == [2]
        assert [post.row.kind for post in beta.outbox()] == ["take-charge", "non-delivery"]

    async def test_an_envelope_that_was_processed_meanwhile_is_not_done_again(self, beta: Provider, pen: Pen) -> None:
        raw = pen.envelope()
        twin = Provider("beta.example", beta.storage, twin_of=beta)

        def done_elsewhere() -> None:
            asyncio.run(twin.arrive(raw))

        with self.before_the_first_write(beta, done_elsewhere) as attempts:
            assert await beta.arrive(raw) == Taken()
        assert attempts == [3]  # ours, the other's, ours
        assert beta.kinds("bruno") == ["envelope"]
        assert [post.row.kind for post in beta.outbox()] == ["take-charge", "delivery"]

    async def test_five_changes_in_a_row_are_too_many(self) -> None:
        attempts = 0

        async def flow() -> None:
            nonlocal attempts
            attempts += 1
            raise Conflict("changed again")

        with pytest.raises(TemporaryError):
            await until_settled(flow)
        assert attempts == 5

    async def test_a_disabled_account_submits_nothing(self, alfa: Provider) -> None:
        account = alfa.people["anna"].id

        def disable() -> None:
            alfa.storage.write_now(lambda connection: accounts.set_active(connection, account, START, active=False))

        with self.before_the_first_write(alfa, disable) as attempts, pytest.raises(TemporaryError):
            await alfa.hand_in(original())
        assert attempts == [5]
        assert alfa.is_untouched()


async def test_large_messages_are_judged_beside_the_event_loop(beta: Provider, pen: Pen) -> None:
    threads: set[int] = set()
    index = beta.index

    def noticing() -> Directory:
        threads.add(threading.get_ident())
        return index()

    beta.index = noticing
    raw = pen.envelope(raw=original(body=b"una riga\r\n" * 150_000))
    assert await beta.arrive(raw) == Taken()
    assert threading.get_ident() not in threads
    await beta.arrive(pen.envelope())
    assert threading.get_ident() in threads
