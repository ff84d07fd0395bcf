"""Where a call for a wider audience goes."""

from __future__ import annotations

from pathlib import Path

import pytest
from build import a_key, an_incident
from jobs_build import NOW, an_app, an_inventory

from monitor.domain import MessageKind, Notice
from monitor.jobs import act


@pytest.mark.parametrize(("kind", "channel"), [(MessageKind.ESCALATION, "#on-call"), (MessageKind.ALERT, "#search")])
def test_a_call_goes_to_its_channel_and_an_alert_to_the_owners(tmp_path: Path, kind: MessageKind, channel: str) -> None:
    app = an_app(tmp_path, incidents={"escalate_to": "#on-call"}, slack={"default_channel": "#alerts"})
    routed = app.settings.model_copy(update={"routes": _routes()})
    app.settings = routed
    app.store.keys.record(an_inventory(a_key(1)))
    incident = an_incident(1, at=NOW, n_escalations=1)
    (message,) = act.compose(app, (Notice(kind, NOW, incident=incident),), NOW)
    assert message.channel == channel


def _routes() -> tuple:
    from monitor.config import Route

    return (Route(channel="#search", key_name="^search"),)
