"""Options and fixtures for every test."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

if importlib.util.find_spec("sniffio") is None:
    # httpcore tries to import it at each lock, several times a request, and each time all of sys.path is searched in vain
    modules: dict[str, Any] = sys.modules
    modules["sniffio"] = None

TESTS = Path(__file__).parent
GOLDEN = TESTS / "golden"

FIRST = (
    "e2e/test_kills.py",  # minutes, most of which it waits
    "e2e/test_theft.py",
    "e2e/test_demo.py",
    "decide/test_calls.py",
    "jobs/test_restart.py",
    "faults/test_whole_life.py",
    "test_backtest.py",
    "test_backtest_store.py",
    "jobs/test_training.py",
    "jobs/test_replay.py",
    "cli/test_backtest.py",
    "faults/test_any_position.py",
    "faults/test_rehearsal_kills.py",
    "jobs/test_memory_bound.py",
    "e2e/test_freshness.py",
)
"""Files that are begun first, because they take longest: what is begun last decides when all are done. A worker is given two
files at once, so a short one stands behind the longest."""


hypothesis_settings.register_profile(
    "same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
"""`same`: the same code has the same result, however busy the machine. `search`: other examples with each run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden anew from what the code gives")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [name for name in FIRST if not (TESTS / name).exists()]
    if missing:
        raise pytest.UsageError(f"tests/conftest.py: FIRST names {missing}, which do not exist; take them out")
    rank = {TESTS / name: number for number, name in enumerate(FIRST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, object], None]:
    """`golden("name.json", value)` compares with tests/golden/name.json; text with a .md, .txt or other ending."""
    is_update = bool(request.config.getoption("--update-golden"))

    def compare(file_name: str, value: object) -> None:
        path = GOLDEN / file_name
        text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        if is_update:
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is missing: look at it after pytest --update-golden"
        assert text == path.read_text(encoding="utf-8"), f"{file_name} changed: pytest --update-golden, and look at it"

    return compare
