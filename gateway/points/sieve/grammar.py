"""Words of a Sieve script to commands with their arguments (RFC 5228 section 8.2); what they mean is for ``check``."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from gateway.points.sieve.limits import MAX_ARGUMENTS, MAX_COMMANDS, MAX_DEPTH
from gateway.points.sieve.tokens import Place, Sort, Token, tokens

__all__ = ["Argument", "Command", "Tag", "commands"]


@dataclass(frozen=True, slots=True)
class Tag:
    name: str  # in lower case, without the colon


@dataclass(frozen=True, slots=True)
class Argument:
    """A number, a text list (a single text is a list of one), or a tag."""

    value: int | tuple[str, ...] | Tag
    place: Place
    listed: bool = False  # written in brackets


@dataclass(frozen=True, slots=True)
class Command:
    """A command, or a test: they are written alike."""

    name: str
    arguments: tuple[Argument, ...]
    tests: tuple["Command", ...]
    block: tuple["Command", ...] | None  # None: a semicolon, or a test
    place: Place
    several: bool = False  # tests in parentheses


def commands(script: bytes) -> tuple[Command, ...]:
    """The commands of a script. Raises ScriptRefused."""
    return _Reading(tokens(script)).all()


class _Reading:
    """One pass over the words, one word ahead."""

    def __init__(self, words: Iterator[Token]) -> None:
        self._words = words
        self._next = next(words)
        self._commands = 0

    def all(self) -> tuple[Command, ...]:
        found: list[Command] = []
        while self._next.sort is not Sort.END:
            found.append(self._command(0))
        return tuple(found)

    def _command(self, depth: int) -> Command:
        name = self._name("a command")
        arguments = self._arguments()
        tests, several = self._tests(0)
        if self._is("{"):
            block = self._block(name.place, depth + 1)
        else:
            block = None
            self._expect(";", f"{name.text}: a semicolon is missing")
        return Command(name.text, arguments, tests, block, name.place, several)

    def _block(self, place: Place, depth: int) -> tuple[Command, ...]:
        if depth > MAX_DEPTH:
            raise place.refuse(f"blocks stand in each other at most {MAX_DEPTH} deep")
        opened = self._take().place
        found: list[Command] = []
        while not self._is("}"):
            if self._next.sort is Sort.END:
                raise opened.refuse("the block ends nowhere: } is missing")
            found.append(self._command(depth))
        self._take()
        return tuple(found)

    def _tests(self, depth: int) -> tuple[tuple[Command, ...], bool]:
        if self._next.sort is Sort.WORD:
            return (self._test(depth + 1),), False
        if not self._is("("):
            return (), False
        self._take()
        found = [self._test(depth + 1)]
        while self._is(","):
            self._take()
            found.append(self._test(depth + 1))
        self._expect(")", "a closing parenthesis or a comma is missing")
        return tuple(found), True

    def _test(self, depth: int) -> Command:
        name = self._name("a test")
        if depth > MAX_DEPTH:
            raise name.place.refuse(f"tests stand in each other at most {MAX_DEPTH} deep")
        arguments = self._arguments()
        tests, several = self._tests(depth)
        return Command(name.text, arguments, tests, None, name.place, several)

    def _name(self, what: str) -> Token:
        self._commands += 1
        if self._commands > MAX_COMMANDS:
            raise self._next.place.refuse(f"a script has at most {MAX_COMMANDS} commands and tests")
        if self._next.sort is not Sort.WORD:
            raise self._next.place.refuse(f"{what} is expected, not {_shown(self._next)}")
        return self._take()

    def _arguments(self) -> tuple[Argument, ...]:
        found: list[Argument] = []
        while True:
            word = self._next
            if word.sort is Sort.NUMBER:
                found.append(Argument(self._take().number, word.place))
            elif word.sort is Sort.TEXT:
                found.append(Argument((self._take().text,), word.place))
            elif word.sort is Sort.TAG:
                found.append(Argument(Tag(self._take().text), word.place))
            elif self._is("["):
                found.append(self._list())
            else:
                return tuple(found)
            if len(found) > MAX_ARGUMENTS:
                raise word.place.refuse(f"no command has more than {MAX_ARGUMENTS} arguments")

    def _list(self) -> Argument:
        place = self._take().place
        texts = [self._text()]
        while self._is(","):
            self._take()
            texts.append(self._text())
        self._expect("]", "a closing bracket or a comma is missing")
        return Argument(tuple(texts), place, listed=True)

    def _text(self) -> str:
        if self._next.sort is not Sort.TEXT:
            raise self._next.place.refuse(f"a text in quotation marks is expected, not {_shown(self._next)}")
        return self._take().text

    def _is(self, sign: str) -> bool:
        return self._next.sort is Sort.SIGN and self._next.text == sign

    def _expect(self, sign: str, complaint: str) -> None:
        if not self._is(sign):
            raise self._next.place.refuse(complaint)
        self._take()

    def _take(self) -> Token:
        taken = self._next
        if taken.sort is not Sort.END:
            self._next = next(self._words)
        return taken


_LONGEST_SHOWN: Final = 40


def _shown(token: Token) -> str:
    match token.sort:
        case Sort.END:
            return "the end"
        case Sort.TEXT:
            return "a text"
        case Sort.TAG:
            return f":{token.text[:_LONGEST_SHOWN]}"
        case _:
            return token.text[:_LONGEST_SHOWN]
