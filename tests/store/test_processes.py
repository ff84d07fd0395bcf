"""Several processes at one store, and one killed in the middle."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from store_build import T0, a_row, coverage, fill, moment, rows_of, usage

from monitor.domain import BUCKET_S
from monitor.errors import StoreError
from monitor.store.base import Store
from monitor.store.sqlite import open_store

TESTS = Path(__file__).parents[1]

COMMITTING = """
import sys
from datetime import UTC, datetime
from monitor.domain import *
from monitor.store.sqlite import open_store
store = open_store(sys.argv[1])
now = datetime(2026, 11, 23, tzinfo=UTC)
spend, quality = Spend(1, 2, 3, 4, 5, None), DataQuality(Quality.KNOWN, now, now)
n = len(store.ledger.findings(now))
print(n, flush=True)
while True:
    finding = Finding(str(n), now, now, "forest", False, 1.0, None, Severity.NOTICE, Rung.NONE, spend, (), quality)
    action = Action(str(n), Verb.DISABLE, "k", None, "monitor", Reason.HARD_RULE, None, now, now)
    verdict = Verdict(str(n), "I", now, Rung.NONE, False, Reason.DRY_RUN)
    message = Message(str(n), MessageKind.ALERT, "c", Severity.NOTICE, "t", "s")
    store.ledger.commit([finding], Plan(now, actions=(action,), verdicts=(verdict,)), [message])
    n += 1
    print(n, flush=True)
"""

OPENING = """
import sys
from monitor.store.sqlite import open_store
sys.stdin.readline()
store = open_store(sys.argv[1])
store.state.put("process-" + sys.argv[2], {"was": "here"})
"""

READING = """
import sys
from store_build import moment, rows_of
from monitor.store.sqlite import open_store
store = open_store(sys.argv[1], read_only=True)
print("ready", flush=True)
seen = 0
while seen < 30:
    rows = rows_of(store.usage.read(moment(0), moment(2**32), bucket_s=600))
    costs = {row[-1] for row in rows}
    assert len(rows) == 200 and len(costs) == 1, (len(rows), costs)
    assert seen <= costs.pop()
    seen = rows[0][-1]
"""


def started(code: str, *arguments: object) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def counts(store: Store) -> set[int]:
    return {
        len(store.ledger.findings(moment(0))),
        len(store.ledger.verdicts(moment(0))),
        len(store.ledger.actions()),
        len(store.outbox.entries()),
    }


@pytest.mark.parametrize("n_kills", [3, pytest.param(15, marks=pytest.mark.slow)])
def test_a_commit_is_whole_or_not_there_after_kill_9(tmp_path: Path, n_kills: int) -> None:
    path = tmp_path / "monitor.db"
    chance = random.Random(n_kills)
    for _ in range(n_kills):
        process = started(COMMITTING, path)
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(chance.randrange(1, 40))]
        process.kill()
        said += process.stdout.readlines()
        process.communicate()
        acknowledged = int([line for line in said if line.endswith("\n")][-1])
        store = open_store(str(path), read_only=True)
        (n_commits,) = counts(store)
        assert n_commits in (acknowledged, acknowledged + 1)
        store.maintenance.close()
    store = open_store(str(path))
    store.maintenance.verify()
    store.maintenance.close()


def test_a_reading_process_sees_whole_writes_while_another_writes(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "monitor.db"))
    fill(store.keys.catalog, n_keys=50, n_values=4)
    keys_and_values = [(key, value) for key in range(50) for value in range(4)]

    def write(cost: int) -> None:
        rows = [a_row(T0, key_no=key, value_no=value, dimension=value, cost=cost) for key, value in keys_and_values]
        store.usage.write(usage(*rows), coverage())

    write(1)
    process = started(READING, tmp_path / "monitor.db")
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    cost = 1
    while process.poll() is None:
        cost += 1
        write(cost)
    assert process.communicate() and process.returncode == 0
    store.maintenance.close()


def test_processes_that_create_the_store_together_all_succeed(tmp_path: Path) -> None:
    path = tmp_path / "monitor.db"
    processes = [started(OPENING, path, number) for number in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    for process in processes:
        process.communicate()
    store = open_store(str(path), read_only=True)
    assert all(store.state.get(f"process-{number}") == {"was": "here"} for number in range(3))
    store.maintenance.close()


def test_a_reader_learns_the_numbers_the_service_gave_out_meanwhile(tmp_path: Path) -> None:
    service = open_store(str(tmp_path / "monitor.db"))
    reader = open_store(str(tmp_path / "monitor.db"), read_only=True)
    fill(service.keys.catalog, n_keys=3, n_values=5)
    service.usage.write(usage(a_row(key_no=2, value_no=4)), coverage())
    assert rows_of(reader.usage.read(moment(0), moment(2 * T0), bucket_s=BUCKET_S)) == [a_row(key_no=2, value_no=4)]
    assert (reader.keys.catalog.key_hash(2), reader.keys.catalog.value(4)) == ("key-2", "value-4")
    with pytest.raises(StoreError, match="read-only"):
        reader.state.put("job", {})
    service.maintenance.close()
    assert reader.state.get("job") is None
    reader.maintenance.close()


def test_two_writers_never_give_one_number_two_meanings(tmp_path: Path) -> None:
    first = open_store(str(tmp_path / "monitor.db"))
    second = open_store(str(tmp_path / "monitor.db"))
    first.keys.catalog.key_no("mine")
    second.keys.catalog.key_no("theirs")
    first.usage.write(usage(), coverage())
    with pytest.raises(StoreError, match="at the same time"):
        second.usage.write(usage(), coverage())
    again = open_store(str(tmp_path / "monitor.db"))
    assert again.keys.catalog.keys_from(0) == ["mine"]
    for store in (first, second, again):
        store.maintenance.close()
