"""The command line: one function a command; parse, build, call, print. Exit 0 done, 1 failed, 2 usage or configuration.

Commands are imported when they are called, so that `--help` stays cheap.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import click

from monitor import __version__

COMMANDS = {
    "run": ("service", "Watch the account until stopped (what systemd starts)."),
    "once": ("service", "One watch cycle: read, judge, alert, act; then exit."),
    "check": ("service", "Check config, credentials, permissions and Slack; changes nothing."),
    "backfill": ("service", "Read the history the detector learns from; resumable."),
    "train": ("service", "Refit the detector on the store's own history."),
    "detector": ("detectors", "The detectors made here: roles, drift, promote, rollback."),
    "status": ("look", "How the monitor and its data are doing."),
    "keys": ("look", "The keys, what they spend, and their hygiene."),
    "incidents": ("incidents", "Incidents: list, show, ack, silence, resolve, bundle."),
    "silence": ("silences", "Do not hear of some incidents for a time."),
    "audit": ("audit", "Who did what, when and why; verify that nothing was altered."),
    "explain": ("look", "Everything known about one key: habits, evidence, verdicts."),
    "feedback": ("opinions", "Say what a key's usage was: expected, planned or abuse."),
    "restore": ("act", "Put a disabled or capped key back exactly as it was."),
    "revoke": ("act", "Take a key out of service (disable; reversible)."),
    "rehearse": ("rehearsing", "Prove on a canary key that alert, disable and restore work."),
    "approvals": ("approving", "What waits for a person to approve, or may still be denied."),
    "approve": ("approving", "Let a proposed action be carried out."),
    "deny": ("approving", "Say no to a proposed action."),
    "preview": ("preview", "An alert, a storm of many keys or the digest as it would be sent; sends nothing."),
    "routes": ("routes", "Where messages about a key go, and why."),
    "digest": ("reports", "The weekly digest: to the screen, a file, or Slack."),
    "backtest": ("replaying", "Replay recorded usage; acts on nothing."),
    "backup": ("upkeep", "Copy the store while the service runs."),
    "restore-store": ("upkeep", "Put a backup of the store in place (service stopped)."),
    "demo": ("show", "A key theft, live, against an embedded fake account."),
}


class _Commands(click.Group):
    """Knows every command by name and help; imports only the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"monitor.cli.{COMMANDS[cmd_name][0]}")
        loaded: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return loaded

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """As click's, but every error of ours is one clear line and an exit status."""
        from monitor.errors import ConfigError, MonitorError
        from monitor.wording import one_line

        try:
            return super().main(*args, **kwargs)
        except ConfigError as error:
            click.echo(f"error: {one_line(str(error))}", err=True)
            sys.exit(2)
        except MonitorError as error:
            click.echo(f"error: {one_line(str(error))}", err=True)
            sys.exit(1)
        except OSError as error:  # a folder that is not ours, a full disk: click has dealt with a closed pipe already
            place = f"{error.filename}: " if error.filename else ""
            problem = f"{error.strerror or error}; check path, owner and free space"
            click.echo(f"error: {one_line(place + problem)}", err=True)
            sys.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__)
@click.option(
    "--config",
    "-c",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="OPENROUTER_MONITOR_CONFIG",
    help="Settings (TOML). Default: config.toml here, if there is one.",
)
@click.pass_context
def command(ctx: click.Context, config_path: Path | None) -> None:
    """Watches OpenRouter API keys: a stolen key is stopped in minutes, a healthy key never."""
    ctx.obj = config_path
