"""Programs of other people that tests hold ours against."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

INSTALL_S = 300


def install(home: Path, *packages: str) -> None:
    """Installs them below `home`; skips the test where npm or its registry is out of reach."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    command = [npm, "install", "--no-audit", "--no-fund", "--no-save", "--prefix", str(home), *packages]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not install {packages} within {INSTALL_S} s")
    if done.returncode != 0:
        pytest.skip(f"npm cannot install {packages}: {done.stderr.strip()[-200:]}")
