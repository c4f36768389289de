"""Names of scripts, and how many a box has (RFC 5804 section 1.6)."""

import unicodedata
from typing import Final

__all__ = ["MAX_SCRIPTS", "is_script_name"]

MAX_SCRIPTS: Final = 20
MAX_NAME: Final = 128  # characters


def is_script_name(name: str) -> bool:
    """Whether a script may be called so: something to be seen, and nothing that moves a cursor."""
    return 0 < len(name) <= MAX_NAME and not any(
        unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name
    )
