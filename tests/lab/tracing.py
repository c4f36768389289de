"""Where a message stands, in the words of ``ceralacca trace``."""

import json
from typing import Any

from typer.testing import CliRunner

from gateway.cli import app
from tests.lab.labs import Lab

__all__ = ["FINAL", "standing", "stories"]

FINAL = {"delivered", "failed", "timed-out"}


def stories(lab: Lab, domain: str, term: str) -> list[dict[str, Any]]:
    """What the provider of ``domain`` tells of an id, a msgid or an address."""
    config = lab.provider(domain)["config_file"]
    done = CliRunner().invoke(app, ["trace", "--config", config, "--json", term])
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def standing(lab: Lab, domain: str, msgid: str) -> dict[str, dict[str, Any]]:
    """Each recipient of the one message with this id, and its row."""
    (story,) = stories(lab, domain, msgid)
    return {one["address"]: one for one in story["sent"]["recipients"]}
