"""Where a message stands, in the words of ``ceralacca trace``."""

import json
import subprocess
from typing import Any

from tests.lab.labs import COMMAND, Lab

__all__ = ["FINAL", "standing", "stories"]

FINAL = {"delivered", "failed", "timed-out"}


def stories(lab: Lab, domain: str, term: str) -> list[dict[str, Any]]:
    """What the provider of ``domain`` tells of an id, a msgid or an address."""
    config = lab.provider(domain)["config_file"]
    command = [*COMMAND, "trace", "--config", config, "--json", term]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def standing(lab: Lab, domain: str, msgid: str) -> dict[str, dict[str, Any]]:
    """Each recipient of the one message with this id, and its row."""
    (story,) = stories(lab, domain, msgid)
    return {one["address"]: one for one in story["sent"]["recipients"]}
