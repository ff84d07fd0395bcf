"""sd_notify: readiness, status and watchdog to systemd; silent where there is no systemd.

The protocol is a datagram to `$NOTIFY_SOCKET` (sd_notify(3)); the libraries for it are unmaintained or need C headers.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping

log = logging.getLogger(__name__)


class Notify:
    """Sends state changes to the service manager named by `NOTIFY_SOCKET`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")

    def send(self, **fields: str) -> None:
        """Sends `KEY=value` lines, for example `READY="1"` or `STATUS="…"`. Never raises: the service goes on without."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        text = "\n".join(f"{key}={value}" for key, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.settimeout(1.0)
                channel.connect(address)
                channel.sendall(text.encode())
        except OSError as error:
            log.warning("sd_notify_failed", extra={"error": str(error)})
