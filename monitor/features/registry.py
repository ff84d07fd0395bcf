"""The features: name, unit and one sentence each. Order and names are what a trained detector is bound to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of a FeatureBatch. `unit`: usd, z, nats, hours, share, count."""

    name: str
    unit: str
    meaning: str


_ROWS: Final = (
    ("novel_model_1h", "usd", "spend of the trailing hour on models the key does not use, weighted by novelty"),
    ("novel_provider_1h", "usd", "the same for providers"),
    ("novel_country_1h", "usd", "the same for countries"),
    ("novel_app_1h", "usd", "the same for apps"),
    ("novel_model_10m", "usd", "spend of the last ten minutes on novel models; unknown on hourly history"),
    ("novel_model_24h", "usd", "spend of the last 24 hours on novel models"),
    (
        "joint_10m",
        "usd",
        "spend of the last ten minutes novel in model and in country or app; unknown on hourly history",
    ),
    ("joint_1h", "usd", "spend of the trailing hour novel in model and in country or app"),
    (
        "joint_same_1h",
        "usd",
        "the same counted bucket by bucket, so that both happened in the same ten minutes; unknown on hourly history",
    ),
    ("joint_6h", "usd", "joint novel spend counted hour by hour over the last 6 hours"),
    ("joint_24h", "usd", "joint novel spend counted hour by hour over the last 24 hours"),
    ("second_novel_1h", "usd", "second largest of the four novel spends: two habits broken at once"),
    (
        "peer_joint_1h",
        "usd",
        "joint spend on values unlikely for the owner's other keys and the fleet, whatever the key itself does",
    ),
    ("over_peak_1h", "usd", "spend on each model above the most the key ever spent on it in an hour"),
    ("new_models_1h", "count", "models of the trailing hour never learned for this key"),
    ("new_providers_1h", "count", "providers of the trailing hour never learned for this key"),
    ("new_countries_1h", "count", "countries of the trailing hour never learned for this key"),
    ("new_apps_1h", "count", "apps of the trailing hour never learned for this key"),
    ("new_models_24h", "count", "models of the last 24 hours never learned for this key"),
    ("n_models_1h", "count", "distinct models of the trailing hour: enumeration"),
    ("n_countries_1h", "count", "distinct countries of the trailing hour: a shared pool of users"),
    ("spend_z_10m", "z", "spend of the last ten minutes above the seasonal expectation; unknown on hourly history"),
    ("requests_z_10m", "z", "requests of the last ten minutes above expectation; unknown on hourly history"),
    ("tokens_z_10m", "z", "tokens of the last ten minutes above expectation; unknown on hourly history"),
    ("spend_z_1h", "z", "spend of the trailing hour above the seasonal expectation"),
    ("requests_z_1h", "z", "requests of the trailing hour above expectation"),
    ("tokens_z_1h", "z", "tokens of the trailing hour above expectation"),
    ("spend_z_6h", "z", "spend of the last 6 hours above expectation"),
    ("requests_z_6h", "z", "requests of the last 6 hours above expectation"),
    ("tokens_z_6h", "z", "tokens of the last 6 hours above expectation"),
    ("spend_z_24h", "z", "spend of the last 24 hours above expectation"),
    ("requests_z_24h", "z", "requests of the last 24 hours above expectation"),
    ("tokens_z_24h", "z", "tokens of the last 24 hours above expectation"),
    ("price_jump_1h", "z", "dollars per request above the key's usual, in spreads of its logarithm"),
    ("size_jump_1h", "z", "tokens per request above the key's usual"),
    ("rate_jump_1h", "z", "dollars per token above the key's usual: a dearer class of models"),
    ("limit_used", "share", "share of the key's limit that is used; unknown without a limit"),
    ("model_distance_1h", "share", "total variation between the hour's mix of models and the habit"),
    ("country_distance_1h", "share", "the same for countries"),
    ("app_distance_1h", "share", "the same for apps"),
    ("model_entropy_1h", "nats", "entropy of the hour's mix of models"),
    ("new_model_share_1h", "share", "share of the hour's spend on models never learned"),
    ("rare_model_share_1h", "share", "share of the hour's spend on models below one percent of the habit"),
    ("hour_surprise", "nats", "how much rarer than in a uniform day the key works at this hour"),
    ("silence_h", "hours", "hours without a request before the last six"),
    (
        "burst_share_1h",
        "share",
        "share of the trailing hour's spend in its hottest ten minutes; unknown on hourly history",
    ),
)

FEATURES: Final[dict[str, Feature]] = {row[0]: Feature(*row) for row in _ROWS}
"""Every feature, in the order of FeatureBatch columns."""
