"""The features: name, unit and one sentence each. Order and names are what a trained detector is bound to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of a FeatureBatch. `unit`: usd, z, nats, hours, share, ratio, count."""

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
    ("novel_country_24h", "usd", "spend of the last 24 hours from novel countries"),
    ("novel_app_24h", "usd", "spend of the last 24 hours by novel apps"),
    ("over_peak_country_1h", "usd", "spend from each country above the most the key ever spent from it in an hour"),
    ("over_peak_app_1h", "usd", "the same for apps"),
    *(
        row
        for name, many in (("model", "models"), ("country", "countries"), ("app", "apps"))
        for row in (
            (
                f"never_{name}_10m",
                "usd",
                f"spend of the last ten minutes on {many} never learned; unknown on hourly history",
            ),
            (f"never_{name}_1h", "usd", f"spend of the trailing hour on {many} never learned, whatever the key's age"),
            (f"never_{name}_24h", "usd", f"spend of the last 24 hours on {many} never learned"),
            (f"peer_novel_{name}_1h", "usd", f"spend on {many} unlikely for the owner's other keys and the fleet"),
            (f"unknown_to_peers_{name}_1h", "usd", f"spend on {many} never learned and unlikely for the peers too"),
            (f"surprise_{name}_1h", "nats", f"mean surprise of the hour's {many} under the key's own habit"),
            (f"rarity_{name}_1h", "nats", f"mean surprise of the hour's {many} under the peers' habits alone"),
        )
    ),
    ("usd_10m", "usd", "spend of the last ten minutes; unknown on hourly history"),
    ("usd_1h", "usd", "spend of the trailing hour"),
    ("usd_24h", "usd", "spend of the last 24 hours"),
    ("n_requests_1h", "count", "requests of the trailing hour"),
    ("usd_per_request_1h", "usd", "dollars per request of the trailing hour"),
    ("tokens_per_request_1h", "count", "tokens per request of the trailing hour"),
    ("usd_per_mtoken_1h", "usd", "dollars per million tokens of the trailing hour"),
    ("usual_usd_1h", "usd", "expected spend of this hour of the week"),
    ("mean_usd_1h", "usd", "decayed mean spend of a known hour, silent ones included"),
    ("times_usual_1h", "ratio", "spend of the trailing hour over the larger of the two"),
    ("times_usual_24h", "ratio", "spend of the last 24 hours over 24 mean hours"),
    ("times_peak_1h", "ratio", "spend of the trailing hour over the dearest learned hour of five weeks"),
    ("history_h", "hours", "known usage history the key's baseline rests on"),
    ("active_hours_24h", "count", "clock hours of the last day in which the key was used"),
    ("habit_models", "count", "models the key usually spreads over: exp of the entropy of its habit"),
    ("habit_countries", "count", "the same for countries"),
    ("habit_apps", "count", "the same for apps"),
)

FEATURES: Final[dict[str, Feature]] = {row[0]: Feature(*row) for row in _ROWS}
"""Every feature, in the order of FeatureBatch columns."""
