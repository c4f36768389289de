"""Which package may import which, and what a pure module may not touch, read from the syntax tree."""

import ast
from collections.abc import Iterator
from pathlib import Path

__all__ = ["LAYERS", "PURE", "faults_of_import", "faults_of_purity", "modules", "place"]

LAYERS = (  # lowest first; packages of one row do not know each other, except in the last
    ("receipts",),
    ("providers", "config"),
    ("gateway.points",),
    ("gateway.storage", "gateway.drivers", "providers.sync"),
    ("gateway.flows",),
    ("gateway.smtp", "gateway.mailbox", "gateway.web", "gateway.workers"),
    ("gateway.app", "gateway.cli", "gateway.commands", "gateway.lab"),
)
PURE = 3  # so many rows from below decide and write, and touch nothing outside
TOP = len(LAYERS) - 1
PRODUCT = frozenset({"receipts", "providers", "config", "gateway"})

IMPURE_MODULES = frozenset(
    """aiosmtpd alembic asyncio concurrent ctypes fcntl ftplib glob http importlib multiprocessing os psycopg queue
    random sched secrets select selectors shutil signal smtplib socket socketserver sqlalchemy sqlite3 ssl starlette
    structlog subprocess tempfile threading time urllib.request uuid uvicorn""".split()  # noqa: SIM905
)
IMPURE_NAMES = {
    "email.utils": {"make_msgid", "formatdate", "localtime"},
    "datetime": {"now", "today", "utcnow"},
}
CLOCK_CALLS = frozenset({"now", "today", "utcnow", "make_msgid", "formatdate", "localtime"})
FILE_CALLS = frozenset(
    """read_text read_bytes write_text write_bytes iterdir rglob mkdir rmdir unlink touch is_file is_dir is_symlink
    expanduser cwd home symlink_to hardlink_to chmod lstat""".split()  # noqa: SIM905
)
BUILTIN_CALLS = frozenset({"open", "input", "print", "__import__", "eval", "exec"})


def modules(root: Path) -> Iterator[tuple[str, Path]]:
    """Name and file of every module of the product."""
    for top in sorted(PRODUCT):
        for file in sorted((root / top).rglob("*.py")):
            parts = file.relative_to(root).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


def place(name: str) -> tuple[int, str] | None:
    """The row of a module and its package in that row; the longest name wins, so ``providers.sync`` is no provider."""
    found = [(row, package) for row, packages in enumerate(LAYERS) for package in packages if _within(name, package)]
    return max(found, key=lambda one: len(one[1]), default=None)


def faults_of_import(name: str, source: str, *, is_package: bool = False) -> list[str]:
    """Every import that points up or sideways."""
    own = place(name)
    if own is None:
        return [] if name == "gateway" else [f"{name}: stands in no layer"]
    faults = []
    for line, imported in _imports(name, ast.parse(source), is_package=is_package):
        target = place(imported)
        if target is None or target[1] == own[1]:
            continue
        if target[0] > own[0] or (target[0] == own[0] != TOP):
            faults.append(f"{name}:{line} imports {imported}")
    return faults


def faults_of_purity(name: str, source: str) -> list[str]:
    """Everything by which a module of the pure rows would touch clock, chance, disk, net, threads or a database."""
    own = place(name)
    if own is None or own[0] >= PURE:
        return []
    tree = ast.parse(source)
    faults = [
        f"{name}:{line} imports {imported}"
        for line, imported in _imports(name, tree)
        if any(_within(imported, impure) for impure in IMPURE_MODULES)
        or any(imported == f"{module}.{word}" for module, words in IMPURE_NAMES.items() for word in words)
    ]
    acts = ((getattr(node, "lineno", 0), _impure_act(node)) for node in ast.walk(tree))
    return faults + [f"{name}:{line} {act}" for line, act in acts if act]


def _impure_act(node: ast.AST) -> str | None:
    if isinstance(node, ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith | ast.Await):
        return "is asynchronous"
    if isinstance(node, ast.comprehension) and node.is_async:
        return "is asynchronous"
    if isinstance(node, ast.Attribute) and node.attr in CLOCK_CALLS | FILE_CALLS:
        return f"uses .{node.attr}"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BUILTIN_CALLS:
        return f"calls {node.func.id}()"
    if isinstance(node, ast.Global):
        return "keeps state in a global name"
    return None


def _imports(name: str, tree: ast.AST, *, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """Line and full name of all that is imported, at any depth; ``from a import b`` counts as ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = name.split(".")
                parents = parents[: len(parents) - node.level + is_package]
                base = ".".join([*parents, base] if base else parents)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def _within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")
