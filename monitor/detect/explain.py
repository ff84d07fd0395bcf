"""Which habits moved a score: credit by group of features, for any detector. Pure numpy.

A group is what a person would call one habit: the models, the countries, how much, at what time. Its credit is found by
occlusion: the group is put back to what is calm for this key, and the score falls. What two groups tell alike (a new model is
a dear one, too) falls with neither alone, so the same is asked the other way round: everything calm but this group. The mean
of both is the group's credit, the two ends of its Shapley value (Lundberg, Lee 2017) at the cost of two rows each.

Putting a group back must leave a row that could happen. Hence features belong to each group without which they would be calm
(joint dollars to model, country and app), and three figures are carried along: at the usual price the same requests cost
what their number says; at a usual hour the same dollars are unusual only above the key's dearest hour; many models new at
once are one habit broken, trying models, and not two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.detect.base import Detector
from monitor.domain import NUSD

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_NOVEL: Final = "(novel|never|peer_novel|unknown_to_peers|surprise|rarity)"
_BOTH: Final = "(peer_)?joint(_same)?_.*|second_novel_1h"

GROUPS: Final[Mapping[str, str]] = {
    "model": rf"{_NOVEL}_model_.*|model_distance_1h|(new|rare)_model_share_1h|over_peak_1h|new_models_.*|{_BOTH}",
    "provider": "novel_provider_1h|new_providers_1h|second_novel_1h",
    "country": rf"{_NOVEL}_country_.*|country_distance_1h|over_peak_country_1h|n(ew)?_countries_1h|{_BOTH}",
    "app": rf"{_NOVEL}_app_.*|app_distance_1h|over_peak_app_1h|new_apps_1h|{_BOTH}",
    "joint": _BOTH,
    "volume": r"(spend|requests|tokens)_z_.*|over_peak(_country|_app)?_1h|usd_\d+[mh]|n_requests_1h|times_.*",
    "price": "(price|size|rate)_jump_1h|usd_per_.*|tokens_per_.*",
    "rhythm": "hour_surprise|silence_h|active_hours_24h",
    "enumeration": "new_models_.*|n_models_1h|model_entropy_1h",
    "burst": "burst_share_1h",
    "limit": "limit_used",
}
"""Group -> its features, a regular expression of whole names. A feature may belong to several."""

CONTEXT: Final = "history_h|habit_.*|usual_usd_1h|mean_usd_1h"
"""Features that say who the key is, and belong to no group."""

ENUMERATES: Final = 5.0
"""First-seen models in an hour from which trying models is the habit broken."""

ODD_HOUR: Final = float(np.log(2.0))
"""Nats of `hour_surprise` from which the hour is one at which the key hardly works."""

LONG_SILENCE_H: Final = 24.0
"""Hours of silence from which the key counts as asleep before."""

_ZERO: Final = re.compile(
    rf"(novel|never|peer_novel|unknown_to_peers)_.*|over_peak.*|new_.*|rare_model_share_1h|.*_z_.*|.*_jump_1h|{_BOTH}|hour_surprise|silence_h"
)
"""Features whose calm value is zero: the key's own baseline is what they are measured from."""

_AT_THIS_HOUR: Final = "(spend|requests|tokens)_z_(10m|1h|6h)|times_usual_1h"
"""Features that compare with what is usual at this hour."""

_OF_THE_HOUR: Final = "usd_(10m|1h)|times_(usual|peak)_1h|over_peak.*"
"""Dollars of the hour or less, and what they are compared with."""

_TWO_SIDED: Final = re.compile("usd_per_.*|tokens_per_.*")


@dataclass(frozen=True, slots=True)
class Credits:
    """By row and group of GROUPS, (n, groups): `score` and `rarity` (-log10 of the p-value) that fall when the group is calm;
    `share`: what it explains of all that is explained, both ways of asking; rows sum to 1, or to 0 where nothing is odd."""

    score: Floats
    rarity: Floats
    share: Floats

    def of(self, row: int) -> dict[str, float]:
        """Shares of one row by group."""
        return dict(zip(GROUPS, self.share[row].tolist(), strict=True))


