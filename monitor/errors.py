"""The exception tree. The leaf decides what the caller does.

MonitorError
├── ConfigError              a setting is wrong: exit 2 (the unit does not restart on it)
├── AlreadyRunning           another instance holds the state directory
├── ServiceBroken            the service ended itself because of a fault in this program: exit 1, systemd restarts it
├── SourceError              usage or keys could not be read
│   ├── RateLimited          wait `retry_after`
│   ├── Unauthorized         401/403: the management key is wrong; nothing automatic until it works
│   ├── NotFound             404: the key is gone at the source
│   ├── BadRequest           400: our query is refused; do not repeat it as it is
│   ├── BadPayload           an answer that does not fit its schema; the data stays unknown
│   └── Unavailable          5xx, 408, time-outs, network, open circuit: try later
├── StoreError               the store cannot be read or written
│   ├── StoreBusy            locked by another writer
│   ├── StoreCorrupt         quick_check failed
│   └── StoreTooNew          written by a newer version
├── ArtifactError            a trained artifact is missing, altered or does not fit
├── DeliveryError            a message was not delivered (`permanent`, `retry_after`, `is_outcome_unknown`)
│   ├── ChannelRefused       this channel cannot be used (unknown, archived, not a member): use another
│   └── SinkUnauthorized     the notifier's credentials or scopes are refused: keep every message, call a person
├── RequestRefused           what a person asked for does not fit the incident as it stands now
│   ├── UnknownIncident      there is none of that name
│   └── StaleRequest         it was asked about an earlier step: look again
└── ActionFailed             a key could not be changed as intended (`permanent`, `is_outcome_unknown`)
"""

from __future__ import annotations


class MonitorError(Exception):
    """Root of everything this program raises on purpose. The text says what failed, where, and what to do."""


class ConfigError(MonitorError):
    """A setting is missing or wrong; `place` is the dotted key, or the file."""

    def __init__(self, place: str, problem: str, *, remedy: str) -> None:
        super().__init__(f"{place}: {problem}; {remedy}")
        self.place = place


class AlreadyRunning(MonitorError):
    """Another instance holds the lock of this state directory."""


class ServiceBroken(MonitorError):
    """The watch failed again and again for a reason this program does not know: a fault in it."""


class SourceError(MonitorError):
    """Usage or keys could not be read from the key issuer."""


class RateLimited(SourceError):
    """429; `retry_after` in seconds, already bounded."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unauthorized(SourceError):
    """401 or 403: the management key is missing, wrong, disabled, or no management key."""


class NotFound(SourceError):
    """404: what was asked for does not exist at the source."""


class BadRequest(SourceError):
    """400: the source refuses the request as it stands."""


class BadPayload(SourceError):
    """An answer that does not fit its schema (or is no JSON at all)."""


class Unavailable(SourceError):
    """The source did not answer in time, answered 5xx or 408, or its circuit is open."""


class StoreError(MonitorError):
    """The store cannot be read or written."""


class StoreBusy(StoreError):
    """Another writer holds the store."""


class StoreFull(StoreError):
    """There is no room on the disk."""


class StoreCorrupt(StoreError):
    """The store's own check found damage."""


class StoreTooNew(StoreError):
    """The store was written by a newer version of this program."""


class ArtifactError(MonitorError):
    """A trained artifact is missing, altered, or made for other features."""


class DeliveryError(MonitorError):
    """A message was not (or perhaps not) delivered."""

    def __init__(
        self,
        message: str,
        *,
        permanent: bool,
        retry_after: float | None = None,
        is_outcome_unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after
        self.is_outcome_unknown = is_outcome_unknown


class ChannelRefused(DeliveryError):
    """The sink works, but not this channel or thread: the message can go to another one."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


class SinkUnauthorized(DeliveryError):
    """The sink refuses our credentials or scopes: no message can be delivered until a person mends that."""

    def __init__(self, message: str) -> None:
        super().__init__(message, permanent=True)


class RequestRefused(MonitorError):
    """A person asked for something that does not fit the incident or silence as it stands now."""


class UnknownIncident(RequestRefused):
    """There is no incident of that name."""


class StaleRequest(RequestRefused):
    """The request was made about an earlier step of the incident; whoever made it must look again."""


class ActionFailed(MonitorError):
    """A key could not be changed, or its state after the change is not the intended one."""

    def __init__(self, message: str, *, permanent: bool, is_outcome_unknown: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.is_outcome_unknown = is_outcome_unknown
