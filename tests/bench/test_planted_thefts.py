"""One fleet of the labelled recording, judged by the recording's own scorer."""

from __future__ import annotations

import ast
import importlib.util
import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from planted.recording import Recording, clean, write
from planted.thefts import SINGLE
from planted.together import EACH, KEYS_A_LEAK, LEAKS, planted
from planted.twins import TWINS

BENCH = Path(__file__).resolve().parents[3] / "shared" / "bench"
PLANTED = Path(__file__).resolve().parents[2] / "bench" / "planted"
FILES = ("usage.parquet", "keys.json", "labels.json", "malicious.parquet", "meta.json")
COLUMNS = ["request_count", "tokens_prompt", "tokens_completion", "reasoning_tokens", "total_usage"]
BUCKET = ["api_key_hash", "bucket_start"]
recorded = pytest.mark.skipif(not (BENCH / "dev").is_dir(), reason="the labelled recording is not here")


@pytest.fixture(scope="module")
def healthy() -> Recording:
    return clean(BENCH / "dev")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory, healthy) -> Path:
    out = tmp_path_factory.mktemp("fleet") / "5"
    recording, attacks = planted(healthy, 5)
    write(out, recording, attacks, seed=5)
    return out


@pytest.fixture(scope="module")
def usage(fleet) -> pd.DataFrame:
    rows = pd.read_parquet(fleet / "usage.parquet")
    return rows.astype({"api_key_hash": str, "dimension": str, "value": str})


@pytest.fixture(scope="module")
def labels(fleet) -> dict:
    return json.loads((fleet / "labels.json").read_text())


@pytest.fixture(scope="module")
def scorer():
    spec = importlib.util.spec_from_file_location("scorer", BENCH / "score.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _judged(scorer, fleet: Path, decisions: list[dict]) -> dict:
    path = fleet.parent / "decisions.jsonl"
    path.write_text("\n".join(json.dumps(d) for d in decisions))
    return scorer.evaluate([(fleet, path)])


def test_nothing_is_shared_with_what_is_judged():
    for module in PLANTED.glob("*.py"):
        imported = [n for n in ast.walk(ast.parse(module.read_text())) if isinstance(n, ast.ImportFrom | ast.Import)]
        names = {a.name for n in imported for a in n.names} | {
            n.module or "" for n in imported if isinstance(n, ast.ImportFrom)
        }
        assert not {n for n in names if n.split(".")[0] == "monitor"}


@recorded
def test_the_files_have_the_form_of_the_recording(fleet, labels):
    given = pd.read_parquet(BENCH / "dev" / "usage.parquet").head(0)
    template = json.loads((BENCH / "dev" / "labels.json").read_text())
    keys = [json.loads((f / "keys.json").read_text())["data"][0] for f in (fleet, BENCH / "dev")]
    meta = [json.loads((f / "meta.json").read_text()) for f in (fleet, BENCH / "dev")]

    assert {p.name for p in fleet.iterdir()} == set(FILES)
    assert pd.read_parquet(fleet / "usage.parquet").head(0).dtypes.map(str).equals(given.dtypes.map(str))
    assert labels["attacks"][0].keys() == template["attacks"][0].keys()
    assert labels["benign"][0].keys() == template["benign"][0].keys()
    assert keys[0].keys() == keys[1].keys()
    assert meta[0].keys() == meta[1].keys()


@recorded
def test_the_dimensions_of_every_bucket_agree(usage):
    totals = usage.groupby([*BUCKET, "dimension"])[COLUMNS].sum().unstack("dimension")

    assert totals.notna().all().all()
    for column in COLUMNS:
        assert (totals[column].max(axis=1) - totals[column].min(axis=1)).max() < 1e-9
    assert (usage["request_count"] > 0).all()
    assert (usage["reasoning_tokens"] <= usage["tokens_completion"]).all()


@recorded
def test_what_the_thief_did_is_part_of_the_keys_usage(fleet, usage):
    stolen = pd.read_parquet(fleet / "malicious.parquet").set_index(BUCKET)
    whole = usage[usage["dimension"] == "model"].groupby(BUCKET)[COLUMNS].sum().reindex(stolen.index)

    assert (whole["request_count"] >= stolen["request_count"]).all()
    assert (whole["total_usage"] >= stolen["total_usage"] - 1e-9).all()


@recorded
def test_every_kind_is_planted_on_keys_of_its_own(labels):
    planted_kinds = Counter(a["type"] for a in labels["attacks"])
    refused = EACH * len(SINGLE) + LEAKS * KEYS_A_LEAK - len(labels["attacks"])

    assert set(planted_kinds) == {*SINGLE, "several_keys"}
    assert refused <= 3  # whole thefts, by credit limits
    assert len({a["key"] for a in labels["attacks"]}) == len(labels["attacks"])


@recorded
def test_twins_are_labeled_and_not_on_robbed_keys(fleet, labels):
    begin = json.loads((fleet / "meta.json").read_text())["evaluation_start"]
    robbed = {a["key"] for a in labels["attacks"]}
    late = Counter(e["type"] for e in labels["benign"] if e["start"] >= begin and e["key"] not in robbed)

    assert all(late[kind] >= count for kind, (count, _) in TWINS.items())
    assert late["provider_failover"] > 0
    assert late["price_change"] > 0


@recorded
def test_no_attacked_key_of_the_recording_is_left(fleet, healthy):
    attacked = {a["key"] for a in json.loads((BENCH / "dev" / "labels.json").read_text())["attacks"]}

    assert not attacked & {k["hash"] for k in healthy.keys}
    assert len(json.loads((fleet / "keys.json").read_text())["data"]) <= len(healthy.keys)


@recorded
def test_no_key_is_used_before_it_is_created(fleet, usage):
    keys = json.loads((fleet / "keys.json").read_text())["data"]
    created = pd.Series({k["hash"]: pd.Timestamp(k["created_at"]).floor("10min") for k in keys})
    first = usage.groupby("api_key_hash")["bucket_start"].min()

    assert (first >= created.reindex(first.index)).all()


@recorded
def test_decisions_at_the_first_malicious_buckets_find_every_theft_and_nothing_else(fleet, labels, scorer):
    at = [(a["key"], pd.Timestamp(a["start"]) + pd.Timedelta(minutes=10)) for a in labels["attacks"]]
    decisions = [{"key": k, "at": t.isoformat(), "action": "revoke"} for k, t in at]

    nothing, perfect = _judged(scorer, fleet, []), _judged(scorer, fleet, decisions)

    assert nothing["overall"]["detected"] == 0
    assert nothing["overall"]["saved_alert"] == 0
    assert perfect["overall"]["within_1h"] == 1
    assert perfect["overall"]["median_h_to_revoke"] == pytest.approx(1 / 6, abs=0.01)
    assert perfect["overall"]["saved_revoke"] > 0.8
    assert perfect["false_incidents"] == 0
    assert perfect["false_revokes"] == 0


@recorded
def test_the_same_seed_gives_the_same_thefts(healthy, labels):
    again, _ = planted(healthy, 5)

    spent = again.rows.query("theft > 0 and dim == 0").groupby("theft")["usd"].sum().round(6)
    assert spent.to_dict() == {a["id"]: pytest.approx(a["usd"], abs=1e-6) for a in labels["attacks"]}
