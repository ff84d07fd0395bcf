"""The detector in models/: it loads, fits this version's features, and is small."""

from __future__ import annotations

from monitor.features import NAMES
from monitor.jobs import artifacts
from monitor.wiring import shipped_models


def test_the_shipped_detector_loads_and_was_made_for_these_features() -> None:
    manifest = shipped_models() / f"{artifacts.SHIPPED}.json"
    trained = artifacts.load(manifest, NAMES)
    assert trained.manifest.n_keys >= 100
    assert manifest.with_suffix(".skops").stat().st_size < 2_000_000
