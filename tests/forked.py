"""The service in processes forked from one that has imported it: what is killed a dozen times is not imported a dozen times.

The process is the service's own in all else: its own memory and files, ended by the kernel wherever it stands."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

PRELOADED = ["monitor.cli.service", "monitor.daemon", "monitor.wiring"]


def _run(environ: dict[str, str], log: Path) -> None:
    """What `openrouter-monitor run` does, in the forked process."""
    from monitor.__main__ import main

    os.environ.clear()
    os.environ.update(environ)
    with log.open("ab") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())
    sys.argv[:] = ["openrouter-monitor", "run"]
    main()


async def started(environ: Mapping[str, str], log: Path) -> BaseProcess:
    """The service, starting. `log`: where its standard error is added."""
    forking = multiprocessing.get_context("forkserver")
    forking.set_forkserver_preload(PRELOADED)
    process = forking.Process(target=_run, args=(dict(environ), log), daemon=True)
    await asyncio.to_thread(process.start)  # the first one waits for the imports
    return process


async def killed(process: BaseProcess) -> None:
    """SIGKILL, and until it is gone."""
    process.kill()
    await asyncio.to_thread(process.join)
    process.close()
