"""What a replay would have done: decisions, and the file they are written to."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from monitor.domain import Finding, Rung
from monitor.jobs import files
from monitor.pipeline import Judgement

ALERT: Final = "alert"
CAP: Final = "cap"
REVOKE: Final = "revoke"

OF_VERB: Final = {"cap": CAP, "disable": REVOKE, "zero": REVOKE}
"""Action of a decision by the verb of what is done. Evidence for a cap that policy does not allow is an alert."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What an armed service would have done after the bucket that ended at `at`: ALERT, CAP or REVOKE."""

    at: datetime
    key_hash: str
    action: str
    score: float
    reasons: tuple[str, ...]


def decided(judgement: Judgement) -> list[Decision]:
    """The decisions of one moment: an alert for each key with a finding people are told of, a cap or revoke where
    something is done."""
    told = [f for f in judgement.findings if not f.is_shadow and f.rung >= Rung.NOTIFY]
    by_key: dict[str, list[Finding]] = {}
    for finding in told:
        by_key.setdefault(finding.key_hash, []).append(finding)
    done = {action.key_hash: OF_VERB[action.verb.value] for action in judgement.plan.intents}
    return [
        Decision(
            judgement.at,
            key_hash,
            done.get(key_hash, ALERT),
            max(rarity(finding) for finding in found),
            tuple(cause.sentence for finding in found for cause in finding.causes),
        )
        for key_hash, found in sorted(by_key.items())
    ]


def rarity(finding: Finding) -> float:
    """-log10 of the p-value; a broken rule is certain and counts its severity in hundreds."""
    return 100.0 * finding.severity if finding.p_value is None else -math.log10(finding.p_value)


def write(decisions: Iterable[Decision], out: Path) -> None:
    """One JSON object a line, at once or not at all: {"at", "key", "action", "score", "reasons"}."""
    lines = [
        json.dumps(
            {
                "at": decision.at.isoformat().replace("+00:00", "Z"),
                "key": decision.key_hash,
                "action": decision.action,
                "score": round(decision.score, 4),
                "reasons": list(decision.reasons),
            },
            ensure_ascii=False,
        )
        for decision in decisions
    ]
    files.put(out, "".join(f"{line}\n" for line in lines))
