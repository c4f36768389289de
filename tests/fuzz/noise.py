"""Many inputs from one number: to draw each word of each of them costs far more than what is to be tried."""

from collections.abc import Callable, Sequence
from random import Random

from hypothesis import strategies as st

__all__ = ["INPUTS", "inputs", "noise"]

INPUTS = 20
"""Of one example."""


def inputs(make: Callable[[Random], bytes]) -> st.SearchStrategy[list[bytes]]:
    """Inputs as ``make`` draws them."""

    def made(seed: int) -> list[bytes]:
        random = Random(seed)
        return [make(random) for _ in range(INPUTS)]

    return st.integers(0, 2**64 - 1).map(made)


def noise(random: Random, words: Sequence[bytes], most: int, between: bytes = b"") -> bytes:
    """Up to ``most`` words in any order, and now and then a byte that is none."""
    count = random.randrange(most + 1)
    return between.join([random.choice(words) if random.random() < 0.9 else random.randbytes(1) for _ in range(count)])
