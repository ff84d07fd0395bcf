from __future__ import annotations

import hashlib
import json
import os
import zipfile
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
import pytest
import skops.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest

from monitor.detect import artifact
from monitor.detect.artifact import Manifest, Packed, Trained
from monitor.detect.calibrate import calibrate, p_values
from monitor.detect.forest import Forest
from monitor.detect.levels import Levels
from monitor.errors import ArtifactError

NAMES = ("spend", "novelty")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def a_trained_detector() -> Trained:
    rows = np.random.default_rng(1).normal(size=(400, 2))
    forest = Forest(NAMES, n_trees=10, max_samples=128)
    forest.fit(rows, np.ones(400), seed=2)
    calibration = calibrate(forest.score(rows), np.zeros(400, dtype=np.int64), n_cohorts=2)
    manifest = Manifest(
        format=artifact.FORMAT,
        detector="forest",
        feature_names=NAMES,
        versions=artifact.versions(),
        trained_since=NOON,
        trained_until=NOON,
        seed=2,
        n_rows=400,
        n_keys=4,
        n_rows_left_out=0,
        max_false_alerts_per_week=5.0,
        clean_incidents_per_week=4.0,
        levels=Levels(alpha=1e-4, joint_nusd_per_hour=2e9),
    )
    return Trained(forest, calibration, manifest)


@pytest.fixture(scope="module")
def packed() -> Packed:
    return artifact.pack(a_trained_detector())


def _resealed(packed: Packed, blob: bytes) -> Packed:
    """The blob with a manifest that names its true checksum, as somebody who can write both files would make it."""
    manifest = json.loads(packed.manifest) | {"sha256": hashlib.sha256(blob).hexdigest()}
    return Packed(blob, json.dumps(manifest).encode())


def test_what_is_packed_comes_back_and_scores_the_same(packed: Packed) -> None:
    rows = np.random.default_rng(9).normal(size=(50, 2)) * 3
    original, cohort = a_trained_detector(), np.repeat([0, 1], 25)

    restored = artifact.unpack(packed, feature_names=NAMES)

    scores = original.detector.score(rows)
    assert np.array_equal(restored.detector.score(rows), scores)
    assert np.array_equal(
        p_values(restored.calibration, scores, cohort), p_values(original.calibration, scores, cohort)
    )
    assert restored.manifest.levels == original.manifest.levels


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_flipped_bit_is_refused_before_anything_is_read(packed: Packed, at: float, bit: int) -> None:
    damaged = bytearray(packed.blob)
    damaged[int(at * len(damaged))] ^= 1 << bit

    with pytest.raises(ArtifactError, match="checksum"):
        artifact.unpack(Packed(bytes(damaged), packed.manifest), feature_names=NAMES)


def test_an_artifact_for_other_features_is_refused(packed: Packed) -> None:
    with pytest.raises(ArtifactError, match="other features"):
        artifact.unpack(packed, feature_names=("spend", "novelty", "age"))


def test_an_artifact_of_another_scikit_learn_is_refused(packed: Packed) -> None:
    manifest = json.loads(packed.manifest)
    manifest["versions"]["scikit-learn"] = "0.24.2"

    with pytest.raises(ArtifactError, match="scikit-learn"):
        artifact.unpack(Packed(packed.blob, json.dumps(manifest).encode()), feature_names=NAMES)


class _Evil:
    """Runs a command when something careless deserializes it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.system, ("exit 7",))


@pytest.mark.parametrize("payload", [_Evil(), os.system], ids=["reduce", "function"])
def test_a_blob_that_would_build_other_types_is_refused_though_its_checksum_is_right(
    packed: Packed, payload: object
) -> None:
    blob = skops.io.dumps({"forest": payload, "center": np.zeros(2), "cohorts": []})

    with pytest.raises(ArtifactError, match="refused"):
        artifact.unpack(_resealed(packed, blob), feature_names=NAMES)


def test_a_tree_whose_walk_leaves_its_arrays_is_refused(packed: Packed) -> None:
    trained = a_trained_detector()
    forest = trained.detector
    assert isinstance(forest, Forest)
    assert forest.forest_ is not None
    tree = forest.forest_.estimators_[0].tree_
    state = tree.__getstate__()
    state["nodes"]["left_child"][0] = 1_000_000
    tree.__setstate__(state)

    with pytest.raises(ArtifactError, match="outside"):
        artifact.unpack(artifact.pack(trained), feature_names=NAMES)


@pytest.mark.parametrize(
    "contents",
    [{}, {"forest": IsolationForest(), "center": np.zeros(2), "cohorts": []}, ["forest"], 7],
    ids=["empty", "unfitted", "list", "number"],
)
def test_contents_of_another_shape_are_refused(packed: Packed, contents: object) -> None:
    with pytest.raises(ArtifactError, match="train again"):
        artifact.unpack(_resealed(packed, skops.io.dumps(contents)), feature_names=NAMES)


@pytest.mark.parametrize("blob", [b"", b"not a zip", b"PK\x03\x04junk"], ids=["empty", "text", "cut"])
def test_a_blob_that_is_no_archive_is_refused(packed: Packed, blob: bytes) -> None:
    with pytest.raises(ArtifactError):
        artifact.unpack(_resealed(packed, blob), feature_names=NAMES)


def test_a_blob_that_unpacks_to_too_much_is_refused(packed: Packed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifact, "MAX_UNPACKED_BYTES", 1_000)
    bomb = BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b"0" * 100_000)

    with pytest.raises(ArtifactError, match="unpacks to more"):
        artifact.unpack(_resealed(packed, bomb.getvalue()), feature_names=NAMES)


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{}", b'{"format": 99}'], ids=["empty", "list", "bare", "later"])
def test_a_manifest_that_cannot_be_read_is_refused(packed: Packed, manifest: bytes) -> None:
    with pytest.raises(ArtifactError, match="manifest"):
        artifact.unpack(Packed(packed.blob, manifest), feature_names=NAMES)


def test_a_later_format_is_refused(packed: Packed) -> None:
    manifest = json.loads(packed.manifest) | {"format": 99}

    with pytest.raises(ArtifactError, match="format 99"):
        artifact.read_manifest(json.dumps(manifest).encode())


def test_a_detector_that_was_never_fitted_is_not_packed() -> None:
    trained = a_trained_detector()

    with pytest.raises(ArtifactError, match="fitted"):
        artifact.pack(Trained(Forest(NAMES), trained.calibration, trained.manifest))