def credit(
    detector: Detector,
    rows: npt.NDArray[np.floating],
    *,
    own: Mapping[str, Floats] | None = None,
    rarity: Callable[[Floats], Floats] | None = None,
) -> Credits:
    """Credit of each group for these few rows (n, n_features), in one call of `detector.score`.

    `own`: calm values by feature and row where the key's own are known (NaN: not); elsewhere the detector's `center_` (medians
    after `forest.signed_log`), if it has one, stands for them. `rarity`: scores (n, k) -> -log10 p, same shape; without it the
    scores themselves are shared out. A feature that is unknown stays unknown."""
    names, plain = detector.feature_names, np.asarray(rows, dtype=np.float64)
    n, n_groups = len(plain), len(GROUPS)
    calm_price = (own or {}).get("usd_per_request_1h", np.full(n, np.nan))
    calm_value = _calm(plain, names, center=_center(detector), own=own or {})
    without = _occluded(plain, names, calm_value, calm_price=calm_price)
    calm = _all_calm(plain, without)
    alone = calm[:, None, :] + (plain[:, None, :] - without)  # of a figure that two habits share, each has its part
    asked = np.concatenate([plain[:, None, :], calm[:, None, :], without, alone], axis=1)
    scores = detector.score(asked.reshape(-1, len(names))).reshape(n, 2 + 2 * n_groups)
    told = scores if rarity is None else rarity(scores)
    removed, added = _ends(told, n_groups)
    mean = np.maximum((removed + added) / 2.0, 0.0)
    total = mean.sum(axis=1, keepdims=True)
    share: Floats = np.divide(mean, total, out=np.zeros_like(mean), where=total > 0)
    return Credits(_ends(scores, n_groups)[0], removed, share)


def own_baseline(spend: pd.DataFrame) -> dict[str, Floats]:
    """What is calm for the keys of these SPEND rows themselves, by feature: number, price and size of requests."""
    price = spend["usual_request_nusd"].to_numpy() / NUSD
    tokens = spend["usual_request_tokens"].to_numpy()
    per_token = np.divide(price, tokens, out=np.full(len(price), np.nan), where=tokens > 0)
    return {
        "n_requests_1h": spend["usual_requests"].to_numpy(),
        "usd_per_request_1h": price,
        "tokens_per_request_1h": tokens,
        "usd_per_mtoken_1h": per_token * 1e6,
    }


@cache
def groups_of(name: str) -> tuple[str, ...]:
    """The groups a feature belongs to; none for what only says who the key is (CONTEXT)."""
    return tuple(group for group, members in GROUPS.items() if re.fullmatch(members, name))


@cache
def _matches(pattern: str | re.Pattern[str], name: str) -> bool:
    return re.fullmatch(pattern, name) is not None


def _ends(told: Floats, n_groups: int) -> tuple[Floats, Floats]:
    """What falls when a group is calm; what rises when it alone is not."""
    everything, nothing = told[:, :1], told[:, 1:2]
    return everything - told[:, 2 : 2 + n_groups], told[:, 2 + n_groups :] - nothing


def _center(detector: Detector) -> Floats:
    squeezed = np.asarray(getattr(detector, "center_", np.zeros(len(detector.feature_names))), dtype=np.float64)
    return np.asarray(np.sign(squeezed) * np.expm1(np.abs(squeezed)))


def _calm(plain: Floats, names: Sequence[str], *, center: Floats, own: Mapping[str, Floats]) -> Floats:
    """The calm value of every feature, (n, n_features). More is odder for all but prices and sizes: calm is never more than it is."""
    calm = np.broadcast_to(center, plain.shape).copy()
    column = _Columns(plain, names)
    usual = np.fmax(column("usual_usd_1h"), column("mean_usd_1h"))
    figures = {
        "usd_10m": usual / 6.0,
        "usd_1h": usual,
        "usd_24h": 24.0 * column("mean_usd_1h"),
        "n_requests_1h": usual / column("usd_per_request_1h"),
        "n_models_1h": column("habit_models"),
        "n_countries_1h": column("habit_countries"),
        **own,
    }
    for at, name in enumerate(names):
        if _matches(_ZERO, name):
            calm[:, at] = 0.0
        elif name.startswith("times_"):
            calm[:, at] = 1.0
        elif name in figures:
            calm[:, at] = np.where(np.isfinite(figures[name]), figures[name], calm[:, at])
        if name.startswith("n_"):
            calm[:, at] = np.maximum(calm[:, at], 1.0)
        if not _matches(_TWO_SIDED, name):
            calm[:, at] = np.fmin(calm[:, at], plain[:, at])
    return np.where(np.isnan(plain), np.nan, calm)


