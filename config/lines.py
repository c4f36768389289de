"""On which line of a TOML file each key and each list element stands, which ``tomllib`` does not tell."""

import re
import tomllib
from collections.abc import Mapping

__all__ = ["KeyPath", "key_lines"]

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED_KEY = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'')
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_PLAIN = re.compile(r"[^,\]}\n#]*")


def key_lines(text: str) -> Mapping[KeyPath, int]:
    """Line numbers, from 1, by key path; elements of lists count from 0. ``text`` is valid TOML."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    """Walks over a document that ``tomllib`` has accepted, so that it need not look for faults."""

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._elements: dict[KeyPath, int] = {}  # how many tables each [[array]] has so far

    def document(self) -> None:
        table: KeyPath = ()
        while self._skip_blank():
            start = self._at
            if self._take("[["):
                keys = self._key()
                self._skip_blank()
                self._take("]]")
                array = self._inside_arrays(keys[:-1], start) + keys[-1:]
                count = self._elements.get(array, 0)
                self._elements[array] = count + 1
                self._note(array, start)
                table = (*array, count)
                self._note(table, start)
            elif self._take("["):
                table = self._inside_arrays(self._key(), start)
                self._skip_blank()
                self._take("]")
            else:
                self._pair(table)

    def _inside_arrays(self, keys: KeyPath, start: int) -> KeyPath:
        """The same path with the number of the latest element behind the name of each array of tables."""
        path: KeyPath = ()
        for key in keys:
            path = (*path, key)
            self._note(path, start)
            if path in self._elements:
                path = (*path, self._elements[path] - 1)
        return path

    def _pair(self, table: KeyPath) -> None:
        start = self._at
        path = table
        for key in self._key():
            path = (*path, key)
            self._note(path, start)
        self._skip_blank()
        self._take("=")
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        self._skip_blank()
        self._note(path, self._at)
        if self._take("["):
            index = 0
            while self._skip_blank() and not self._take("]"):
                self._value((*path, index))
                index += 1
                self._skip_comma()
        elif self._take("{"):
            while self._skip_blank() and not self._take("}"):
                self._pair(path)
                self._skip_comma()
        elif not self._match(_STRING):
            self._match(_PLAIN)

    def _key(self) -> KeyPath:
        keys: list[str] = []
        while True:
            self._skip_blank()
            quoted = self._match(_QUOTED_KEY)
            keys.append(next(iter(tomllib.loads(f"{quoted} = 0"))) if quoted else self._match(_BARE_KEY))
            self._skip_blank()
            if not self._take("."):
                return tuple(keys)

    def _note(self, path: KeyPath, offset: int) -> None:
        self.lines.setdefault(path, self._text.count("\n", 0, offset) + 1)

    def _skip_comma(self) -> None:
        self._skip_blank()
        self._take(",")

    def _skip_blank(self) -> bool:
        """Step over spaces, line ends and comments; false at the end of the document."""
        self._match(_BLANK)
        return self._at < len(self._text)

    def _take(self, token: str) -> bool:
        found = self._text.startswith(token, self._at)
        self._at += len(token) if found else 0
        return found

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found.group()
