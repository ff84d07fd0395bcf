"""How long the audit trail takes: appending rows as decisions do, and walking all of them. Run: python bench/audit_trail.py"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from monitor.domain import AuditEntry, AuditKind
from monitor.store.sqlite import open_store

N_ROWS = 20_000
T0 = datetime(2026, 6, 1, tzinfo=UTC)


def an_entry(number: int) -> AuditEntry:
    return AuditEntry(
        at=T0 + timedelta(minutes=number),
        kind=AuditKind.ACKNOWLEDGED,
        by="slack:U0123456789",
        subject=f"INC-{number:010x}",
        key_hash=f"{number:064x}",
        incident_id=f"INC-{number:010x}",
        why="asking the owner whether this is theirs",
        detail={"step": "2", "severity": "critical", "spent_nusd": str(number * 10**9)},
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(str(Path(folder) / "monitor.db"))
        began = time.perf_counter()
        for first in range(1, N_ROWS + 1, 500):
            store.audit.append([an_entry(number) for number in range(first, first + 500)])
        written = time.perf_counter()
        found = store.audit.verify()
        walked = time.perf_counter()
        assert found.is_ok and found.head.number == N_ROWS
        store.audit.append([an_entry(1)])
        one_more = time.perf_counter()
        print(f"{N_ROWS:,} rows: written in {written - began:.2f} s, verified in {walked - written:.2f} s")
        print(f"one row more, synced: {(one_more - walked) * 1000:.1f} ms")
        store.maintenance.close()


if __name__ == "__main__":
    main()
