from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.openrouter.breaker import FAILURES_TO_OPEN, MAX_REST_S, REST_S, Circuit, CircuitState, admit, record


def failing(n: int, *, at: float = 0.0, circuit: Circuit | None = None) -> Circuit:
    circuit = circuit or Circuit()
    for _ in range(n):
        circuit = record(circuit, at, is_ok=False)
    return circuit


def test_a_few_failures_do_not_open_the_circuit():
    circuit = failing(FAILURES_TO_OPEN - 1)

    assert admit(circuit, 0.0) == (circuit, True)


def test_failures_in_a_row_open_the_circuit():
    circuit = failing(FAILURES_TO_OPEN)

    assert circuit.state is CircuitState.OPEN
    assert not admit(circuit, REST_S - 0.1)[1]


def test_a_success_between_failures_keeps_the_circuit_closed():
    circuit = record(failing(FAILURES_TO_OPEN - 1), 0.0, is_ok=True)

    assert failing(FAILURES_TO_OPEN - 1, circuit=circuit).state is CircuitState.CLOSED


def test_after_its_rest_an_open_circuit_lets_one_probe_through():
    circuit, is_first = admit(failing(FAILURES_TO_OPEN), REST_S)
    _, is_second = admit(circuit, REST_S)

    assert (is_first, is_second, circuit.state) == (True, False, CircuitState.HALF_OPEN)


def test_a_good_probe_closes_the_circuit():
    probing, _ = admit(failing(FAILURES_TO_OPEN), REST_S)

    assert record(probing, REST_S, is_ok=True) == Circuit()


def test_each_failed_probe_doubles_the_rest_up_to_a_bound():
    circuit, now, rests = failing(FAILURES_TO_OPEN), 0.0, []
    for _ in range(7):
        now = circuit.retry_at
        circuit = record(admit(circuit, now)[0], now, is_ok=False)
        rests.append(circuit.retry_at - now)

    assert rests == [30.0, 60.0, 120.0, 240.0, 240.0, 240.0, MAX_REST_S]


def test_a_probe_that_never_reports_back_does_not_keep_the_circuit_shut():
    probing, _ = admit(failing(FAILURES_TO_OPEN), REST_S)

    assert admit(probing, probing.retry_at)[1]


def test_late_failures_of_older_calls_do_not_prolong_the_rest():
    circuit = failing(FAILURES_TO_OPEN)

    assert failing(5, at=10.0, circuit=circuit) == circuit


@given(st.lists(st.tuples(st.booleans(), st.floats(0.0, 500.0)), max_size=60))
def test_however_it_went_before_an_asked_circuit_lets_a_call_through_in_bounded_time(steps):
    circuit, now = Circuit(), 0.0
    for is_ok, pause in steps:
        now += pause
        circuit, is_admitted = admit(circuit, now)
        circuit = record(circuit, now, is_ok=is_ok) if is_admitted else circuit

    assert admit(circuit, now + MAX_REST_S)[1]
