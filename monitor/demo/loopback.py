"""An aiohttp application served on this machine only."""

from __future__ import annotations

import abc
import ipaddress
import logging
from types import TracebackType
from typing import Self

from aiohttp import web

_log = logging.getLogger(__name__)


class Entered(abc.ABC):
    """What is started when it is entered with `async with`, and stopped when it is left."""

    @abc.abstractmethod
    async def start(self) -> None:
        """Serves."""

    @abc.abstractmethod
    async def stop(self) -> None:
        """Ends all connections."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


class LoopbackServer(Entered):
    """Serves an application on a loopback address; any other address is refused. Use with `async with`."""

    def __init__(self, app: web.Application, *, host: str = "127.0.0.1", port: int = 0) -> None:
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError(f"the demo world listens on this machine only, not on {host}")
        self._app = app
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:PORT`, once started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def start(self) -> None:
        """Binds (port 0: any free one) and serves."""
        self._runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        self._port = self._runner.addresses[0][1]
        _log.debug("serving", extra={"origin": self.origin})

    async def stop(self) -> None:
        """Ends all connections and frees the port; the same server can be started again on it."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
