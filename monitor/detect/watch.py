"""Probed keys: the bar is lower for a while after somebody tried what the key can do. A probe alone pages nobody.

Honest developers try models, too. So a probe is a finding in shadow: recorded, shown by `explain` and the digest, and told
with whatever the key does next. What the lower bar finds and costs was measured: docs/detection.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.config import Settings
from monitor.domain import BUCKET_S, NUSD, PROBE, Cause
from monitor.wording import duration

ALPHA_TIMES: Final = 10.0
"""The p-value of an alarm for a probed key, in times of that for others; one bucket is enough."""

STAKE_SHARE: Final = 0.5
"""The dollars at stake for a probed key, as a share of `detection.min_usd_per_hour`."""

FRESH_S: Final = 2 * 3600
"""A probe is recorded when it is seen; one that comes to light later (a restart, late data) only lowers the bar."""

Told = Mapping[int, tuple[int, int]]
"""By key_no: start of the newest probe recorded, and of the bucket in which it was, epoch seconds."""


def is_told(
    spend: pd.DataFrame,
    p_value: npt.NDArray[np.float64],
    at_stake_nusd: npt.NDArray[np.int64],
    *,
    alpha: npt.NDArray[np.float64],
    settings: Settings,
) -> npt.NDArray[np.bool_]:
    """Which rows of SPEND are told of because their key was probed, though they would not be otherwise. `alpha`: by row."""
    is_probed = spend["is_probed"].to_numpy()
    enough = at_stake_nusd >= STAKE_SHARE * settings.detection.min_usd_per_hour * NUSD
    told: npt.NDArray[np.bool_] = is_probed & enough & (p_value <= ALPHA_TIMES * alpha)
    return told


def fresh(spend: pd.DataFrame, told: Told, *, bucket_s: int) -> tuple[list[int], Told]:
    """Rows whose probe is to be recorded now, and what to remember. Judging a bucket again records the same."""
    key_no, since = spend["key_no"].to_numpy().tolist(), spend["probed_s"].to_numpy().tolist()
    kept = {no: pair for no, pair in told.items() if pair[0] > bucket_s - FRESH_S - BUCKET_S}
    rows = []
    for row in np.flatnonzero(spend["probed_s"].to_numpy() > bucket_s - FRESH_S).tolist():
        no = key_no[row]
        if kept.get(no, (0, bucket_s)) == (since[row], bucket_s) or kept.get(no, (0, 0))[0] < since[row]:
            kept[no] = (since[row], bucket_s)
            rows.append(row)
    return rows, kept


def note(probed_s: int, at: datetime, *, cost_nusd: int) -> tuple[Cause, ...]:
    """What a finding says of an earlier probe; nothing where there was none."""
    if probed_s <= 0:
        return ()
    since = datetime.fromtimestamp(probed_s, tz=UTC)
    ago = "within the last hour" if at - since < timedelta(hours=1) else f"{duration(at - since)} before"
    sentence = (
        f"this key was probed {ago}: a dear model, or many models, tried a few times for cents; watched for 48 hours"
    )
    return (Cause(None, PROBE, cost_nusd, 0.0, False, 0, sentence),)
