"""`python -m monitor` and the command `openrouter-monitor`."""

from __future__ import annotations


def main() -> None:
    """Runs the command line."""
    from monitor.cli import command  # the import is most of the cost of --help

    command(prog_name="openrouter-monitor")


if __name__ == "__main__":
    main()
