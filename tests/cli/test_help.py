"""Help is complete, stable and cheap."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from monitor import __version__
from monitor.cli import COMMANDS

HEAVY = (
    "pandas",
    "numpy",
    "sklearn",
    "scipy",
    "sqlalchemy",
    "alembic",
    "httpx",
    "aiohttp",
    "slack_sdk",
    "apscheduler",
    "rich",
)
PROBE = f"""
import json, resource, sys
from monitor.cli import command
try:
    command(sys.argv[1:], prog_name="openrouter-monitor")
except SystemExit as end:
    status = end.code
loaded = [name for name in {HEAVY!r} if name in sys.modules]
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([status, loaded, used.ru_utime + used.ru_stime]), file=sys.stderr)
"""


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_the_help_reads_as_agreed(run, golden, name):
    result = run(*([name] if name else []), "--help")
    assert result.exit_code == 0
    golden(f"cli_help_{name or 'all'}.txt", result.stdout)


@pytest.mark.parametrize(
    "args",
    [
        *(["incidents", name] for name in ("list", "show", "ack", "silence", "resolve", "bundle")),
        *(["silence", name] for name in ("add", "list", "expire")),
        *(["audit", name] for name in ("list", "verify")),
    ],
    ids=" ".join,
)
def test_the_help_of_what_a_group_holds_reads_as_agreed(run, golden, args):
    result = run(*args, "--help")
    assert result.exit_code == 0
    golden(f"cli_help_{'_'.join(args)}.txt", result.stdout)


@pytest.mark.parametrize("args", [[], ["-h"], ["keys", "-h"]], ids=["none", "-h", "keys -h"])
def test_help_is_found_the_usual_ways(run, args):
    result = run(*args)
    assert "Usage: openrouter-monitor" in result.output


def test_the_version_is_told(run):
    assert run("--version").stdout.strip().endswith(__version__)


def test_every_command_is_there_under_its_name(run):
    for name, (_, line) in COMMANDS.items():
        assert f"  {name} " in run("--help").stdout
        assert line


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["status", "--help"], ["keys", "--help"]], ids=" ".join)
def test_help_imports_nothing_heavy_and_costs_little(args):
    ran = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", PROBE, *args], capture_output=True, text=True, check=True
            ).stderr.splitlines()[-1]
        )
        for _ in range(2)
    ]
    assert all(status == 0 and loaded == [] for status, loaded, _ in ran)
    assert min(cpu_s for _, _, cpu_s in ran) < 0.3
