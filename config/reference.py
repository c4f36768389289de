"""The reference of all settings, ``docs/configuration.md``, made from the code."""

from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config.example import TABLES, about, sections, toml_value

__all__ = ["reference_markdown"]

WITHOUT_DEFAULT = frozenset({"provider.service_address", *TABLES})  # what stands there is made elsewhere

HEADER = """\
# Configuration

Made from the code by `make docs`; a test fails when this page and the code differ.

One TOML file for one provider, given with `--config FILE` or in `CERALACCA_CONFIG`
(default `/etc/ceralacca/gateway.toml`). An annotated example: `config/gateway.example.toml`, printed by
`ceralacca example-config`. Relative file names start in the folder of the file.

`CERALACCA_SECTION__KEY` in the environment wins over the file: `CERALACCA_LIMITS__MAX_RECIPIENTS=200`,
`CERALACCA_LISTEN__SMTP='["*:25"]'` (lists are JSON). Unknown keys and wrong types stop the start, all named at
once with their lines; `ceralacca check-config` does the same without starting anything.
"""


def reference_markdown() -> str:
    """Every setting in tables, a section each."""
    parts = [HEADER]
    for name, model, required in sections():
        note = " (required)" if required else ""
        parts.append(f"\n## [{name}]{note}\n\n{about(model)}\n\n{_table(name, model)}")
        for key in model.model_fields:
            if (table := TABLES.get(f"{name}.{key}")) is not None:
                parts.append(f"\n### [[{name}.{key}]]\n\n{about(table)}\n\n")
                parts.append(_table(f"{name}.{key}", table))
    return "".join(parts)


def _table(name: str, model: type[BaseModel]) -> str:
    rows = ["| key | type | default | meaning |\n| --- | --- | --- | --- |\n"]
    for key, field in model.model_fields.items():
        meaning = " ".join((field.description or "").split())
        rows.append(f"| `{key}` | {_type(field)} | {_default(f'{name}.{key}', field)} | {meaning} |\n")
    return "".join(rows)


def _default(dotted: str, field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default is None or dotted in WITHOUT_DEFAULT:
        return "none"
    return f"`{toml_value(field.default)}`"


def _type(field: FieldInfo) -> str:
    kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType]
    annotation = field.annotation
    if NoneType in get_args(annotation) and len(kinds) == 1:
        annotation = kinds[0]
    bounds = "".join(_bound(item) for item in field.metadata)
    return _type_words(annotation) + bounds


def _type_words(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    words = {bool: "true or false", int: "whole number", str: "text"}
    if annotation in words:
        return words[annotation]
    text = str(annotation)
    if "Endpoint" in text:
        return "list of `host:port`"
    if any(table.__name__ in text for table in TABLES.values()):
        return "tables"
    return "list of texts" if text.startswith("tuple[") else "file name"


def _bound(item: Any) -> str:
    for name, words in (("gt", "over"), ("ge", "at least"), ("le", "at most")):
        if (value := getattr(item, name, None)) is not None:
            return f", {words} {value:,}"
    return ""
