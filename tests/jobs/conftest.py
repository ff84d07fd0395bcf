"""What tests of the jobs share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from jobs_build import a_store

from monitor.store.base import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty one."""
    opened = a_store(tmp_path)
    yield opened
    opened.maintenance.close()
