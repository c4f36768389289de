"""A pytest plugin: ``--requirement ID`` runs the tests and cases marked with that id and no others."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--requirement", help="run only what is marked with this requirement")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("--requirement")
    if wanted:
        others = [item for item in items if not any(wanted in mark.args for mark in item.iter_markers("req"))]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]
        items.sort(key=lambda item: item.get_closest_marker("lab") is not None)  # the first to fail ends the run
