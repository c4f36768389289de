"""``python -m tests.conformance`` writes docs/conformance.md from requirements, marks and mutants."""

from tests.requirements import ROOT, Group, Standing, marked_tests, mutants, read_groups, read_results

__all__ = ["CONFORMANCE", "conformance_markdown"]

CONFORMANCE = ROOT / "docs" / "conformance.md"
SHOWN = 3  # tests named in a row

HEADER = """\
# Conformance

Made by `make docs`; a test fails when this page and the code differ. The requirements are those of
`docs/requirements.toml`. A requirement that binds (M must, P must not) is proved by tests marked with its id and by a
mutant, a small patch that breaks just that rule and that these tests catch (`make mutants`); one that does not bind
(S should, O may, N a fact) by tests alone.
"""


def conformance_markdown() -> str:
    """The whole page."""
    groups = read_groups()
    standings = _standings(groups)
    parts = [HEADER, _summary(groups, standings)]
    parts += [_table(group, standings) for group in groups]
    proved = [id_ for id_, (standing, _) in standings.items() if standing.proved]
    parts.append(f"\n## What is proved today\n\n{len(proved)} requirements: {', '.join(proved) or 'none'}.\n")
    return "".join(parts)


def _standings(groups: tuple[Group, ...]) -> dict[str, tuple[Standing, tuple[str, ...]]]:
    tests, patches, outcomes = marked_tests(), mutants(), read_results()
    return {
        one.id: (
            Standing.of(one, tests.get(one.id, ()), patches.get(one.id), outcomes.get(one.id)),
            tests.get(one.id, ()),
        )
        for group in groups
        for one in group.requirements
    }


def _summary(groups: tuple[Group, ...], standings: dict[str, tuple[Standing, tuple[str, ...]]]) -> str:
    rows = ["\n| group | proved | not yet | not applicable |\n| --- | --- | --- | --- |\n"]
    total = [0, 0, 0]
    for group in groups:
        counts = [0, 0, 0]
        for one in group.requirements:
            standing = standings[one.id][0]
            counts[0 if standing.proved else 2 if one.elsewhere else 1] += 1
        total = [a + b for a, b in zip(total, counts, strict=True)]
        rows.append(f"| {group.title} | {counts[0]} | {counts[1]} | {counts[2]} |\n")
    rows.append(f"| **all** | **{total[0]}** | **{total[1]}** | **{total[2]}** |\n")
    return "".join(rows)


def _table(group: Group, standings: dict[str, tuple[Standing, tuple[str, ...]]]) -> str:
    rows = [f"\n## {group.title}\n\n| id | level | requirement | standing | tests |\n| --- | --- | --- | --- | --- |\n"]
    for one in group.requirements:
        standing, tests = standings[one.id]
        named = ", ".join(f"`{test.removeprefix('tests/')}`" for test in tests[:SHOWN])
        more = f" and {len(tests) - SHOWN} more" if len(tests) > SHOWN else ""
        rows.append(f"| {one.id} | {one.level} | {one.text} | {standing.text} | {named}{more} |\n")
    return "".join(rows)


def main() -> None:
    CONFORMANCE.write_text(conformance_markdown())


if __name__ == "__main__":
    main()
