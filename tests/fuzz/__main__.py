"""``python -m tests.fuzz [--seconds N] [TARGET...]``: look for input that a reader does not stand."""

import argparse
import random
import sys
import time
from collections.abc import Callable

from hypothesis import HealthCheck, seed, settings

from tests.fuzz.targets import TARGETS

__all__ = ["fuzz", "main"]

ROUND = 500
"""Examples of one property before the next has its turn."""

PATIENT = settings(
    max_examples=ROUND, deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck)
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(TARGETS)}; all when left out")
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args(arguments)
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}")
    for name in options.targets or TARGETS:
        rounds = fuzz(TARGETS[name], options.seconds, options.seed)
        print(f"{name}: {rounds * ROUND} examples, seed {options.seed}: nothing found", flush=True)
    return 0


def fuzz(properties: tuple[Callable[[], None], ...], seconds: float, first_seed: int) -> int:
    """Try properties in turn until the time is over; what fails is raised, made as small as hypothesis can.

    Returns:
        How many rounds of ROUND examples there were.
    """
    patient = [PATIENT(each) for each in properties]
    end = time.monotonic() + seconds
    rounds = 0
    while rounds < len(properties) or time.monotonic() < end:
        seed(first_seed + rounds)(patient[rounds % len(patient)])()
        rounds += 1
    return rounds


if __name__ == "__main__":
    sys.exit(main())
