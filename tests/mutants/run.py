"""``make mutants``: break each requirement in a copy, and see that the tests marked with it fail.

Each ``ID.patch`` is applied to a copy of the tree; the tests marked with the id run there and must fail. The outcomes
are kept in results.toml, which docs/conformance.md reads.
"""

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.requirements import ROOT, marked_tests, mutants, write_results

__all__ = ["copy_of_the_tree", "main", "outcome_of"]

SECONDS_PER_TEST = 120
KILLED, SURVIVED = "killed", "survived"
BROKEN, UNTESTED = "breaks the program instead of the rule", "without tests"
OUTCOMES = {0: SURVIVED, 1: KILLED, 2: BROKEN, 4: BROKEN, 5: UNTESTED}  # by pytest's exit codes


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("ids", nargs="*", help="requirements; all that have a mutant when left out")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    patches, tests = mutants(), marked_tests()
    wanted = options.ids or list(patches)
    if unknown := [id_ for id_ in wanted if id_ not in patches]:
        parser.error(f"no mutant for {', '.join(unknown)}")
    with ExitStack() as cleanup:
        folders = [Path(cleanup.enter_context(tempfile.TemporaryDirectory())) for _ in range(options.jobs)]
        copies = [copy_of_the_tree(folder) for folder in folders]
        if not _passes_unbroken(copies[0], {test for id_ in wanted for test in tests.get(id_, ())}):
            return 2
        outcomes = _run({id_: patches[id_] for id_ in wanted}, tests, copies)
    write_results(outcomes)
    print(f"{sum(outcome == KILLED for outcome in outcomes.values())} of {len(outcomes)} mutants killed")
    return 0 if set(outcomes.values()) <= {KILLED} else 1


def copy_of_the_tree(folder: Path, root: Path = ROOT) -> Path:
    """Every file that git knows or would take in, as it is now."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (root / name).is_file():  # a file that was removed is still listed
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    return folder


def outcome_of(patch: Path, tests: Iterable[str], copy: Path) -> str:
    """Break the copy, run what is marked with the patch's id among the tests, mend the copy."""
    if subprocess.run(["git", "apply", str(patch)], cwd=copy, capture_output=True, check=False).returncode:
        return "does not apply"
    try:
        if not tests:
            return UNTESTED
        done = _pytest(copy, tests, "--exitfirst", "--requirement", patch.stem)
        return OUTCOMES.get(done.returncode, "could not be judged")
    finally:
        subprocess.run(["git", "apply", "--reverse", str(patch)], cwd=copy, check=True)


def _passes_unbroken(copy: Path, tests: Iterable[str]) -> bool:
    """Whether all the tests pass in the copy as it is: else their failing would prove nothing."""
    done = _pytest(copy, sorted(tests), "--numprocesses", "auto")
    if done.returncode != 0:
        print(done.stdout[-4000:], done.stderr[-1000:], "the tests fail without any mutant", sep="\n")
    return done.returncode == 0


def _run(patches: Mapping[str, Path], tests: Mapping[str, tuple[str, ...]], copies: Iterable[Path]) -> dict[str, str]:
    free: queue.Queue[Path] = queue.Queue()
    for copy in copies:
        free.put(copy)

    def one(id_: str) -> tuple[str, str]:
        copy = free.get()
        try:
            outcome = outcome_of(patches[id_], tests.get(id_, ()), copy)
        finally:
            free.put(copy)
        print(f"{id_:8} {outcome}", flush=True)
        return id_, outcome

    with ThreadPoolExecutor(free.qsize()) as pool:
        return dict(pool.map(one, patches))


def _pytest(copy: Path, tests: Iterable[str], *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "--quiet", "--no-header", "--tb=short"]
    plugins = ["-p", "no:cacheprovider", "-p", "tests.mutants.select"]
    return subprocess.run(
        [*command, *plugins, "--timeout", str(SECONDS_PER_TEST), *options, *tests],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": f"{copy}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