def _occluded(plain: Floats, names: Sequence[str], calm: Floats, *, calm_price: Floats) -> Floats:
    """(n, groups, n_features): each row with one group put back to what is calm."""
    made = np.repeat(plain[:, None, :], len(GROUPS), axis=1)
    column = _Columns(plain, names)
    tries = np.nan_to_num(column("new_models_1h")) >= ENUMERATES
    is_model = np.array(["model" in groups_of(name) for name in names])
    above = _above_its_hours(column)
    for no, group in enumerate(GROUPS):
        own = np.array([group in groups_of(name) for name in names])
        if group == "enumeration":
            own = own | (is_model & tries[:, None])
        elif group == "model":
            own = own & ~tries[:, None]
        made[:, no] = np.where(own, calm, plain)
    price, volume, rhythm = (made[:, list(GROUPS).index(group)] for group in ("price", "volume", "rhythm"))
    _cost_by_number(price, plain, names, ratio=calm_price / column("usd_per_request_1h"))
    for at, name in enumerate(names):
        if "volume" in groups_of(name):
            rest = np.fmax(price[:, at] - calm[:, at], 0.0)  # what the price does not explain
            by_number = above if _matches(_AT_THIS_HOUR, name) else 1.0
            volume[:, at] = plain[:, at] - rest * by_number
            rhythm[:, at] = plain[:, at] - rest * (1.0 - by_number)
    return made


def _cost_by_number(made: Floats, plain: Floats, names: Sequence[str], *, ratio: Floats) -> None:
    """At the usual price and size, spend and tokens are as unusual as the number of requests, and no more. `ratio`: the usual
    price over the price now, NaN where the usual one is not known."""
    column = _Columns(plain, names)
    cheaper = np.fmin(np.where(np.isfinite(ratio), ratio, 1.0), 1.0)
    day = column("usd_24h")
    cheaper_day = 1.0 - (1.0 - cheaper) * np.where(day > 0, np.fmin(column("usd_1h") / np.fmax(day, 1e-9), 1.0), 0.0)
    for at, name in enumerate(names):
        kind, _, window = name.partition("_z_")
        if kind in ("spend", "tokens") and window:
            made[:, at] = np.fmin(made[:, at], column(f"requests_z_{window}"))
        elif _matches(_OF_THE_HOUR, name):
            made[:, at] *= cheaper
        elif name in ("usd_24h", "times_usual_24h"):
            made[:, at] *= np.where(np.isfinite(cheaper_day), cheaper_day, 1.0)


def _above_its_hours(column: _Columns) -> Floats:
    """By row: the share of the spend above what is usual now that would be too much at any hour of this key. 1 but where the
    key hardly works at this hour, or was asleep; there, what lies above its dearest hour."""
    is_odd = (column("hour_surprise") >= ODD_HOUR) | (column("silence_h") >= LONG_SILENCE_H)
    above = np.clip(1.0 - 1.0 / np.fmax(column("times_peak_1h"), 1e-9), 0.0, 1.0)
    return np.where(is_odd & np.isfinite(above), above, 1.0)


def _all_calm(plain: Floats, without: Floats) -> Floats:
    """Every group put back at once: of each feature the calmest of the occlusions."""
    moved = ~_same(without, plain[:, None, :])
    first = np.argmax(np.where(moved, np.abs(without - plain[:, None, :]), -1.0), axis=1)
    return np.take_along_axis(without, first[:, None, :], axis=1)[:, 0, :]


def _same(some: Floats, others: Floats) -> Bools:
    """Equal, unknown being equal to unknown."""
    same: Bools = (some == others) | (np.isnan(some) & np.isnan(others))
    return same


class _Columns:
    """Columns of a table by feature name; NaN throughout for a feature the detector does not know."""

    def __init__(self, table: Floats, names: Sequence[str]) -> None:
        self._table = table
        self._at = {name: at for at, name in enumerate(names)}

    def __call__(self, name: str) -> Floats:
        at = self._at.get(name)
        return np.full(len(self._table), np.nan) if at is None else self._table[:, at]
