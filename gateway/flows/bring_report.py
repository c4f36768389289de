"""What a run over a box at another provider did, and where it is."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from gateway.flows.following import Look

__all__ = ["Report", "Step"]

_MOST_NAMED: Final = 1_000  # messages, of each sort


@dataclass(slots=True)
class Report:
    """What a run did."""

    folders: int = 0
    brought: int = 0
    here_before: int = 0
    bytes: int = 0
    changed: int = 0  # messages here that got other flags, as theirs did
    moved: int = 0  # messages that are in another place there
    gone: int = 0  # messages that were there when we last looked
    deleted: int = 0  # messages here that went to the trash, as theirs were deleted
    verdicts: Counter[str] = field(default_factory=Counter)  # of certified messages, by the judge's words
    suspicious: list[str] = field(default_factory=list)  # folder and UID of those that did not verify
    left_out: list[str] = field(default_factory=list)  # folder and UID, and why

    def add(self, look: Look, *, again: bool = False) -> None:
        self.changed += look.changed
        self.gone += look.gone
        if not again:
            self.folders += 1
            self.here_before += look.known

    def leave_out(self, what: str) -> None:
        if len(self.left_out) < _MOST_NAMED:
            self.left_out.append(what)

    def judged(self, what: str, verdict: str, *, good: bool) -> None:
        self.verdicts[verdict] += 1
        if not good and len(self.suspicious) < _MOST_NAMED:
            self.suspicious.append(f"{what}: {verdict}")


@dataclass(frozen=True, slots=True)
class Step:
    """Where a run is."""

    folder: str
    done: int  # messages of this folder
    of: int
