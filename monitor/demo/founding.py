"""How a fleet of the demo world comes to be: archetypes, names, habits; a pure function of a seed."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from monitor.demo.catalogue import COUNTRIES, MODELS, RELAYS, TEAMS, TOOLS
from monitor.demo.fleet import Cells, Fleet, Key, PriceBook
from monitor.domain import NUSD, Workspace


@dataclass(frozen=True, slots=True)
class Archetype:
    """One kind of key. Ranges are (low, high); `usd_per_day` is log-uniform, `prompt_tokens` the mean per request."""

    name: str
    share: float
    labels: tuple[str, ...]
    n_models: tuple[int, int]
    n_countries: tuple[int, int]
    usd_per_day: tuple[float, float]
    prompt_tokens: tuple[int, int]
    completion_tokens: tuple[int, int]
    burstiness: float  # coefficient of variation of the hourly rate
    apps: str  # "product": the team's own title (or none); "tool": client programs


ARCHETYPES: Final[tuple[Archetype, ...]] = (
    Archetype("service", 0.22, ("api-prod", "chat-backend", "search-prod", "moderation"), (1, 2), (1, 1), (0.05, 400),
              (400, 4000), (80, 600), 0.25, "product"),
    Archetype("product", 0.20, ("app-main", "assistant", "chat-service", "support-bot"), (2, 5), (2, 5), (0.04, 150),
              (600, 6000), (150, 800), 0.35, "product"),
    Archetype("developer", 0.26, ("dev", "cline", "agent", "my-key"), (3, 8), (1, 2), (0.02, 40),
              (4000, 40000), (200, 1500), 0.8, "tool"),
    Archetype("batch", 0.10, ("batch", "nightly-eval", "embeddings-etl"), (1, 2), (1, 1), (0.04, 100),
              (800, 8000), (100, 1200), 0.4, "product"),
    Archetype("personal", 0.12, ("side-project", "test", "playground"), (1, 3), (1, 1), (0.002, 0.4),
              (200, 3000), (80, 800), 1.2, "tool"),
    Archetype("idle", 0.10, ("old-prod", "spare", "trial"), (1, 2), (1, 1), (0.001, 0.01),
              (200, 2000), (80, 400), 1.5, "tool"),
)  # fmt: skip

HOSTILE_NAMES: Final = (
    "<!channel> *prod* | <https://evil.example|click>",
    '=HYPERLINK("https://evil.example")\n`rm -rf`',
    "\u202eyek-dorp\u2066 <@U0000001> & co",
)
"""Key names as somebody with bad intentions would choose them."""


WEEK_SHAPES: Final[dict[str, tuple[tuple[float, ...], float, float]]] = {
    # rate by local hour of a weekday (scaled to mean 1 over the week), factor at weekends, share of days at work
    "service": (tuple(1.0 + 0.45 * np.sin((hour - 9) / 24 * 2 * np.pi) for hour in range(24)), 0.85, 1.0),
    "product": (tuple(1.05 + 0.8 * np.sin((hour - 10) / 24 * 2 * np.pi) for hour in range(24)), 0.65, 1.0),
    "developer": (
        tuple([0.02] * 8 + [0.4, 1, 1.2, 1.1, 0.6, 1, 1.2, 1.1, 0.9, 0.6] + [0.25] * 3 + [0.05] * 3),
        0.06,
        0.9,
    ),
    "batch": (tuple([0.0] * 24), 1.0, 0.95),  # its hours come from `phase_h`
    "personal": (tuple([0.05] * 8 + [0.2] * 9 + [1.0] * 6 + [0.3]), 1.3, 0.35),
    "idle": (tuple([0.1] * 8 + [0.5] * 12 + [0.2] * 4), 0.5, 0.04),
}
"""Daily and weekly rhythm of each archetype."""

_N_YOUNG: Final = 3


def found(*, seed: int, n_keys: int, n_workspaces: int, now: datetime, has_hostile_names: bool = True) -> Fleet:
    """A fleet as it stands at `now`. The same arguments give the same fleet."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    workspaces = tuple(
        Workspace(str(uuid.UUID(bytes=_digest(seed, f"workspace {no}")[:16], version=4)), name)
        for no, name in enumerate(("Default", "Research", "Platform", "Sandbox", "Labs")[:n_workspaces])
    )
    kinds = rng.choice(len(ARCHETYPES), size=n_keys, p=[kind.share for kind in ARCHETYPES])
    usd_per_day = np.array([_log_uniform(rng, *ARCHETYPES[kind].usd_per_day) for kind in kinds])
    keys = [_key(rng, seed=seed, no=no, kind=kinds[no], now=now, workspaces=workspaces) for no in range(n_keys)]
    _share_names(keys, kinds.tolist())
    if has_hostile_names and n_keys >= 50:
        for key, name in zip(keys[n_keys // 2 :], HOSTILE_NAMES, strict=False):
            key.name = name
    fleet = Fleet(
        seed=seed,
        keys=keys,
        workspaces=workspaces,
        cells=_no_cells(),
        requests_per_hour=np.zeros(n_keys),
        usd_per_day=usd_per_day,
        burstiness=np.array([ARCHETYPES[kind].burstiness for kind in kinds]) * rng.uniform(0.6, 1.4, n_keys),
        utc_offset_h=np.zeros(n_keys, dtype=np.int64),
        kind=kinds.astype(np.int8),
        born_s=np.array([int(key.created_at.timestamp()) for key in keys], dtype=np.int64),
        phase_h=rng.integers(0, 24, n_keys),
        prices=PriceBook(),
    )
    _settle(rng, fleet, now=now)
    for key, usd in zip(keys, usd_per_day, strict=True):
        _set_limit(rng, key, float(usd), now=now)
    return fleet


def _digest(seed: int, what: str) -> bytes:
    return hashlib.sha256(f"demo {seed} {what}".encode()).digest()


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def new_key(
    *, seed: int, no: int, name: str, workspace_id: str, created_at: datetime, creator: str | None, archetype: str
) -> Key:
    """A key as OpenRouter would create it; hash and label follow from seed and number."""
    digest = _digest(seed, f"key {no}").hex()
    return Key(
        no=no,
        key_hash=digest,
        name=name,
        label=f"sk-or-v1-{digest[7:10]}...{digest[-3:]}",
        workspace_id=workspace_id,
        creator=creator,
        created_at=created_at.replace(microsecond=0),
        archetype=archetype,
    )


def _key(
    rng: np.random.Generator, *, seed: int, no: int, kind: int, now: datetime, workspaces: tuple[Workspace, ...]
) -> Key:
    archetype = ARCHETYPES[kind]
    label = str(rng.choice(archetype.labels))
    team = str(rng.choice(TEAMS))
    name = (label, f"{label} ({team})", f"{label}-{no}")[int(rng.choice(3, p=(0.3, 0.3, 0.4)))]
    age_days = rng.uniform(5, 30) if rng.random() < 0.06 else rng.uniform(33, 500)
    if no < _N_YOUNG:
        age_days = float(rng.uniform(2, 40)) / 24
    place = 0 if rng.random() < 0.6 or len(workspaces) == 1 else int(rng.integers(1, len(workspaces)))
    creator = None if rng.random() < 0.08 else f"user_{_digest(seed, f'creator {rng.integers(0, 24)}').hex()[:27]}"
    key = new_key(
        seed=seed,
        no=no,
        name=name,
        workspace_id=workspaces[place].workspace_id,
        created_at=now - timedelta(days=float(age_days)),
        creator=creator,
        archetype=archetype.name,
    )
    key.is_disabled = archetype.name == "idle" and bool(rng.random() < 0.4)
    key.is_byok = archetype.name == "product" and bool(rng.random() < 0.05)
    key.updated_at = key.created_at if rng.random() < 0.8 else None
    return key


def _share_names(keys: list[Key], kinds: list[int]) -> None:
    """Makes sure that some names are borne twice: within a workspace, and across workspaces."""
    active = [key for key in keys[_N_YOUNG:] if ARCHETYPES[kinds[key.no]].name in {"service", "product", "developer"}]
    by_place: dict[str, list[Key]] = {}
    for key in active:
        by_place.setdefault(key.workspace_id, []).append(key)
    for mates in by_place.values():
        if len(mates) >= 2:
            mates[1].name = mates[0].name
    first = [mates[-1] for mates in by_place.values()]
    for key in first[1:]:
        key.name = first[0].name


def _no_cells() -> Cells:
    codes, shares = np.zeros(0, dtype=np.int16), np.zeros(0)
    return Cells(np.zeros(0, dtype=np.int32), codes, codes, codes, codes, shares, shares, shares)


def _settle(rng: np.random.Generator, fleet: Fleet, *, now: datetime) -> None:
    """Gives every key its cells, its time zone, and the rate that makes it cost `usd_per_day` on average."""
    rows: list[tuple[int, int, int, int, int, float, float, float]] = []
    zones = [ZoneInfo(zone) for _, zone, _ in COUNTRIES]
    weights = np.array([share for *_, share in COUNTRIES])
    for key in fleet.keys:
        home = int(rng.choice(len(COUNTRIES), p=weights / weights.sum()))
        offset = now.astimezone(zones[home]).utcoffset()
        fleet.utc_offset_h[key.no] = 0 if offset is None else round(offset.total_seconds() / 3600)
        rows.extend(_habits(rng, fleet, key, home))
    columns = list(zip(*rows, strict=True))
    model, provider, country, app = (np.array(column, dtype=np.int16) for column in columns[1:5])
    fleet.cells = cells = Cells(
        key=np.array(columns[0], dtype=np.int32),
        model=model,
        provider=provider,
        country=country,
        app=app,
        share=np.array(columns[5]),
        prompt=np.array(columns[6]),
        completion=np.array(columns[7]),
    )
    per_request = cells.share * (
        cells.prompt * fleet.prices.prompt_nusd()[cells.model]
        + cells.completion * fleet.prices.completion_nusd()[cells.model]
    )
    nusd_per_request = np.bincount(cells.key, weights=per_request, minlength=len(fleet.keys))
    fleet.requests_per_hour[:] = fleet.usd_per_day * NUSD / 24 / nusd_per_request


def _habits(
    rng: np.random.Generator, fleet: Fleet, key: Key, home: int
) -> Iterator[tuple[int, int, int, int, int, float, float, float]]:
    """Cells of one key: a few models, each with its providers, countries and apps, and now and then something rare."""
    kind = ARCHETYPES[fleet.kind[key.no]]
    dearness = np.array([model.blended_nusd for model in MODELS], dtype=np.float64)
    n_models = min(len(MODELS), int(rng.integers(kind.n_models[0], kind.n_models[1] + 1)))
    liking = (1 / dearness) ** 0.35
    liking[dearness >= 100_000] *= 0.25
    models = rng.choice(len(MODELS), size=n_models + 1, replace=False, p=liking / liking.sum())
    model_share = np.sort(rng.dirichlet(np.full(n_models, 0.8)))[::-1]
    n_countries = min(len(COUNTRIES), int(rng.integers(kind.n_countries[0], kind.n_countries[1] + 1)))
    abroad = [int(no) for no in rng.permutation(len(COUNTRIES)) if no != home][: n_countries - 1]
    country_share = np.concatenate([[3.0], rng.uniform(0.1, 0.8, len(abroad))])
    countries = [fleet.countries.code(COUNTRIES[no][0]) for no in (home, *abroad)]
    apps = _apps(rng, kind)
    app_share = np.sort(rng.dirichlet(np.ones(len(apps))))[::-1]
    prompt = _log_uniform(rng, *kind.prompt_tokens)
    completion = _log_uniform(rng, *kind.completion_tokens)
    cells: list[tuple[int, int, int, int, float, float, float]] = []
    for model, share in zip((*models[:n_models], models[n_models]), (*model_share, 0.002), strict=True):
        size = rng.lognormal(0, 0.3)
        providers = MODELS[model].providers[: 1 + int(rng.random() < 0.5)]
        for provider_no, provider in enumerate(providers):
            provider_share = 1.0 if len(providers) == 1 else (0.85, 0.15)[provider_no]
            for country, of_country in zip(countries, country_share / country_share.sum(), strict=True):
                for app, of_app in zip(apps, app_share, strict=True):
                    cells.append((
                        int(model), fleet.providers.code(provider), country, fleet.apps.code(app),
                        float(share * provider_share * of_country * of_app), prompt * size, completion * size,
                    ))  # fmt: skip
    cells.sort(key=lambda cell: -cell[4])
    kept = cells[:32]
    total = sum(cell[4] for cell in kept)
    for cell in kept:
        yield (key.no, *cell[:4], cell[4] / total, cell[5], cell[6])


def _apps(rng: np.random.Generator, kind: Archetype) -> list[str]:
    if kind.apps == "tool":
        titles = rng.choice((*TOOLS, *RELAYS) if kind.name == "personal" else TOOLS, size=2, replace=False)
        return [str(title) for title in titles[: 1 + int(rng.random() < 0.5)]]
    return [f"{rng.choice(TEAMS).title()} {kind.labels[0].title()}" if rng.random() < 0.5 else ""]


def _set_limit(rng: np.random.Generator, key: Key, usd_per_day: float, *, now: datetime) -> None:
    """One key in six has a credit limit, mostly well above what it needs."""
    age_days = (now - key.created_at).total_seconds() / 86_400
    key.seeded_nusd = round(max(0.0, age_days - 31) * usd_per_day * float(rng.uniform(0.3, 1.0)) * 1e6) * 1000
    if rng.random() > 1 / 6:
        return
    key.limit_reset = (None, "daily", "weekly", "monthly")[int(rng.choice(4, p=(0.3, 0.2, 0.1, 0.4)))]
    days = {"daily": 1.0, "weekly": 7.0, "monthly": 31.0}.get(key.limit_reset or "", 120.0)
    headroom = float(rng.uniform(1.5, 6.0))
    limit_usd = max(1.0, round(usd_per_day * days * headroom)) + (
        key.seeded_nusd // NUSD if key.limit_reset is None else 0
    )
    key.limit_nusd = int(limit_usd) * NUSD
