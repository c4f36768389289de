"""Whom port 25 takes mail for (D7): our own mailboxes, and nobody by way of us."""

from datetime import timedelta

import pytest

from gateway.flows.outcomes import RecipientAnswer
from gateway.storage import accounts
from gateway.storage.engine import Storage
from tests.flows.credentials import START
from tests.flows.house import Provider

WELCOME, NOT_LOCAL, UNKNOWN = RecipientAnswer.WELCOME, RecipientAnswer.NOT_LOCAL, RecipientAnswer.UNKNOWN_MAILBOX


@pytest.fixture
def storage(sqlite_storage: Storage) -> Storage:
    """Storage tests ask the same questions of both databases."""
    return sqlite_storage


@pytest.mark.parametrize(
    ("reverse_path", "forward_path", "answer"),
    [
        ("x@mail.example", "bruno@beta.example", WELCOME),
        ("x@mail.example", "Bruno@BETA.example", WELCOME),
        ("x@mail.example", '"bruno"@beta.example', WELCOME),
        ("x@mail.example", "ufficio@beta.example", WELCOME),
        ("x@mail.example", "postmaster@beta.example", WELCOME),
        ("x@mail.example", "ABUSE@beta.example", WELCOME),
        ("x@mail.example", "posta-certificata@beta.example", WELCOME),
        ("", "bruno@beta.example", WELCOME),
        ("x@mail.example", "nessuno@beta.example", UNKNOWN),
        ("", "nessuno@beta.example", UNKNOWN),
        ("anna@sub.alfa.example", "nessuno@beta.example", UNKNOWN),
        ("anna@alfa.example", "nessuno@beta.example", WELCOME),  # an envelope would earn its sender a notice
        ("anna@alfa.example", "bruno@gamma.example", NOT_LOCAL),
        ("anna@alfa.example", "bruno@mail.example", NOT_LOCAL),
        ("anna@alfa.example", "bruno@sub.beta.example", NOT_LOCAL),
        ("anna@alfa.example", "bruno@[127.0.0.1]", NOT_LOCAL),
        ("anna@alfa.example", "bruno", NOT_LOCAL),
        ("anna@alfa.example", "x%mail.example@beta.example", NOT_LOCAL),
        ("anna@alfa.example", "mail.example!x@beta.example", NOT_LOCAL),
        ("anna@alfa.example", '"x@mail.example"@beta.example', NOT_LOCAL),
        ("anna@alfa.example", "@gamma.example:bruno@beta.example", NOT_LOCAL),
    ],
)
async def test_each_path_has_its_answer(
    beta: Provider, reverse_path: str, forward_path: str, answer: RecipientAnswer
) -> None:
    beta.alias("ufficio@beta.example", "bruno")
    assert await beta.check_recipient(reverse_path, forward_path) is answer


async def test_a_mailbox_that_was_found_is_remembered_for_a_moment(beta: Provider) -> None:
    assert await beta.check_recipient("carla@alfa.example", "bruno@beta.example") is WELCOME
    read = beta.storage.read
    asked = 0

    async def counted(question: object) -> object:
        nonlocal asked
        asked += 1
        return await read(question)  # type: ignore[arg-type, misc]

    beta.storage.read = counted  # type: ignore[method-assign, assignment]
    assert await beta.check_recipient("anna@alfa.example", "Bruno@beta.example") is WELCOME
    assert asked == 0
    beta.clock.at += timedelta(seconds=5)
    assert await beta.check_recipient("anna@alfa.example", "bruno@beta.example") is WELCOME
    assert asked == 1


async def test_a_mailbox_that_is_made_is_welcome_at_once(beta: Provider) -> None:
    assert await beta.check_recipient("x@mail.example", "dora@beta.example") is UNKNOWN
    new = accounts.NewAccount(address="dora@beta.example", at=START)
    beta.storage.write_now(lambda connection: accounts.add_account(connection, new))
    assert await beta.check_recipient("x@mail.example", "dora@beta.example") is WELCOME
