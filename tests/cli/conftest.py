"""A command line in an empty folder, and a store with a theft in it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from build import a_finding, a_key, an_action, an_incident, coverage, key_settings, usage
from cli_build import HOSTILE, MANAGEMENT_KEY, NOW, STOLEN, TWINS, stored
from click.testing import CliRunner, Result
from hostile import VECTORS

from monitor.cli import command
from monitor.demo.clock import ManualClock
from monitor.demo.server import FakeOpenRouter
from monitor.demo.world import World
from monitor.domain import NUSD, ActionState, Dimension, Inventory, Plan, Reason, Rung, Verdict, Workspace
from monitor.store.sqlite import open_store
from monitor.wiring import SystemClock

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No config.toml, no credentials, no settings of whoever runs the tests; logging is put back afterwards."""
    monkeypatch.chdir(tmp_path)
    for name in ("OPENROUTER_MANAGEMENT_KEY", "SLACK_BOT_TOKEN", "CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`run("status", "--json")`; `env=` sets variables, `text=` is typed in. Nothing but SystemExit may come out of a command."""

    def invoke(*args: str, env: dict[str, str] | None = None, text: str | None = None) -> Result:
        result = CliRunner().invoke(
            command, list(args), prog_name="openrouter-monitor", env=env, input=text, catch_exceptions=False
        )
        return result

    return invoke


@pytest.fixture(scope="session")
def filled_at() -> datetime:
    return SystemClock().now().replace(microsecond=0)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, filled_at: datetime) -> Path:
    """One store for all: a stolen key, two keys of one name, keys with hostile names, a deleted key."""
    path = tmp_path_factory.mktemp("filled") / "monitor.db"
    now = filled_at
    hour_ago = now.replace(minute=0, second=0) - timedelta(hours=2)
    keys = [
        a_key(STOLEN, key_name="search-prod", settings=key_settings(limit_usd=500.0, limit_reset="monthly")),
        *(a_key(each, key_name="ci", label=f"sk-or-v1-{each[6:8]}...xyz") for each in TWINS),
        *(a_key(each, key_name=name, label="sk-or-v1-bad...xyz") for each, name in HOSTILE.items()),
    ]
    gone = a_key(9, key_name="old-notebook")
    store = open_store(str(path))
    workspaces = (Workspace("ws-1", "Research"),)
    store.keys.record(Inventory(now - timedelta(hours=3), (*keys, gone), workspaces))
    store.keys.record(Inventory(now, tuple(keys), workspaces, vanished=(gone.key_hash,)))
    catalog = store.keys.catalog
    key_no = catalog.key_no(STOLEN)
    opus, evil = catalog.value_no(Dimension.MODEL, "vendor/opus"), catalog.value_no(Dimension.APP, VECTORS[8])
    rows = [
        (hour_ago, key_no, Dimension.MODEL, opus, 400, 39 * NUSD),
        (hour_ago, key_no, Dimension.APP, evil, 400, 39 * NUSD),
    ]
    store.usage.write(usage(*rows, bucket_s=3600), coverage(hour_ago, hour_ago + timedelta(hours=1), bucket_s=3600))
    incident = an_incident(STOLEN, at=now - timedelta(minutes=5), incident_id="INC-stolen")
    verdict = Verdict(
        STOLEN,
        "INC-stolen",
        now,
        Rung.DISABLE,
        is_act=False,
        reason=Reason.OBSERVE_MODE,
        detail="response.mode is observe",
    )
    old = an_action(
        STOLEN,
        action_id="ACT-old",
        intended_at=now - timedelta(days=3),
        state=ActionState.DONE,
        detail="\x1b[2Jcleared",
    )
    plan = Plan(at=now, incidents=(incident,), verdicts=(verdict,), actions=(old,))
    store.ledger.commit((a_finding(STOLEN, at=now - timedelta(minutes=5)),), plan, ())
    store.state.put(
        "status",
        {
            "at": now.isoformat(),
            "version": "0.1.0",
            "mode": "observe",
            "kill_switch": True,
            "n_cycles": 7,
            "n_keys": len(keys),
            "skew_s": 0.4,
            "detector": "forest of 2026-11-20",
            "lanes": [
                {
                    "lane": "usage",
                    "plan": "minutes, every 5 min",
                    "last_ok_at": (now - timedelta(minutes=3)).isoformat(),
                    "complete_until": None,
                    "last_error": "503 from \x1b]0;title\x07 the source",
                }
            ],
            "troubles": ["usage since 2026-11-23 10:00 UTC: 503 \x1b[2J"],
        },
    )
    store.maintenance.vacuum()
    store.maintenance.close()
    return path


@pytest.fixture
def store_file(filled: Path, filled_at: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the filled store where commands look for it. Each test begins when the store was filled, however late it runs."""
    real_now, begun_at = SystemClock.now, SystemClock().now()
    monkeypatch.setattr(SystemClock, "now", lambda clock: filled_at + (real_now(clock) - begun_at))
    folder = tmp_path / "state"
    folder.mkdir()
    shutil.copyfile(filled, folder / "monitor.db")
    monkeypatch.setenv("MONITOR__STORE__STATE_DIR", str(folder))
    return folder / "monitor.db"


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """An account on loopback, and a store that knows its keys."""
    clock = ManualClock(NOW)
    made = World.build(seed=7, n_keys=20, n_workspaces=1, founded_at=NOW)
    store = open_store(str(tmp_path / "state" / "monitor.db"))
    store.keys.record(Inventory(NOW, tuple(stored(key) for key in made.fleet.keys), ()))
    store.maintenance.close()
    async with FakeOpenRouter(made, clock=clock, management_key=MANAGEMENT_KEY) as api:
        monkeypatch.setenv("MONITOR__OPENROUTER__BASE_URL", api.base_url)
        monkeypatch.setenv("OPENROUTER_MANAGEMENT_KEY", MANAGEMENT_KEY)
        yield made
