"""The requirements, the tests marked with them, their mutants, and what became of each."""

import ast
import hashlib
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Group",
    "Requirement",
    "Standing",
    "marked_tests",
    "marks_in",
    "mutants",
    "read_groups",
    "read_results",
    "write_results",
]

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "docs" / "requirements.toml"
MUTANTS = ROOT / "tests" / "mutants"
RESULTS = MUTANTS / "results.toml"
BINDING = ("M", "P")  # levels that need a mutant


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One line of docs/requirements.toml."""

    id: str
    level: str  # M must, P must not, S should, O may, N no order
    text: str
    elsewhere: str | None = None  # why there is nothing to prove here


@dataclass(frozen=True, slots=True)
class Group:
    """Requirements about one thing."""

    title: str
    requirements: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a requirement stands: proved, not yet and why, or not applicable and why."""

    proved: bool
    text: str

    @classmethod
    def of(
        cls, requirement: Requirement, tests: tuple[str, ...], patch: Path | None, outcome: str | None
    ) -> "Standing":
        """Judge a requirement.

        Args:
            tests: ids of the tests marked with it.
            outcome: what happened to the mutant when it last ran as it is now; None if it did not.
        """
        if requirement.elsewhere:
            return cls(False, f"not applicable: {requirement.elsewhere}")
        if not tests:
            return cls(False, "not yet")
        if requirement.level not in BINDING:
            return cls(True, "proved")
        if patch is None:
            return cls(False, "not yet: no mutant")
        if outcome != "killed":
            return cls(False, f"not yet: mutant {outcome or 'not run'}")
        return cls(True, "proved, mutant killed")


def read_groups(file: Path = REQUIREMENTS) -> tuple[Group, ...]:
    """All requirements in the order of the file."""
    groups = []
    for prefix, table in tomllib.loads(file.read_text()).items():
        title = table.pop("title")
        groups.append(Group(title, tuple(Requirement(id=f"{prefix}-{number}", **row) for number, row in table.items())))
    return tuple(groups)


def marked_tests(root: Path = ROOT) -> Mapping[str, tuple[str, ...]]:
    """Ids of the tests marked with each requirement, as pytest takes them on its command line."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    for file in sorted((root / "tests").rglob("test_*.py")):
        for requirement, test in marks_in(file.read_text(), file.relative_to(root).as_posix()):
            found[requirement][test] = None
    return {requirement: tuple(tests) for requirement, tests in found.items()}


def marks_in(source: str, name: str) -> Iterator[tuple[str, str]]:
    """Each requirement and the test marked with it; a mark outside any test stands for the whole file.

    Raises:
        ValueError: a mark is computed and not written out.
    """
    yield from _marks(ast.parse(source, name), name)


def _marks(node: ast.AST, owner: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        owner = f"{owner}::{node.name}"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "req":
        for argument in node.args:
            if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                raise ValueError(f"{owner}:{node.lineno}: a requirement is named by plain text")
            yield argument.value, owner
    for child in ast.iter_child_nodes(node):
        yield from _marks(child, owner)


def mutants(folder: Path = MUTANTS) -> Mapping[str, Path]:
    """The patch of each requirement that has one."""
    return {file.stem: file for file in sorted(folder.glob("*.patch"))}


def patch_digest(patch: Path) -> str:
    """What tells a patch from a later one."""
    return hashlib.sha256(patch.read_bytes()).hexdigest()[:16]


def read_results(file: Path = RESULTS) -> Mapping[str, str]:
    """What happened to each mutant that is still as it was when it ran."""
    if not file.exists():
        return {}
    rows = tomllib.loads(file.read_text())
    patches = mutants(file.parent)
    return {
        id_: row["outcome"]
        for id_, row in rows.items()
        if id_ in patches and patch_digest(patches[id_]) == row["patch"]
    }


def write_results(outcomes: Mapping[str, str], file: Path = RESULTS) -> None:
    """Keep outcomes, and those of before for mutants that did not run and are unchanged."""
    patches = mutants(file.parent)
    rows = {**read_results(file), **outcomes}
    lines = [f'{id_} = {{ patch = "{patch_digest(patches[id_])}", outcome = "{rows[id_]}" }}\n' for id_ in sorted(rows)]
    file.write_text("# Written by `make mutants`.\n" + "".join(lines))
