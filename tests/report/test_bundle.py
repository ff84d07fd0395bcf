"""The files of a refund claim: exact, complete, harmless to open."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from build import a_cause, a_hash, a_key, an_action, an_incident, usage
from hostile import VECTORS
from hypothesis import given
from hypothesis import strategies as st

from monitor.domain import NUSD, ActionState, AuditHead, Dimension, Spell
from monitor.frames import Catalog
from monitor.report import bundle

T0 = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def a_catalog() -> Catalog:
    catalog = Catalog()
    catalog.key_no(a_hash(1))
    for dimension, value in ((0, "acme/mini"), (0, "acme/opus"), (2, "DE"), (2, "=HYPERLINK(1)")):
        catalog.value_no(dimension, value)
    return catalog


def evidence(**changes) -> bundle.Evidence:
    """A key that used mini in DE, and from 12:20 on opus in a country named like a formula."""
    hours = [
        (T0 - HOUR, 0, Dimension.MODEL, 0, 10, NUSD),
        (T0 - HOUR, 0, Dimension.COUNTRY, 2, 10, NUSD),
        (T0, 0, Dimension.MODEL, 0, 10, NUSD),
        (T0, 0, Dimension.MODEL, 1, 500, 40 * NUSD + 1),
        (T0, 0, Dimension.COUNTRY, 2, 10, NUSD),
        (T0, 0, Dimension.COUNTRY, 3, 500, 40 * NUSD + 1),
    ]
    ten = timedelta(minutes=10)
    fine = [
        (T0 + ten, 0, Dimension.MODEL, 0, 10, NUSD),
        (T0 + 2 * ten, 0, Dimension.MODEL, 1, 7, 3 * NUSD),
        (T0 + 3 * ten, 0, Dimension.MODEL, 1, 493, 37 * NUSD + 1),
    ]
    fields = {
        "incident": an_incident(
            1, onset_at=T0 + ten, opened_at=T0 + 4 * ten, last_seen_at=T0 + HOUR, causes=(a_cause("acme/opus"),)
        ),
        "key": a_key(1, key_name="search-prod"),
        "owner": "search",
        "workspace_name": "Research",
        "hourly": usage(*hours, bucket_s=3600),
        "fine": usage(*fine),
        "catalog": a_catalog(),
        "actions": (
            an_action(1, incident_id="INC-0001", state=ActionState.DONE, finished_at=T0 + HOUR, detail="-read back"),
        ),
        "trail": (),
        "head": AuditHead(7, "a" * 64),
        "version": "0.1.0",
    }
    return bundle.Evidence(**(fields | changes))


def rows_of(files, name):
    return list(csv.DictReader(io.StringIO(files[name].decode(), newline="")))


def test_dollars_are_exact_to_the_last_digit_and_hours_say_whether_they_belong():
    rows = rows_of(bundle.files(evidence(), T0 + 9 * HOUR), "hourly.csv")
    assert {(r["hour_utc"], r["in_incident"]) for r in rows} == {
        ("2026-06-01 11:00", "no"),
        ("2026-06-01 12:00", "yes"),
    }
    assert "40.000000001" in {row["cost_usd"] for row in rows}


def test_models_and_countries_tell_what_was_new_dearest_first():
    files = bundle.files(evidence(), T0 + 9 * HOUR)
    assert [(r["value"], r["first_seen_in_incident"]) for r in rows_of(files, "models.csv")] == [
        ("acme/opus", "yes"), ("acme/mini", "no"),
    ]  # fmt: skip
    assert [r["value"] for r in rows_of(files, "countries.csv")] == ["'=HYPERLINK(1)", "DE"]


def test_the_first_abnormal_bucket_is_the_first_with_what_the_key_never_did():
    first = bundle.first_abnormal(evidence())
    assert first is not None
    assert (first.at, first.bucket_s, first.what, first.n_requests) == (
        T0 + timedelta(minutes=20),
        600,
        "model acme/opus",
        7,
    )


def test_hours_tell_where_the_fine_buckets_are_gone():
    first = bundle.first_abnormal(evidence(fine=usage()))
    assert first is not None
    assert (first.at, first.bucket_s) == (T0, 3600)


def test_without_anything_new_it_is_the_first_bucket_with_a_request():
    bare = an_incident(1, onset_at=T0 + timedelta(minutes=10), last_seen_at=T0 + HOUR, causes=())
    first = bundle.first_abnormal(evidence(incident=bare))
    assert first is not None and first.at == T0 + timedelta(minutes=10)
    assert bundle.first_abnormal(evidence(incident=bare, fine=usage(), hourly=usage(bucket_s=3600))) is None


def test_the_pause_between_two_spells_is_not_part_of_the_incident():
    spell = Spell(T0 - 6 * HOUR, T0 - 5 * HOUR, T0 - HOUR)
    twice = an_incident(1, onset_at=T0 - 6 * HOUR, spell_since=T0, last_seen_at=T0 + HOUR, spells=(spell,))
    rows = rows_of(bundle.files(evidence(incident=twice), T0 + 9 * HOUR), "hourly.csv")
    assert {r["hour_utc"]: r["in_incident"] for r in rows} == {"2026-06-01 11:00": "no", "2026-06-01 12:00": "yes"}


def test_the_manifest_names_incident_head_and_first_bucket():
    manifest = json.loads(bundle.files(evidence(), T0)["manifest.json"])
    assert manifest["incident_id"] == "INC-0001"
    assert manifest["audit_head"] == f"7:{'a' * 64}"
    assert manifest["first_abnormal_bucket"] == "2026-06-01T12:20:00+00:00"


@pytest.mark.parametrize("name", VECTORS, ids=range(len(VECTORS)))
def test_a_hostile_name_is_text_in_the_summary(name):
    text = bundle.files(evidence(key=a_key(1, key_name=name)), T0)["summary.md"].decode("utf-8", "surrogatepass")
    assert "<script" not in text and "\x1b" not in text and "\u202e" not in text


@given(st.text(max_size=20))
def test_no_cell_is_a_formula_and_no_row_is_broken(text):
    made = bundle.to_csv(("a", "b"), [(text, 1)])
    (row,) = list(csv.reader(io.StringIO(made, newline="")))[1:]
    assert len(row) == 2
    assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r", "|", "%"))


def test_numbers_stay_numbers():
    assert bundle.to_csv(("n",), [(-5,), (3,)]).split() == ["n", "-5", "3"]
