"""What one kind of notice says, before `message.compose` adds identity, address and footer."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.domain import Ask, Severity
from monitor.notify.facts import Facts

Sections = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Words:
    """A message's own words."""

    title: str
    summary: str
    severity: Severity
    facts: Facts = ()
    evidence: tuple[str, ...] = ()
    sections: Sections = ()
    undo: str = ""
    ask: Ask | None = None
