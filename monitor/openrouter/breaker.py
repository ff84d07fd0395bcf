"""When to stop asking a source that does not answer: a circuit as a frozen value and two pure transitions.

No library: those at hand (pybreaker, aiobreaker, circuitbreaker) read the clock themselves, wrap the call and decide by
exception class in decorators. What is needed is these forty lines, driven by the monotonic time of the caller.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Final

FAILURES_TO_OPEN: Final = 5
"""Failures in a row after which the circuit opens."""

REST_S: Final = 15.0
"""First rest of an open circuit; doubles with each failed probe."""

MAX_REST_S: Final = 240.0


class CircuitState(enum.StrEnum):
    """CLOSED: calls pass. OPEN: none passes before `retry_at`. HALF_OPEN: one probe is under way."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Circuit:
    """Where a circuit stands. `retry_at` is monotonic seconds; in HALF_OPEN it is when a probe that never reported back
    (its task was cancelled) is given up and another may go."""

    state: CircuitState = CircuitState.CLOSED
    n_failures: int = 0
    rest_s: float = REST_S
    retry_at: float = 0.0


def admit(circuit: Circuit, now: float) -> tuple[Circuit, bool]:
    """Whether a call may go at `now`, and the circuit after letting it."""
    if circuit.state is CircuitState.CLOSED:
        return circuit, True
    if now < circuit.retry_at:
        return circuit, False
    return replace(circuit, state=CircuitState.HALF_OPEN, retry_at=now + circuit.rest_s), True


def record(circuit: Circuit, now: float, *, is_ok: bool) -> Circuit:
    """The circuit after a call came back at `now`.

    Answers of calls sent before the circuit opened may arrive late: a failed one changes nothing then, a good one
    closes the circuit, because it proves that the source answers."""
    if is_ok:
        return Circuit()
    if circuit.state is CircuitState.OPEN:
        return circuit
    n_failures = circuit.n_failures + 1
    if circuit.state is CircuitState.HALF_OPEN:
        rest_s = min(2.0 * circuit.rest_s, MAX_REST_S)
        return Circuit(CircuitState.OPEN, n_failures=n_failures, rest_s=rest_s, retry_at=now + rest_s)
    if n_failures >= FAILURES_TO_OPEN:
        return Circuit(CircuitState.OPEN, n_failures=n_failures, retry_at=now + circuit.rest_s)
    return replace(circuit, n_failures=n_failures)
