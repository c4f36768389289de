"""Which of our languages a browser asks for (RFC 9110 12.5.4)."""

import re
from typing import Final

__all__ = ["LANGUAGES", "preferred"]

LANGUAGES: Final = ("it", "en")
"""Those that holders are written to in; the first for whoever names none."""
_STRANGERS: Final = "en"  # who reads neither
_LONGEST: Final = 1_000  # characters that are looked at
_RANGE: Final = re.compile(r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]*)?\s*(?:;\s*[qQ]=([01](?:\.[0-9]{0,3})?)\s*)?")


def preferred(accept_language: str) -> str:
    """The best one of ours; what cannot be read is passed over."""
    wanted = dict[str, float]()
    for piece in accept_language[:_LONGEST].split(","):
        found = _RANGE.fullmatch(piece)
        if found is not None:
            wanted.setdefault(found[1].lower(), float(found[2] or 1))
    wanted = {name: weight for name, weight in wanted.items() if weight > 0}
    if not wanted or set(wanted) == {"*"}:
        return LANGUAGES[0]
    ours = [name for name in wanted if name in LANGUAGES]
    return max(ours, key=wanted.__getitem__, default=_STRANGERS)
