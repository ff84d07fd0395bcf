"""A preview is what would be sent, made without sending."""

from __future__ import annotations

from pathlib import Path

from build import NOW
from jobs_build import an_app
from slack_build import KEY, alert, an_app_on_slack, an_open_incident, write_usage

from monitor.demo import blockkit
from monitor.jobs import example, preview
from monitor.notify.slack_blocks import render


async def test_the_preview_of_an_alert_is_the_alert_that_was_sent_with_its_picture(tmp_path: Path) -> None:
    async with an_app_on_slack(tmp_path) as (app, slack):
        write_usage(app)
        await alert(app, an_open_incident())
        n_calls = len(slack.requests)

        made = preview.alert(app.store, app.settings, NOW)

        (sent,) = app.store.outbox.entries()
        assert made.messages[0].summary == sent.message.summary
        assert made.messages[0].evidence == sent.message.evidence
        assert made.picture and made.picture.startswith(b"\x89PNG")
        assert "goes to: #alerts" in made.note
        assert len(slack.requests) == n_calls


def test_without_an_incident_a_made_up_one_is_shown_and_said_to_be_one(tmp_path: Path) -> None:
    app = an_app(tmp_path)

    made = preview.alert(app.store, app.settings, NOW)

    text, blocks, _ = render(made.messages[0], has_buttons=True)
    assert blockkit.problems(blocks) == [] and "search-prod" in text
    assert "made-up" in made.note and made.picture
    assert preview.alert(None, app.settings, NOW) == made
    app.store.maintenance.close()


def test_the_made_up_picture_shows_what_the_alert_tells_also_at_the_very_hour(tmp_path: Path) -> None:
    made = preview.alert(None, an_app(tmp_path).settings, NOW)

    assert made.messages[0].picture is not None and "$46.70 on claude-opus-4.1" in made.messages[0].picture.alt_text


def test_the_made_up_picture_is_drawn_by_ten_minutes_and_adds_up(tmp_path: Path) -> None:
    week = example.week(example.incident(NOW), NOW)

    assert week.close is not None and week.close.is_fine
    assert sum(int(band.cost_nusd.sum()) for band in week.bands if band.is_first_seen) == 46_700_000_000


def test_without_a_storm_a_made_up_one_is_shown_within_slacks_limits_and_said_to_be_one(tmp_path: Path) -> None:
    app = an_app(tmp_path)

    made = preview.many(app.store, app.settings, NOW)

    assert "made-up" in made.note and made.picture is None
    assert made == preview.many(None, app.settings, NOW)
    shown = [render(message, has_buttons=True) for message in made.messages]
    assert all(blockkit.problems(blocks) == [] for _, blocks, _ in shown)
    assert "12 keys at once, 9 still open" in shown[0][0] and "country VN, new to each of them" in str(shown[0][1])
    names = [key.key_name for _, key, _ in example.event(NOW)]
    assert len(set(names)) == 12 and all(name in str(shown[1][1]) for name in names)
    app.store.maintenance.close()


def test_a_key_without_incident_is_not_shown_anothers(tmp_path: Path) -> None:
    app = an_app(tmp_path)

    assert "made-up" in preview.alert(app.store, app.settings, NOW, key_hash=KEY.key_hash).note
    app.store.maintenance.close()


def test_the_digest_is_shown_as_it_would_be_sent(tmp_path: Path) -> None:
    app = an_app(tmp_path, digest={"channel": "#weekly"})

    made = preview.weekly(app.store, app.settings, NOW)

    assert made.note == "goes to: #weekly"
    assert blockkit.problems(render(made.messages[0])[1]) == []
    app.store.maintenance.close()
