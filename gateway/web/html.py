"""HTML that is safe as it is built: every text is escaped, but for what this module built itself."""

from html import escape
from typing import Final

__all__ = ["Html", "block", "document", "element", "joined", "raw"]

_EMPTY: Final = frozenset({"input", "meta"})  # elements without an end (HTML 13.1.2)

Attribute = str | bool | None
"""True: the name alone; False or None: left out."""


class Html(str):
    """Markup. Whatever is another ``str`` is text."""

    __slots__ = ()


def element(name: str, /, *inside: str, **attributes: Attribute) -> Html:
    """An element in one line. An underscore ends a name that Python keeps for itself, and stands for a hyphen."""
    start = f"<{name}{''.join(_attribute(*each) for each in attributes.items())}>"
    return Html(start) if name in _EMPTY else Html(f"{start}{joined(*inside)}</{name}>")


def block(name: str, /, *inside: str, **attributes: Attribute) -> Html:
    """An element with each of its children in lines of its own; children that are empty are left out."""
    return element(name, Html("\n"), *(Html(f"{_markup(each)}\n") for each in inside if each), **attributes)


def document(language: str, head: Html, body: Html) -> bytes:
    """A whole page."""
    return f"<!doctype html>\n{block('html', head, body, lang=language)}\n".encode("utf-8", "replace")


def joined(*pieces: str) -> Html:
    """One after the other."""
    return Html("".join(map(_markup, pieces)))


def raw(markup: str) -> Html:
    """Markup from elsewhere: for constants alone."""
    return Html(markup)


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(value)}"'


def _markup(inside: str) -> str:
    return inside if isinstance(inside, Html) else escape(inside)
