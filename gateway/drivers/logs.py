"""The technical log: one event a line, with fields, and never a message or a password in it (D32).

Modules log with the standard library (``log.info("event", extra={...})``); this turns what they say into lines.
The legal register is elsewhere: nothing here is evidence.
"""

import logging
import os
import re
import sys
from collections.abc import Mapping, MutableMapping
from datetime import date, time, timedelta
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from logging.handlers import WatchedFileHandler
from pathlib import Path, PurePath
from typing import Any, Final, Literal

import structlog
from structlog.types import EventDict, WrappedLogger

__all__ = ["Format", "Level", "start_logging"]

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["json", "console"]

_LONGEST_VALUE: Final = 1_000
_LONGEST_TRACEBACK: Final = 20_000
_MOST_ITEMS: Final = 50
_DEPTH: Final = 4
_SHOWN: Final = (str, date, time, timedelta, PurePath, BaseException, IPv4Address, IPv6Address)
"""What is shown as text; of anything else, which may hold a message, only its type is."""
_LEFT_OVER: Final = frozenset({"message", "asctime"})  # what other handlers' formatters leave on a record
_WITHHELD: Final = "[withheld]"
_SECRET: Final = re.compile(
    r"passw|passphrase|secret|credential|authoriz|\b(?:body|content|data|key|message|original)\b", re.IGNORECASE
)
_PARAMETERS: Final = re.compile(r"^\[(?:parameters|SQL):.*?(?=^\(Background|\Z)", re.MULTILINE | re.DOTALL)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_IN_TRACEBACK: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

PINNED: Final[Mapping[str, int]] = {
    "mail.log": logging.ERROR,  # aiosmtpd: peers, recipients, commands it does not know, which may be passwords
    "mail.debug": logging.ERROR,  # aiosmtpd: whole DATA lines
    "mail.error": logging.ERROR,
    "uvicorn.access": logging.CRITICAL,
    "uvicorn.error": logging.WARNING,
    "asyncio": logging.WARNING,
    "sqlalchemy": logging.WARNING,  # at lower levels it shows the parameters of statements: messages
    "sqlalchemy.engine": logging.WARNING,
    "sqlalchemy.pool": logging.WARNING,
    "psycopg": logging.WARNING,
    "alembic": logging.WARNING,
    "apscheduler": logging.WARNING,
}
"""The least that these loggers say, whatever level is asked for or set on them later."""


class _Pin(logging.Filter):
    """Holds a logger at its level even when its library sets another one."""

    def __init__(self, least: int) -> None:
        super().__init__()
        self._least = least

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= self._least


def start_logging(level: Level = "info", form: Format = "json", file: Path | None = None) -> None:
    """Send everything that is logged to ``file``, or to standard error; replaces what was set up before.

    A file that is moved away is opened anew, so any log rotation works.

    Raises:
        OSError: the file cannot be written.
    """
    handler = _handler(file)
    handler.setFormatter(_formatter(form))
    root = logging.getLogger()
    for before in list(root.handlers):
        if getattr(before, "is_gateway_log", False):
            root.removeHandler(before)
            before.close()
    handler.is_gateway_log = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    for name, least in PINNED.items():
        _pin(logging.getLogger(name), least)


def _pin(logger: logging.Logger, least: int) -> None:
    logger.setLevel(least)
    for old in list(logger.filters):
        if isinstance(old, _Pin):
            logger.removeFilter(old)
    logger.addFilter(_Pin(least))


def _handler(file: Path | None) -> logging.Handler:
    if file is None:
        return logging.StreamHandler(sys.stderr)
    os.close(os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o640))
    return WatchedFileHandler(file, encoding="utf-8", errors="backslashreplace")


def _formatter(form: Format) -> logging.Formatter:
    renderer = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.format_exc_info,
        ],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _guarded, renderer],
    )


def _guarded(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:  # noqa: ARG001
    """Bound every value, escape control characters, withhold what may be secret."""
    guarded: MutableMapping[str, Any] = {}
    for name, value in event.items():
        if name in _LEFT_OVER:
            continue
        if name == "exception":
            guarded[name] = _traceback(str(value))
        elif _SECRET.search(name):
            guarded[name] = _WITHHELD
        else:
            guarded[name] = _bounded(value, _DEPTH)
    return guarded


def _bounded(value: object, depth: int) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    if depth and isinstance(value, Mapping):
        items = list(value.items())[:_MOST_ITEMS]
        return {
            _text(str(name)): _WITHHELD if _SECRET.search(str(name)) else _bounded(item, depth - 1)
            for name, item in items
        }
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_bounded(item, depth - 1) for item in list(value)[:_MOST_ITEMS]]
    if isinstance(value, Enum) and not isinstance(value, str):
        return value.name
    return _text(_without_parameters(str(value))) if isinstance(value, _SHOWN) else f"<{type(value).__name__}>"


def _text(value: str) -> str:
    cut = value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "..."
    return _CONTROL.sub(_escaped, cut)


def _traceback(text: str) -> str:
    """The frames and the error, without the parameters that a database error carries."""
    text = _without_parameters(text)
    if len(text) > _LONGEST_TRACEBACK:
        text = text[: _LONGEST_TRACEBACK // 2] + "\n...\n" + text[-_LONGEST_TRACEBACK // 2 :]
    return _CONTROL_IN_TRACEBACK.sub(_escaped, text)


def _without_parameters(text: str) -> str:
    return _PARAMETERS.sub("[statement withheld]\n", text) if "\n[" in text else text


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape", "backslashreplace").decode("ascii")
