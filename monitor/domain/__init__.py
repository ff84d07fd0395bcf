"""Frozen values every stage speaks in. No I/O, no clock, no frames.

Money inside the program is int64 **nano-dollars** (`*_nusd`, 1 USD = 10**9): sums are exact in any order.
Floats in dollars (`*_usd`) appear only in values made for people and in settings at the key issuer.
All times are aware UTC `datetime`; a window is half-open `[since, until)`.

units.py      What everything is counted in, and the clock.
keys.py       API keys as the inventory knows them.
matching.py   Which keys a route, a policy or a silence means.
hours.py      Hours of the week in which nothing automatic happens.
usage.py      What usage is split by, and how far it can be trusted.
findings.py   What a detector flags, with its evidence.
feedback.py   What a person says of a key's usage.
incidents.py  Findings of one cause, with a life.
silences.py   When people do not want to hear of some incidents.
audit.py      Who did what, when and why; each row chained to the one before.
actions.py    What is done to a key, or not, and why.
messages.py   What people are told.
plan.py       What `decide` wants done.
"""

from __future__ import annotations

from monitor.domain.actions import WAITING, Action, ActionState, Reason, Verb, Verdict, version_of
from monitor.domain.audit import AuditEntry, AuditHead, AuditKind, AuditRow, Verified, incident_entry
from monitor.domain.feedback import Feedback, Opinion
from monitor.domain.findings import PLANNED, PROBE, TWIN, Cause, Finding, Rung, Severity, Spend, Twin
from monitor.domain.hours import QuietHours
from monitor.domain.incidents import ALIVE, Held, Incident, IncidentKind, IncidentState, Spell
from monitor.domain.keys import ApiKey, Inventory, KeySettings, Member, Workspace, is_limited_to, used_nusd
from monitor.domain.messages import Ask, Check, Choice, Message, MessageKind, Notice, Picture, Receipt
from monitor.domain.plan import Plan
from monitor.domain.silences import LONGEST_SILENCE, Belonging, Silence
from monitor.domain.units import BUCKET_S, HOUR_S, NUSD, Clock, floor_to, short_id, utc
from monitor.domain.usage import DataQuality, Dimension, LaneHealth, Quality

__all__ = [
    "ALIVE",
    "BUCKET_S",
    "HOUR_S",
    "LONGEST_SILENCE",
    "NUSD",
    "PLANNED",
    "PROBE",
    "TWIN",
    "WAITING",
    "Action",
    "ActionState",
    "ApiKey",
    "Ask",
    "AuditEntry",
    "AuditHead",
    "AuditKind",
    "AuditRow",
    "Belonging",
    "Cause",
    "Check",
    "Choice",
    "Clock",
    "DataQuality",
    "Dimension",
    "Feedback",
    "Finding",
    "Held",
    "Incident",
    "IncidentKind",
    "IncidentState",
    "Inventory",
    "KeySettings",
    "LaneHealth",
    "Member",
    "Message",
    "MessageKind",
    "Notice",
    "Opinion",
    "Picture",
    "Plan",
    "Quality",
    "QuietHours",
    "Reason",
    "Receipt",
    "Rung",
    "Severity",
    "Silence",
    "Spell",
    "Spend",
    "Twin",
    "Verb",
    "Verdict",
    "Verified",
    "Workspace",
    "floor_to",
    "incident_entry",
    "is_limited_to",
    "short_id",
    "used_nusd",
    "utc",
    "version_of",
]
