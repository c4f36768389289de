"""The example file and the reference say what the code says."""

import re
from pathlib import Path

from config.example import SAMPLES, TABLES, example_toml
from config.load import load_settings
from config.reference import reference_markdown
from config.settings import Settings

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config" / "gateway.example.toml"
REFERENCE = ROOT / "docs" / "configuration.md"


def test_example_file_is_the_one_the_code_makes() -> None:
    same = EXAMPLE.read_text() == example_toml()
    assert same, "run `make docs`"


def test_reference_is_the_one_the_code_makes() -> None:
    same = REFERENCE.read_text() == reference_markdown()
    assert same, "run `make docs`"


def test_example_loads_and_leaves_every_default_as_it_is() -> None:
    settings = load_settings(EXAMPLE.read_text(), {}, Path("/etc"))
    for section in ("listen", "storage", "limits", "sign_in", "relay", "policy", "antivirus", "clients", "log"):
        assert getattr(settings, section) == Settings.model_fields[section].default


def test_example_with_every_line_taken_in_loads_too_and_names_every_key() -> None:
    text = re.sub(r"^# (?=[a-z0-9_]+ = |\[\[)", "", EXAMPLE.read_text(), flags=re.MULTILINE)
    settings = load_settings(text, {}, Path("/etc"))
    for name, field in Settings.model_fields.items():
        section = getattr(settings, name)
        assert section.model_fields_set == set(type(section).model_fields), f"[{name}] lacks keys"
        if not field.is_required():
            shown = {key for key in type(section).model_fields if f"{name}.{key}" not in SAMPLES.keys() | TABLES.keys()}
            assert section.model_dump(include=shown) == field.default.model_dump(include=shown)


def test_every_setting_says_what_it_means_and_numbers_name_their_unit() -> None:
    units = (
        "_bytes",
        "_seconds",
        "_hours",
        "_minutes",
        "_days",
        "_months",
        "_bytes_per_second",
        "_per_hour",
        "_per_day",
    )
    counted = ("max_", "connections_per_peer", "port")
    for section, field in Settings.model_fields.items():
        assert field.annotation
        for key, inner in field.annotation.model_fields.items():
            assert inner.description, f"{section}.{key}"
            if inner.annotation is int:
                assert key.endswith(units) or key.startswith(counted), f"{section}.{key} has no unit"
