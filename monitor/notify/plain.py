"""Words of notices that came as free text: the first line is the sentence, further lines a list. Pure."""

from __future__ import annotations

from monitor.domain import MessageKind, Notice, Severity
from monitor.notify.words import Words
from monitor.wording import count, money, one_line


def words(notice: Notice) -> Words:
    """The words of a notice of no other kind, and of one that lacks what its kind is about."""
    lines = [line for raw in notice.detail.splitlines() if (line := one_line(raw))]
    worst = max((each.severity for each in notice.incidents), default=Severity.WARNING)
    if notice.kind is MessageKind.TEST:
        test = "This is a test message from openrouter-monitor; nothing needs to be done."
        return Words("Test message", lines[0] if lines else test, Severity.NOTICE)
    spent = money(sum(each.spent_nusd for each in notice.incidents))
    together = f"{count(len({each.key_hash for each in notice.incidents}), 'key')}: {spent} above usual"
    if notice.incidents and not any(each.is_alive for each in notice.incidents):
        together, worst = f"Over: {together}", Severity.NOTICE
    return Words(
        title=together if notice.incidents else "About the monitor itself",
        summary=lines[0] if lines else "No details were given.",
        severity=worst,
        sections=(("Keys" if notice.incidents else "Details", tuple(lines[1:])),) if len(lines) > 1 else (),
    )
