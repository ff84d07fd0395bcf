"""The app manifest asks for what the code needs, and nothing else."""

from __future__ import annotations

from pathlib import Path

import yaml
from fake_slack import BOT_SCOPES

MANIFEST = Path(__file__).parents[2] / "deploy" / "slack-app.yaml"


def test_the_manifest_asks_for_exactly_the_scopes_in_use() -> None:
    manifest = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))

    assert sorted(manifest["oauth_config"]["scopes"]["bot"]) == sorted(BOT_SCOPES.split(","))
    assert list(manifest["oauth_config"]["scopes"]) == ["bot"]


def test_every_scope_says_why_it_is_needed() -> None:
    lines = [line for line in MANIFEST.read_text(encoding="utf-8").splitlines() if line.strip().startswith("- ")]

    assert len(lines) == len(BOT_SCOPES.split(","))
    assert all("# " in line for line in lines)
