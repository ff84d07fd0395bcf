"""Copies of some keys as a small fleet of their own, to ask "what would the features be if": the parent is not touched.

A fork holds the recent cells, habits and levels of the keys asked for; the same key may be asked for more than once. What
its keys' features owe to the rest of the fleet (priors, typical level) is the parent's: a fork of a key has the features of
the key itself, until something is put into it. It lives for one moment; it is not advanced.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from monitor.domain import HOUR_S
from monitor.features import volume
from monitor.features.baseline import Expectation
from monitor.features.columns import Ints
from monitor.features.priors import pool_of
from monitor.features.scene import inventory_of
from monitor.features.state import FleetState
from monitor.frames import KEYS, check, utc_seconds


def fork(state: FleetState, keys: pd.DataFrame, key_no: Ints, *, hour: int) -> tuple[FleetState, pd.DataFrame]:
    """The fork, and its inventory (frames.KEYS): key number i of the fork is `key_no[i]` of the parent.

    `keys`: frames.KEYS of the parent; `hour`: the one whose features will be asked for, in hours since the epoch."""
    inventory = inventory_of(state, keys)
    index = key_no.astype(np.int64) + 1
    copied = FleetState(state.params)
    copied.head_hour, copied.learned_hour = state.head_hour, state.learned_hour
    copied.n_rescaled, copied.version = state.n_rescaled, state.version
    rows = np.append(0, index)
    copied.keys.put({name: np.ascontiguousarray(state.keys[name][..., rows]) for name in state.keys})
    _copy_slots(state, copied, index)
    copied.cache["pool"] = pool_of(state, inventory.owner)
    usual = volume.expected_of_all(state, hour, inventory.born_hour)
    mine = {name: Expectation(each.median[rows], each.spread[rows]) for name, each in usual.items()}
    volume.keep_expected(copied, hour, inventory.born_hour[rows], mine)
    listed = pd.DataFrame(
        {
            "key_no": np.arange(len(index), dtype=np.int32),
            "created_at": utc_seconds(inventory.born_hour[index] * HOUR_S),
            "owner_no": inventory.owner[index].astype(np.int32),
            "is_disabled": np.zeros(len(index), np.bool_),
            "limit_nusd": inventory.limit[index],
            "limit_remaining_nusd": inventory.limit_remaining[index],
        }
    )
    return copied, check(listed, KEYS)


def _copy_slots(state: FleetState, copied: FleetState, index: Ints) -> None:
    """The slots of each key asked for, once for each time it is asked for."""
    order = state.slots.canonical()
    key = state.slots["key"][order]
    first, last = np.searchsorted(key, index), np.searchsorted(key, index + 1)
    n = last - first
    at = order[np.repeat(first, n) + np.arange(int(n.sum())) - np.repeat(np.cumsum(n) - n, n)]
    arrays = {name: np.ascontiguousarray(state.slots[name][..., at]) for name in state.slots.table}
    arrays["key"] = np.repeat(np.arange(1, len(index) + 1), n).astype(arrays["key"].dtype)
    copied.slots.table.put(arrays)
    copied.slots.index()
