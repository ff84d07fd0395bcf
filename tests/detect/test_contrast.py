from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from monitor.detect import artifact, contrast
from monitor.detect.artifact import Manifest, Trained
from monitor.detect.base import Thefts
from monitor.detect.calibrate import WEEK_S, Clean, calibrate, levels_for_budget, n_incidents, p_values
from monitor.detect.contrast import Contrast
from monitor.detect.levels import Levels, disable_levels, has_proof, signs
from monitor.detect.patience import Gathered, gathered
from monitor.domain import BUCKET_S, NUSD
from monitor.errors import ArtifactError

NAMES = ("novelty", "noise", "never_known")


def rows(n: int, *, novelty: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.normal(novelty, 1.0, n), rng.normal(size=n), np.full(n, np.nan)])


def thefts(n: int = 600, *, seed: int = 5) -> Thefts:
    """Half of them stolen, and half honest twins that look like the fleet."""
    values = np.concatenate([rows(n, novelty=4.0, seed=seed), rows(n, novelty=0.0, seed=seed + 1)])
    return Thefts(values, np.arange(2 * n) % 9, np.arange(2 * n) < n)


@pytest.fixture(scope="module", autouse=True)
def few_trees() -> Iterator[None]:
    """Packing goes tree by tree; nothing here is about how many there are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contrast, "N_TREES", 10)
        yield


@pytest.fixture(scope="module")
def fitted() -> Contrast:
    detector = Contrast(NAMES, n_rounds=20)
    detector.fit(rows(3_000, novelty=0.0, seed=1), np.ones(3_000), seed=2, thefts=thefts())
    return detector


def test_a_stolen_row_scores_above_nearly_every_row_of_the_fleet(fitted: Contrast) -> None:
    clean = fitted.score(rows(2_000, novelty=0.0, seed=11))
    stolen = fitted.score(rows(200, novelty=4.0, seed=12))

    assert np.mean(stolen > np.quantile(clean, 0.99)) > 0.9


def test_the_same_rows_and_seed_make_the_same_detector(fitted: Contrast) -> None:
    again = Contrast(NAMES, n_rounds=20)
    again.fit(rows(3_000, novelty=0.0, seed=1), np.ones(3_000), seed=2, thefts=thefts())

    sample = rows(50, novelty=2.0, seed=3)
    assert np.array_equal(again.score(sample), fitted.score(sample))


def test_infinite_and_unknown_features_have_a_score(fitted: Contrast) -> None:
    scores = fitted.score(np.array([[np.inf, 0.0, np.nan], [np.nan, np.nan, np.nan]]))

    assert np.isfinite(scores).all()
    assert len(fitted.score(np.zeros((0, 3)))) == 0


def test_without_thefts_there_is_nothing_to_contrast_with() -> None:
    with pytest.raises(ValueError, match="no simulated thefts"):
        Contrast(NAMES).fit(rows(300, novelty=0.0, seed=1), np.ones(300), seed=2)


def packed_of(detector: Contrast) -> artifact.Packed:
    scores = detector.score(rows(400, novelty=0.0, seed=8))
    at = datetime(2026, 6, 1, tzinfo=UTC)
    manifest = Manifest(
        format=artifact.FORMAT, detector="contrast", feature_names=NAMES, versions=artifact.versions(), trained_since=at,
        trained_until=at, seed=2, n_rows=400, n_keys=9, n_rows_left_out=0, max_false_alerts_per_week=5.0,
        clean_incidents_per_week=4.0, levels=Levels(alpha=1e-4, joint_nusd_per_hour=2e9, disable={"scan": 2.0}),
    )  # fmt: skip
    return artifact.pack(Trained(detector, calibrate(scores, np.zeros(400, dtype=np.int64), n_cohorts=2), manifest))


def test_what_is_packed_comes_back_and_scores_the_same(fitted: Contrast) -> None:
    restored = artifact.unpack(packed_of(fitted), feature_names=NAMES)

    sample = rows(50, novelty=2.0, seed=3)
    assert np.array_equal(restored.detector.score(sample), fitted.score(sample))
    assert restored.manifest.levels.disable == {"scan": 2.0}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [("left", 10**6, "outside"), ("left", 0, "outside"), ("feature_idx", 99, "does not exist")],
    ids=["child beyond", "child before", "feature"],
)
def test_a_boosted_tree_whose_walk_leaves_its_arrays_is_refused(field: str, value: int, reason: str) -> None:
    detector = Contrast(NAMES, n_rounds=3)
    detector.fit(rows(1_000, novelty=0.0, seed=1), np.ones(1_000), seed=2, thefts=thefts(300))
    packed = packed_of(detector)
    assert detector.boosted_ is not None
    detector.boosted_._predictors[1][0].nodes[field][0] = value

    with pytest.raises(ArtifactError, match=reason):
        artifact.unpack(repacked(packed, detector), feature_names=NAMES)


def repacked(packed: artifact.Packed, detector: Contrast) -> artifact.Packed:
    """The altered trees under a manifest that names their true checksum."""
    original = artifact.unpack(packed, feature_names=NAMES)
    return artifact.pack(replace(original, detector=detector))


def history(*, n_keys: int = 30, n_days: int = 7, seed: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, keys and times of clean rows; each key has spells in which it is odder than usual."""
    rng = np.random.default_rng(seed)
    n = n_days * 144
    spells = np.repeat(rng.exponential(1.0, size=(n_keys, n // 36)), 36, axis=1)
    scores = rng.normal(size=(n_keys, n)) + spells
    return scores.ravel(), np.repeat(np.arange(n_keys), n), np.tile(BUCKET_S * np.arange(1, n + 1), n_keys)


@pytest.mark.parametrize("per_week", [2.0, 5.0, 20.0])
def test_all_kinds_of_alarm_together_keep_to_the_budget(per_week: float) -> None:
    scores, key_no, at_s = history()
    cohort_no = np.zeros(len(scores), dtype=np.int64)
    p = p_values(calibrate(scores, cohort_no, n_cohorts=1), scores, cohort_no)
    clean = Clean(p, gathered(scores, key_no, at_s, floor=3.0), key_no, at_s)

    bought = levels_for_budget(clean, per_week=per_week)

    patient = np.flatnonzero((clean.gathered.short >= bought.hour) | (clean.gathered.long >= bought.shift))
    assert bought.n_incidents <= per_week * clean.span_s / WEEK_S
    assert n_incidents(key_no[patient], at_s[patient]) <= bought.n_incidents
    assert bought.n_incidents >= 0.4 * per_week


def test_where_nothing_was_ever_gathered_an_hour_at_the_highest_clean_score_is_the_level() -> None:
    n = 300
    calm = Gathered(np.zeros(n), np.zeros(n))
    clean = Clean(np.ones(n), calm, np.zeros(n, dtype=np.int64), BUCKET_S * np.arange(1, n + 1), BUCKET_S, 0.5)

    bought = levels_for_budget(clean, per_week=5.0)

    assert (bought.hour, bought.shift) == (0.5, 0.5)


def shown(
    *, history_hours: float = 500.0, joint_usd: float = 0.0, stake_usd: float = 5.0, **columns: float
) -> list[str]:
    found = signs(
        {name: np.array([value]) for name, value in columns.items()},
        joint_nusd=np.array([round(joint_usd * NUSD)]),
        stake_nusd=np.array([round(stake_usd * NUSD)]),
        history_hours=np.array([history_hours]),
        grace_hours=24.0,
    )
    return [name for name, rows_ in found.items() if rows_[0]]


UNLEARNED = {"never_model_24h": 30.0, "never_app_24h": 25.0, "mean_usd_1h": 1.0}


@pytest.mark.parametrize(
    ("facts", "names"),
    [
        ({"joint_usd": 12.0, "times_usual_24h": 20.0}, ["dollars"]),
        ({"joint_usd": 12.7, "joint_24h": 34.6, "joint_10m": 4.9, "times_usual_24h": 4.3}, []),
        ({"joint_usd": 30.0}, ["dollars"]),
        ({"joint_usd": 30.0, "mean_usd_1h": 0.0}, []),
        ({"joint_24h": 25.0, "mean_usd_1h": 1.0, "times_usual_24h": 20.0}, ["dollars"]),
        ({"joint_24h": 80.0, "mean_usd_1h": 1.0}, ["dollars"]),
        ({"joint_10m": 4.0, "mean_usd_1h": 1.0, "times_usual_24h": 20.0}, ["burst"]),
        ({"joint_10m": 10.0, "mean_usd_1h": 1.0}, ["burst"]),
        ({"joint_10m": 40.0, "mean_usd_1h": 0.0}, []),
        ({"joint_usd": 2.0, "new_models_24h": 10.0}, ["scan"]),
        ({"joint_usd": 1.9, "new_models_24h": 40.0}, []),
        ({"joint_usd": 0.5, "new_countries_1h": 2.0}, ["places"]),
        ({"new_countries_1h": 3.0, "stake_usd": 2.0}, ["crowd"]),
        ({"novel_model_1h": 3.0, "new_models_24h": 20.0}, ["survey"]),
        ({"novel_model_1h": 80.0, "new_models_24h": 14.0}, []),
        (UNLEARNED | {"times_usual_24h": 20.0}, ["overrun"]),
        (UNLEARNED | {"times_usual_24h": 9.0}, []),
        (UNLEARNED | {"times_usual_24h": 900.0, "history_hours": 40.0}, []),
        (UNLEARNED | {"times_usual_24h": 900.0, "mean_usd_1h": 0.0}, []),
        (UNLEARNED | {"times_usual_24h": 900.0, "never_app_24h": 0.0}, []),
        ({"joint_usd": 500.0, "new_countries_1h": 9.0, "history_hours": 23.0}, []),
        ({"joint_usd": 11.0, "new_models_24h": 9.0, "new_countries_1h": 1.0}, []),
    ],
    ids=[
        "many dollars", "a colleague on a dear key", "many dollars of a dear key", "an idle key", "dollars of a day",
        "dollars of a day of a dear key", "burst", "burst of a dear key", "burst of an idle key", "scan",
        "a bake-off", "places", "crowd", "survey", "a dear bake-off", "overrun", "a dear colleague", "a new key grows",
        "an idle key taken up", "a dear model of the usual app", "a young key", "a colleague",
    ],
)  # fmt: skip
def test_each_sign_asks_for_what_honest_keys_do_not_show(facts: dict[str, float], names: list[str]) -> None:
    assert shown(**facts) == names


def test_a_sign_needs_more_evidence_than_any_clean_key_with_it_had() -> None:
    both = {"places": np.array([True, True]), "dollars": np.array([False, False])}
    levels = Levels(alpha=1e-4, joint_nusd_per_hour=5e9, disable=disable_levels(both, np.array([4.0, 1.0]), hour=2.0))
    calm = {"is_hot": np.array([False, False]), "levels": levels}

    assert levels.disable == {"places": pytest.approx(4.4), "dollars": pytest.approx(1.2)}
    assert has_proof(both, np.array([4.3, 4.5]), **calm).tolist() == [False, True]


def test_a_burst_is_proof_in_one_rare_bucket() -> None:
    burst = {"burst": np.array([True, True, False])}
    levels = Levels(alpha=1e-4, joint_nusd_per_hour=15e9)

    proof = has_proof(burst, np.zeros(3), is_hot=np.array([True, False, True]), levels=levels)

    assert proof.tolist() == [True, False, False]


def test_the_same_detector_made_twice_is_the_same_bytes() -> None:
    made = []
    for _ in range(2):
        detector = Contrast(NAMES, n_rounds=5)
        detector.fit(rows(1_000, novelty=0.0, seed=1), np.ones(1_000), seed=2, thefts=thefts(300))
        made.append((detector, packed_of(detector)))  # both are kept: no place in memory is used twice

    assert made[0][1] == made[1][1]
