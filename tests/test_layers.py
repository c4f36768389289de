"""Imports point down and the core is pure; and the test that says so can fail."""

from pathlib import Path

import pytest

from tests.layers import LAYERS, PRODUCT, PURE, faults_of_import, faults_of_purity, modules, place

ROOT = Path(__file__).parents[1]
MODULES = list(modules(ROOT))


@pytest.mark.parametrize(("name", "file"), MODULES, ids=[name for name, _ in MODULES])
def test_imports_point_down_and_the_core_is_pure(name: str, file: Path) -> None:
    source = file.read_text()
    assert faults_of_import(name, source, is_package=file.name == "__init__.py") == []
    assert faults_of_purity(name, source) == []


def test_no_other_package_stands_at_the_top() -> None:
    found = {path.parent.name for path in ROOT.glob("*/*.py")}
    assert found - {"tests", "bench"} == PRODUCT
    assert [path.name for path in ROOT.glob("*.py")] == []


def test_every_package_of_the_table_is_there_or_to_come() -> None:
    present = {
        ".".join(name.split(".")[:2]) if name.startswith("gateway.") else name.split(".")[0] for name, _ in MODULES
    }
    named = {package for row in LAYERS for package in row}
    assert present - {"gateway"} <= named


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("receipts.writer", "import providers.cms"),
        ("receipts.writer", "from providers import cms"),
        ("receipts.writer", "from config.settings import Settings"),
        ("providers.sealing", "from gateway.points.access import decide"),
        ("providers.sealing", "import providers.sync"),
        ("providers.sealing", "from providers import sync"),
        ("providers.sealing", "from . import sync"),
        ("config.load", "import providers.cms"),
        ("gateway.points.access", "from gateway.storage import engine"),
        ("gateway.points.access", "def late():\n    from ..flows.submit import submit"),
        ("gateway.storage.engine", "from gateway.drivers.tls import ServerTls"),
        ("gateway.drivers.tls", "if TYPE_CHECKING:\n    import gateway.storage.engine"),
        ("gateway.flows.submit", "import gateway.smtp.replies"),
        ("gateway.smtp.replies", "from gateway.mailbox.limits import Limits"),
        ("gateway.web.server", "from gateway import workers"),
        ("gateway.workers.relay", "import gateway.app"),
        ("gateway.mailbox.pop3", "from gateway.cli import main"),
        ("elsewhere.module", ""),
    ],
)
def test_import_that_points_up_or_sideways_is_found(name: str, source: str) -> None:
    assert len(faults_of_import(name, source)) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("receipts.writer", "from receipts.wire import X_RICEVUTA\nimport re"),
        ("providers.sync", "from providers.directory import Directory"),
        ("gateway.points.access", "from config.settings import Settings\nfrom providers import cms"),
        ("gateway.flows.submit", "from gateway.storage import engine\nfrom gateway.drivers.tls import ServerTls"),
        ("gateway.smtp.replies", "from .grammar import parse\nfrom gateway.flows.outcomes import Peer"),
        ("gateway.cli", "from gateway.lab.network import Lab\nimport gateway.app"),
        ("gateway.lab.network", "from gateway.commands.config import read"),
    ],
)
def test_import_that_points_down_or_home_is_none(name: str, source: str) -> None:
    assert faults_of_import(name, source) == []


def test_relative_imports_of_a_package_itself_are_resolved_from_it() -> None:
    assert faults_of_import("gateway.smtp", "from .mailbox import x", is_package=True) == []
    assert faults_of_import("gateway.smtp", "from ..mailbox import x", is_package=True) != []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from time import monotonic",
        "import random",
        "import secrets",
        "import uuid",
        "import os",
        "import os.path",
        "from os import environ",
        "import socket",
        "import ssl",
        "import asyncio",
        "import threading",
        "from concurrent.futures import ThreadPoolExecutor",
        "import subprocess",
        "import sqlalchemy",
        "from sqlalchemy.engine import Connection",
        "import importlib",
        "from urllib.request import urlopen",
        "from email.utils import make_msgid",
        "from email.utils import formatdate as f",
        "import email.utils\nx = email.utils.localtime",
        "from datetime import datetime\nx = datetime.now(None)",
        "from datetime import date\nx = date.today()",
        "import datetime\nx = datetime.datetime.utcnow()",
        "open('x')",
        "print('x')",
        "__import__('os')",
        "from pathlib import Path\nx = Path('x').read_text()",
        "from pathlib import Path\nx = Path('x').is_file()",
        "async def f(): ...",
        "def f():\n    global x\n    x = 1",
    ],
)
def test_what_touches_the_world_is_found_in_every_pure_package(source: str) -> None:
    for row in LAYERS[:PURE]:
        for package in row:
            assert len(faults_of_purity(f"{package}.module", source)) == 1, package
    for row in LAYERS[PURE:]:
        for package in row:
            assert faults_of_purity(f"{package}.module", source) == [], package


def test_pure_means_of_reading_times_and_paths_stay_allowed() -> None:
    source = "from datetime import datetime, time\nfrom pathlib import PurePath\nfrom email.utils import parseaddr"
    assert faults_of_purity("receipts.module", source) == []


def test_synchronisation_of_the_directory_is_no_pure_module() -> None:
    assert place("providers.sync") == (3, "providers.sync")
    assert place("providers.synchrony") == (1, "providers")
    assert faults_of_purity("providers.sync", "import ssl") == []
