"""A message with all that it holds, the messages inside it too: which part lies where (RFC 3501 section 6.4.5).

The scanner leaves a message/rfc822 part closed; here it is opened, so far as depth and number allow. Offsets are those
of the outermost message.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from receipts.octets import Octets
from receipts.parts import Part
from receipts.scanner import ScanLimits, scan

__all__ = ["Entity", "Place", "outline", "places"]

MAX_INNER = 8
"""Messages inside messages: an envelope of a forwarded envelope has four."""
MAX_ENTITIES = 10_000
"""Parts of one message and of all messages inside it."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A message or a part of one; ``base`` is added to the offsets of ``part``."""

    part: Part
    base: int
    children: tuple["Entity", ...] = ()
    inner: "Entity | None" = None  # the message in a message/rfc822 part

    @property
    def start(self) -> int:
        return self.base + self.part.start

    @property
    def body_start(self) -> int:
        return self.base + self.part.body_start

    @property
    def stop(self) -> int:
        return self.base + self.part.stop

    def walk(self) -> Iterator["Entity"]:
        """This one and all inside it, in the order of the bytes."""
        yield self
        for child in self.children:
            yield from child.walk()
        if self.inner is not None:
            yield from self.inner.walk()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a numbered part lies. The message itself has the empty path; a message without parts has one, its text."""

    path: tuple[int, ...]
    start: int  # of its own header
    body: int  # behind the empty line
    stop: int
    inner: int  # of message/rfc822: where the text of the message inside begins; else -1


def outline(message: Octets, root: Part | None = None) -> Entity:
    """The outline of a message. ``root`` is its scan, if that was made already."""
    return _Outline(message).entity(root or scan(message), 0, MAX_INNER)


def places(root: Entity) -> list[Place]:
    """The message, then every numbered part in order."""
    return [_place((), root), *_inside(root, ())]


class _Outline:
    def __init__(self, message: Octets) -> None:
        self._message = message
        self._left = MAX_ENTITIES

    def entity(self, part: Part, base: int, depth: int) -> Entity:
        self._left -= 1
        children = tuple(self.entity(child, base, depth) for child in part.children)
        inner = None
        if part.type == "message/rfc822" and depth and self._left > 0:
            start, stop = base + part.body_start, base + part.stop
            limits = replace(ScanLimits(), parts=self._left, fields=5_000)
            inner = self.entity(scan(self._message.slice(start, stop), limits), start, depth - 1)
        return Entity(part, base, children, inner)


def _place(path: tuple[int, ...], entity: Entity) -> Place:
    inner = -1 if entity.inner is None or not path else entity.inner.body_start
    return Place(path, entity.start, entity.body_start, entity.stop, inner)


def _inside(message: Entity, path: tuple[int, ...]) -> Iterator[Place]:
    """The parts of a message whose own path is ``path``."""
    if message.children:
        for number, child in enumerate(message.children, 1):
            yield from _part((*path, number), child)
    else:
        yield from _part((*path, 1), message)


def _part(path: tuple[int, ...], entity: Entity) -> Iterator[Place]:
    yield _place(path, entity)
    if entity.inner is not None:
        yield from _inside(entity.inner, path)
    else:
        for number, child in enumerate(entity.children, 1):
            yield from _part((*path, number), child)
