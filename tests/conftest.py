"""Options and fixtures for every test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden anew from what the code gives")


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
