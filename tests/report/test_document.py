"""The digest for programs: the names of its schema and no other, every figure exact."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from build import a_hash, a_key
from digest_build import FIRST_HOUR, MONDAY, N_HOURS, a_digest, a_full_digest, a_usage
from hostile import VECTORS
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.domain import NUSD
from monitor.report.document import SCHEMA, to_document

DESCRIBED = json.loads((Path(__file__).parents[2] / "docs" / "digest.schema.json").read_text(encoding="utf-8"))


def checked(document: dict[str, Any]) -> dict[str, Any]:
    """The document as a program reads it."""
    read = json.loads(json.dumps(document))
    jsonschema.Draft202012Validator(DESCRIBED).validate(read)
    return read


def test_a_digest_for_programs_looks_as_agreed(golden: Callable[[str, object], None]) -> None:
    golden("digest.json", checked(to_document(a_full_digest())))


def test_the_schema_describes_this_version() -> None:
    assert DESCRIBED["properties"]["schema"] == {"const": SCHEMA}


@settings(deadline=None, max_examples=15)
@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 2), st.integers(FIRST_HOUR, N_HOURS - 1), st.integers(0, 10**15)),
        max_size=60,
    ),
    st.dictionaries(st.integers(0, 9).map(a_hash), st.sampled_from(["", "team-a", "team-b"])),
    st.integers(0, 10**12),
    st.one_of(st.none(), st.integers(0, 10**16)),
)
def test_every_sum_is_exact_in_nano_dollars(
    rows: list[tuple[int, int, int, int]], owners: dict[str, str], unattributed: int, account: int | None
) -> None:
    keys = [a_key(number) for number in range(5)]

    told = checked(
        to_document(
            a_digest(a_usage(rows), keys, owners=owners, unattributed_nusd=unattributed, account_total_nusd=account)
        )
    )

    totals = told["totals"]
    for parts in ("keys", "owners", "models"):
        assert sum(each["spent_nusd"] for each in told[parts]) == totals["spent_nusd"]
        assert sum(each["before_nusd"] for each in told[parts]) == totals["before_nusd"]
    assert totals["spent_nusd"] == sum(cost for *_, hour, cost in rows if hour >= N_HOURS // 2)
    if account is not None:
        assert totals["spent_nusd"] + totals["unattributed_nusd"] + totals["gap_nusd"] == account


@pytest.mark.parametrize("vector", VECTORS)
def test_names_go_to_programs_as_they_came(vector: str) -> None:
    old = a_key(1, key_name=vector, created_at=MONDAY - timedelta(days=90))

    told = checked(to_document(a_digest(a_usage([(1, 0, 300, NUSD)]), [old])))

    assert told["keys"][0]["key_name"] == json.loads(json.dumps(vector))
