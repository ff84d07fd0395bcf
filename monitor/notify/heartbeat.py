"""A sign of life to somebody outside: silence is what raises the alarm there (a dead man's switch).

Whatever expects a request now and then will do, for example healthchecks, Dead Man's Snitch, Uptime Kuma or a monitor of your
own: one GET, any answer below 300 counts. Its address is a secret, as whoever has it can keep the alarm quiet.
"""

from __future__ import annotations

from typing import Final

import aiohttp
from pydantic import SecretStr

from monitor.errors import DeliveryError

DEADLINE_S: Final = 10.0


class HeartbeatSender:
    """One address that wants to hear from us."""

    def __init__(self, address: SecretStr, *, deadline_s: float = DEADLINE_S) -> None:
        self._address, self._deadline_s = address, deadline_s

    async def send(self) -> None:
        """One attempt. Raises DeliveryError; its text never holds the address."""
        timeout = aiohttp.ClientTimeout(total=self._deadline_s)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(self._address.get_secret_value(), allow_redirects=False) as answer,
            ):
                status = answer.status
        except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
            problem = f"the heartbeat's receiver cannot be reached ({type(error).__name__})"
            raise DeliveryError(problem, permanent=False) from None
        if status >= 300:
            raise DeliveryError(f"the heartbeat's receiver answers {status}", permanent=False)
