"""Records: dataclasses that nobody changes, and that cost no more to make than those that anybody may change.

A frozen dataclass sets each field by a call of its own, which is two thirds of making one; a certified message makes
hundreds. So a record is frozen to the type checker only, which finds every assignment there is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

__all__ = ["record"]

Class = TypeVar("Class")


@dataclass_transform(frozen_default=True)
def record(*, kw_only: bool = False) -> Callable[[type[Class]], type[Class]]:
    """A class of named facts with slots, equal and hashed by all its fields."""
    return dataclass(slots=True, unsafe_hash=True, kw_only=kw_only)
