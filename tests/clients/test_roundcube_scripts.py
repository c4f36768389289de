"""Whatever Roundcube's editor of filters writes is understood, or refused for a reason that is written down."""

import json
import re
import subprocess
from collections import Counter
from pathlib import Path

from gateway.points.sieve.check import understood
from gateway.points.sieve.errors import ScriptRefused
from gateway.points.sieve.script import EXTENSIONS
from tests.clients.places import program
from tests.clients.roundcube import FILTERS, require_filters

WRITER = FILTERS.parent / "lib" / "Roundcube" / "rcube_sieve_script.php"
REFUSED = {
    ":contains: i;ascii-numeric compares whole numbers",  # RFC 4790 9.1.1: it knows no substrings
    ":matches: i;ascii-numeric compares whole numbers",
    r"\Deleted: no mark that a script may set",
    "mio: no mark that a script may set",
}


def test_what_the_editor_writes_is_understood() -> None:
    require_filters()
    command = [program("php"), Path(__file__).with_name("filters.php"), WRITER, *EXTENSIONS]
    done = subprocess.run(command, capture_output=True, check=True, timeout=120)
    scripts = [script.encode() for script in json.loads(done.stdout)]
    assert len(scripts) > 10_000
    refused = Counter(why for why in map(refusal, scripts) if why)
    assert set(refused) == REFUSED


def refusal(script: bytes) -> str | None:
    try:
        understood(script)
    except ScriptRefused as error:
        return re.sub(r"\s+", " ", error.reason)
    return None
