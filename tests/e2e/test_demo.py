"""The demo tells the truth: what it says happened did happen, whatever account the seed makes."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from monitor.demo.story import tell

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", [7, pytest.param(11, marks=pytest.mark.long)])
async def test_everything_the_demo_promises_really_happens(seed: int) -> None:
    console = Console(file=io.StringIO(), width=120)
    assert await tell(console, seed=seed) == []
