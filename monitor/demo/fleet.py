"""The keys of the demo world and what the codes of their habits mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from monitor.demo.catalogue import MODELS, Model
from monitor.domain import Workspace


@dataclass(slots=True)
class Key:
    """One key of the account, with its changeable settings. `seeded_nusd`: spend from before the history begins."""

    no: int
    key_hash: str
    name: str
    label: str
    workspace_id: str
    creator: str | None
    created_at: datetime
    archetype: str
    is_disabled: bool = False
    limit_nusd: int | None = None
    limit_reset: str | None = None
    include_byok_in_limit: bool = False
    is_byok: bool = False
    updated_at: datetime | None = None
    expires_at: datetime | None = None
    seeded_nusd: int = 0
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Cells:
    """What each key uses, one entry a (key, model, provider, country, app), parallel arrays; codes index `Vocabulary`.

    `share` sums to 1 a key; `prompt`, `completion` are mean tokens of a request."""

    key: npt.NDArray[np.int32]
    model: npt.NDArray[np.int16]
    provider: npt.NDArray[np.int16]
    country: npt.NDArray[np.int16]
    app: npt.NDArray[np.int16]
    share: npt.NDArray[np.float64]
    prompt: npt.NDArray[np.float64]
    completion: npt.NDArray[np.float64]


class Vocabulary:
    """Text of one dimension by code; grows when a thief brings something new."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._codes: dict[str, int] = {}

    def code(self, text: str) -> int:
        """The code of a text, given anew if it has none."""
        if text not in self._codes:
            self._codes[text] = len(self.texts)
            self.texts.append(text)
        return self._codes[text]

    def find(self, text: str) -> int | None:
        """The code of a text, None if it never occurred."""
        return self._codes.get(text)


class PriceBook:
    """Models by code, with prices in nano-dollars per token; grows when a new model appears."""

    def __init__(self) -> None:
        self.names = Vocabulary()
        self.models: list[Model] = []
        for model in MODELS:
            self.add(model)

    def add(self, model: Model) -> int:
        """The code of a model, given anew if it has none."""
        code = self.names.code(model.permaslug)
        if code == len(self.models):
            self.models.append(model)
        return code

    def code(self, permaslug: str) -> int:
        """The code of a known model; raises KeyError for others."""
        code = self.names.find(permaslug)
        if code is None:
            raise KeyError(f"no model {permaslug!r} in the price book")
        return code

    def prompt_nusd(self) -> npt.NDArray[np.int64]:
        """Price of a prompt token by code."""
        return np.array([model.prompt_nusd for model in self.models], dtype=np.int64)

    def completion_nusd(self) -> npt.NDArray[np.int64]:
        """Price of a completion token by code."""
        return np.array([model.completion_nusd for model in self.models], dtype=np.int64)

    def reasoning_share(self) -> npt.NDArray[np.float64]:
        """Share of completion tokens spent on reasoning by code."""
        return np.array([model.reasoning_share for model in self.models], dtype=np.float64)


@dataclass(slots=True)
class Fleet:
    """All keys, their habits, and what the codes of the habits mean.

    Arrays have one entry for each key that was there at the founding: `requests_per_hour` on average over the hours of a
    week, `usd_per_day` what that costs, `burstiness` (coefficient of variation of the hourly rate), `utc_offset_h`,
    `kind` (code of the archetype), `born_s` (epoch seconds), `phase_h` (when a batch job runs). Keys created later have
    no ordinary traffic."""

    seed: int
    keys: list[Key]
    workspaces: tuple[Workspace, ...]
    cells: Cells
    requests_per_hour: npt.NDArray[np.float64]
    usd_per_day: npt.NDArray[np.float64]
    burstiness: npt.NDArray[np.float64]
    utc_offset_h: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int8]
    born_s: npt.NDArray[np.int64]
    phase_h: npt.NDArray[np.int64]
    prices: PriceBook
    providers: Vocabulary = field(default_factory=Vocabulary)
    countries: Vocabulary = field(default_factory=Vocabulary)
    apps: Vocabulary = field(default_factory=Vocabulary)

    @property
    def n_founders(self) -> int:
        """Keys with ordinary traffic."""
        return len(self.requests_per_hour)

    def names_shared(self) -> dict[str, list[Key]]:
        """Keys by name, names borne by more than one key only."""
        by_name: dict[str, list[Key]] = {}
        for key in self.keys:
            by_name.setdefault(key.name, []).append(key)
        return {name: keys for name, keys in by_name.items() if len(keys) > 1}
