"""Passwords at rest (D16)."""

import argon2
import pytest

from gateway.drivers.passwords import (
    UNKNOWN,
    device_digest,
    device_lookup,
    hash_password,
    is_device,
    is_password,
    new_device,
)
from gateway.drivers.sources import RandomIds


class Ids:
    """The ids a test expects."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = iter(tokens)

    def token(self) -> str:
        return next(self._tokens)


def test_a_chosen_password_is_kept_with_argon2id() -> None:
    kept = hash_password("corretto cavallo")
    assert argon2.extract_parameters(kept) == argon2.Parameters(
        argon2.Type.ID, version=19, salt_len=16, hash_len=32, time_cost=2, memory_cost=19 * 1024, parallelism=1
    )
    assert is_password(kept, "corretto cavallo")
    assert not is_password(kept, "corretto Cavallo")
    assert kept != hash_password("corretto cavallo")


def test_the_hash_for_strangers_costs_what_a_real_one_costs() -> None:
    assert argon2.extract_parameters(UNKNOWN) == argon2.extract_parameters(hash_password("x"))
    assert not is_password(UNKNOWN, "")


@pytest.mark.parametrize("kept", ["", "x", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv", "è"])
def test_what_is_no_hash_fits_nothing(kept: str) -> None:
    assert not is_password(kept, "x")


@pytest.mark.parametrize("password", ["", "perché no", "\udcff", "\0", "x" * 100_000])
def test_any_text_is_some_password(password: str) -> None:
    assert is_password(hash_password(password), password)


def test_a_device_password_is_a_lookup_id_and_128_random_bits() -> None:
    made = new_device(Ids("0123456789abcdef" * 2, "fedcba9876543210" * 2))
    assert made.secret == "01234567" + "fedcba9876543210" * 2
    assert made.lookup == device_lookup(made.secret) == "01234567"
    assert is_device(made.digest, made.secret)
    assert not is_device(made.digest, made.secret[:-1] + "1")
    assert made.digest == device_digest(made.secret)


def test_device_passwords_differ() -> None:
    assert len({new_device(RandomIds()).secret for _ in range(100)}) == 100


@pytest.mark.parametrize("password", ["", "0123", "g" * 40, "A" * 40, "0" * 39, "0" * 41, "corretto cavallo"])
def test_what_people_choose_is_no_device_password(password: str) -> None:
    assert device_lookup(password) is None
