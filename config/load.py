"""The text of a configuration file and the environment in; ``Settings``, or every fault at once, out."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, TypeGuard, cast, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import EnvSettingsSource, SettingsError

from config.lines import KeyPath, key_lines
from config.settings import Settings

__all__ = ["ENVIRONMENT_PREFIX", "ConfigurationError", "Fault", "load_settings"]

ENVIRONMENT_PREFIX = "CERALACCA_"
LEVELS = "__"  # between section and key in the name of a variable


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with the configuration; ``text`` never holds the value, which may be a secret."""

    key: str  # dotted; "" for the file as a whole
    text: str
    line: int | None = None  # of the TOML file
    variable: str | None = None  # of the environment, where the value came from there

    def __str__(self) -> str:
        where = self.variable or (f"line {self.line}" if self.line else "")
        return ": ".join(part for part in (where, self.key, self.text) if part)


class ConfigurationError(Exception):
    """The configuration cannot be used; ``faults`` names everything wrong with it."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


def load_settings(text: str, environment: Mapping[str, str], directory: PurePath) -> Settings:
    """Read a configuration.

    Args:
        text: the TOML file.
        environment: variables; ``CERALACCA_SECTION__KEY`` wins over the file, lists are JSON.
        directory: absolute; where relative file names start, usually the folder of the TOML file.

    Raises:
        ConfigurationError: with all faults in the order of the file.
    """
    tree = _parsed(text)
    origins, faults = _override(tree, environment)
    try:
        settings = Settings(**tree)
    except ValidationError as error:
        lines = key_lines(text)
        details = error.errors(include_url=False, include_input=False)
        faults.extend(_fault(detail, lines, origins) for detail in details if detail["type"] not in CONSEQUENCES)
    if faults:
        raise ConfigurationError(sorted(faults, key=lambda fault: (fault.line or 0, fault.variable or "", fault.key)))
    return _absolute(settings, directory)


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = re.search(r" \(at line (\d+), column \d+\)$", message)
        line = int(place[1]) if place else text.count("\n") + 1
        raise ConfigurationError([Fault("", message.removesuffix(place[0] if place else ""), line)]) from None


def _override(tree: dict[str, Any], environment: Mapping[str, str]) -> tuple[dict[KeyPath, str], list[Fault]]:
    """Put the variables over the file's values; which variable each path came from, and what is no variable of ours."""
    origins: dict[KeyPath, str] = {}
    faults: list[Fault] = []
    for name in sorted(environment):
        path = tuple(name.removeprefix(ENVIRONMENT_PREFIX).lower().split(LEVELS))
        if not name.startswith(ENVIRONMENT_PREFIX) or len(path) == 1:
            continue  # CERALACCA_CONFIG and its like are for the command line
        source = EnvSettingsSource(Settings)
        source.env_vars = {name.lower(): environment[name]}
        try:
            values = source()
        except SettingsError:
            faults.append(Fault(".".join(path), "must be JSON", variable=name))
            continue
        if not values:
            faults.append(Fault(".".join(path), _unknown(path), variable=name))
        elif not _merge(tree, values):
            faults.append(Fault(".".join(path), "the file has something else in its place", variable=name))
        origins[path] = name
    return origins, faults


def _merge(tree: dict[str, Any], values: Mapping[str, Any]) -> bool:
    """Put values over a tree of tables; false if one of them belongs into something that is no table."""
    for key, value in values.items():
        if not isinstance(value, dict):
            tree[key] = value
        elif not isinstance(tree.setdefault(key, {}), dict) or not _merge(tree[key], value):
            return False
    return True


def _fault(detail: ErrorDetails, lines: Mapping[KeyPath, int], origins: Mapping[KeyPath, str]) -> Fault:
    path = detail["loc"]
    shorter = [path[:length] for length in range(len(path), 0, -1)]
    variable = next((origins[step] for step in shorter if step in origins), None)
    line = next((lines[step] for step in shorter if step in lines), None)
    return Fault(".".join(map(str, path)), _words(detail), None if variable else line, variable)


CONSEQUENCES = ("default_factory_not_called",)  # of a fault that is named itself
PLAIN_WORDS = {
    "bool_type": "must be true or false",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "missing": "is missing",
    "model_type": "must be a table",
    "path_type": "must be a file name in quotes",
    "string_type": "must be text in quotes",
    "string_too_short": "must not be empty",
    "tuple_type": "must be a list",
}


def _words(detail: ErrorDetails) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return _unknown(detail["loc"])
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    return PLAIN_WORDS.get(kind) or detail["msg"].replace("Input should be", "must be")


def _unknown(path: KeyPath) -> str:
    """Say that a key is unknown, and which one may have been meant."""
    model: type[BaseModel] | None = Settings
    for step in path:
        if model is None or isinstance(step, int):
            continue
        known = model.model_fields
        if step not in known:
            close = difflib.get_close_matches(step, known, n=1)
            return f'unknown key, perhaps "{close[0]}"' if close else "unknown key"
        model = _table(model, step)
    return "unknown key"


def _table(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The model of a table, or of the tables in a list; None for a plain value."""
    annotation = model.model_fields[name].annotation
    return next((part for part in (annotation, *get_args(annotation)) if _is_model(part)), None)


def _is_model(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _absolute(settings: Settings, directory: PurePath) -> Settings:
    """The same settings with every file name made absolute."""
    return cast("Settings", _placed(settings, directory))


def _placed(value: object, directory: PurePath) -> object:
    if isinstance(value, Path):
        return Path(directory, value)
    if isinstance(value, tuple):
        return tuple(_placed(item, directory) for item in value)
    if isinstance(value, BaseModel):
        return value.model_copy(
            update={name: _placed(getattr(value, name), directory) for name in value.model_fields_set}
        )
    return value
