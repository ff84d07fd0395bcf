"""What of a key's habits its last hour breaks beside what it was used for: how much, at what price, when. In words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from monitor.detect.explain import LONG_SILENCE_H, ODD_HOUR
from monitor.domain import NUSD, Cause, Dimension, Spend
from monitor.wording import money, multiple

TIMES: Final = 2.0
"""How many times the usual a price or a number must be to be named."""


JOINT_SHARE: Final = 0.1
"""Share of the hour's dollars below which what is new in two ways at once is not named."""


@dataclass(frozen=True, slots=True)
class Part:
    """One cause on its way into a finding: `group` of `explain.GROUPS`, and its short form for the leading sentence.
    `phrase` empty: not in the sentence. `weight`: among the parts of the same group. `has_dollars`: the phrase names the
    dollars of the hour, so that it can lead."""

    group: str
    cause: Cause
    phrase: str
    weight: float = 1.0
    has_dollars: bool = False

    @property
    def is_new_model(self) -> bool:
        """Whether it tells of models the key never used."""
        return self.cause.dimension is Dimension.MODEL and self.cause.is_first_seen


@dataclass(frozen=True, slots=True)
class Habits:
    """What is known of one key's hour beside its money; NaN where it is not. `joint_nusd`: dollars new in model and at the
    same time in country or app. Nats and hours are those of the features of these names."""

    n_requests: int = 0
    usual_requests: float = float("nan")
    usual_request_nusd: float = float("nan")
    hour_surprise: float = float("nan")
    silence_h: float = float("nan")
    joint_nusd: int = 0

    @classmethod
    def of(cls, spend: Mapping[str, Any], values: Mapping[str, float]) -> Self:
        """From a SPEND row and the features of the key by name."""
        return cls(
            n_requests=int(spend["n_requests"]),
            usual_requests=float(spend["usual_requests"]),
            usual_request_nusd=float(spend["usual_request_nusd"]),
            hour_surprise=values.get("hour_surprise", float("nan")),
            silence_h=values.get("silence_h", float("nan")),
            joint_nusd=int(spend["joint_per_hour_nusd"]),
        )


def dollars(nusd: float) -> str:
    """Money for people: cents where they matter, none where they do not."""
    usd = nusd / NUSD
    if usd >= 100:
        return f"${usd:,.0f}"
    return f"${usd:,.2f}" if usd >= 0.01 or usd == 0 else "less than a cent"


def parts(spend: Spend, kept: Habits) -> list[Part]:
    """The habits of amount, price and time that are broken; those that hold, or are not known, are left out."""
    found = (_volume(spend, kept), _price(spend, kept), _rhythm(spend, kept), _joint(spend, kept))
    return [part for part in found if part is not None]


def _volume(spend: Spend, kept: Habits) -> Part | None:
    now, usual = spend.per_hour_nusd, spend.expected_per_hour_nusd
    if now <= usual:
        return None
    times = multiple(now, usual) if usual > 0 and now >= TIMES * usual else ""
    sentence = (
        f"{dollars(now)} in the last hour; usual {dollars(usual)} at this hour{f', {times} as much' if times else ''}"
    )
    said = [f"{times} the usual spend"] if times else []
    if np.isfinite(kept.usual_requests) and kept.n_requests >= TIMES * max(kept.usual_requests, 1.0):
        said.append(f"{kept.n_requests:,} requests, usual {kept.usual_requests:,.0f}")
        sentence = f"{sentence}; {said[-1]}"
    return Part("volume", Cause(None, "spend", now, 1.0, False, usual, sentence), " in ".join(said[:2]))


def _price(spend: Spend, kept: Habits) -> Part | None:
    usual, n = kept.usual_request_nusd, kept.n_requests
    now = spend.per_hour_nusd / n if n else 0.0
    if not usual > 0 or now < TIMES * usual:
        return None
    times = multiple(round(now), round(usual)) or "many times"
    phrase = f"price per request {times} the usual"
    sentence = f"{money(round(now))} per request; usual {money(round(usual))}, {times} as much"
    above = round((now - usual) * n)
    return Part("price", Cause(None, "price", above, _share(above, spend), False, 0, sentence), phrase)


def _rhythm(spend: Spend, kept: Habits) -> Part | None:
    if kept.silence_h >= LONG_SILENCE_H:
        span = f"{kept.silence_h / 24:,.0f} days" if kept.silence_h >= 48 else f"{kept.silence_h:.0f} hours"
        said, value = f"silent for {span} before", "silence"
    elif kept.hour_surprise >= ODD_HOUR:
        said, value = "at an hour at which this key hardly ever works", "hour"
    else:
        return None
    now, usual = spend.per_hour_nusd, spend.expected_per_hour_nusd
    return Part("rhythm", Cause(None, value, now, 1.0, False, usual, f"{dollars(now)} in the last hour, {said}"), said)


def _joint(spend: Spend, kept: Habits) -> Part | None:
    """In the list only: the leading sentence names the model and the place."""
    cost = kept.joint_nusd
    if cost < JOINT_SHARE * spend.per_hour_nusd or cost <= 0:
        return None
    sentence = f"{dollars(cost)} is new in model and, within the same ten minutes, in country or app"
    return Part("joint", Cause(None, "joint", cost, _share(cost, spend), True, 0, sentence), "")


def _share(part: int, spend: Spend) -> float:
    return min(1.0, part / spend.per_hour_nusd) if spend.per_hour_nusd > 0 else 0.0
