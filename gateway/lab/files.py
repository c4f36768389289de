"""Files of the lab: private ones, and ones that appear whole or not at all."""

import os
from pathlib import Path

__all__ = ["write_private", "write_public"]


def write_private(file: Path, content: bytes) -> None:
    """Put ``content`` into ``file`` by rename, readable by its owner alone."""
    _write(file, content, 0o600)


def write_public(file: Path, content: bytes) -> None:
    """Put ``content`` into ``file`` by rename, readable by everybody."""
    _write(file, content, 0o644)


def _write(file: Path, content: bytes, mode: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as out:
        out.write(content)
    partial.replace(file)
