"""How keys stand, as their owners read it: worst first, money against its usual, whatever names hold."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from build import NOW, a_key, an_action, an_incident, key_settings
from hostile import TEXT, VECTORS
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from monitor.demo import blockkit
from monitor.domain import NUSD, ActionState, IncidentState, Reason, Severity
from monitor.notify import overview, slack_pages
from monitor.notify.overview import Fresh, Standing
from monitor.notify.pages import Code, Entry, Link, Mention, Page

FRESH = Fresh(NOW)
URL = "https://demo.slack.com/archives/C0TEAM01/p1800000000000100"


def said(page: Page) -> str:
    """Everything a message would show."""
    return json.dumps(slack_pages.message(page)[1], ensure_ascii=False)


def line_of(standing: Standing, no: int) -> str:
    return "".join(str(piece) for piece in overview.entry(standing).lines[no])


def test_today_and_the_week_are_told_against_their_usual() -> None:
    key = a_key(usage_daily_nusd=9 * NUSD, usage_weekly_nusd=20 * NUSD)

    assert line_of(Standing(key, usual_day_nusd=3 * NUSD), 1) == (
        "today $9.00 (usual day $3.00: 3.0 times that) · this week $20.00 (usual week $21.00)"
    )
    assert line_of(Standing(key), 1) == (
        "today $9.00 (usual day not known yet) · this week $20.00 (usual week not known yet)"
    )
    assert "usually nothing" in line_of(Standing(key, usual_day_nusd=0), 1)
    assert line_of(Standing(replace(key, usage_daily_nusd=None)), 1).startswith("today not known · ")


def test_what_is_left_of_a_limit_is_told() -> None:
    limited = key_settings(limit_usd=500.0, limit_reset="monthly")

    assert line_of(Standing(a_key(settings=limited, limit_remaining_usd=120.0)), 2) == (
        "limit: $120.00 left of $500.00 monthly"
    )
    assert line_of(Standing(a_key()), 2) == "no limit"
    unknown = a_key(settings=limited, limit_remaining_usd=None, usage_monthly_nusd=None)
    assert line_of(Standing(unknown), 2) == "limit $500.00 monthly, what is left is not known"


def test_open_incidents_lead_to_their_alert_and_the_last_action_is_named() -> None:
    done = an_action(state=ActionState.DONE, finished_at=NOW)
    standing = Standing(a_key(), incidents=((an_incident(), URL),), actions=(done,))

    text = said(overview.keys_page([standing], FRESH, of_all=False))

    assert f"<{URL}|{an_incident().incident_id}> critical: $194.96 above usual since 23 Nov 10:50 UTC" in text
    assert "nobody has acknowledged it" in text
    assert "last action: disabled automatically, 23 Nov" in text


def test_a_rehearsal_is_called_one() -> None:
    done = an_action(state=ActionState.DONE, finished_at=NOW, requested_by="cli:ada", reason=Reason.REHEARSAL)
    text = said(overview.keys_page([Standing(a_key(), actions=(done,))], FRESH, of_all=False))
    assert "last action: disabled in a rehearsal by cli:ada, 23 Nov" in text


def test_more_incidents_than_can_be_read_are_counted() -> None:
    many = tuple((an_incident(incident_id=f"INC-{no}"), "") for no in range(5))

    assert line_of(Standing(a_key(), incidents=many), -1) == "and 2 more open incidents"


def test_the_worst_key_comes_first_and_a_disabled_one_before_the_rest() -> None:
    quiet, busy = a_key(1, usage_daily_nusd=1), a_key(2, usage_daily_nusd=9 * NUSD)
    off = a_key(3, settings=key_settings(is_disabled=True), usage_daily_nusd=0)
    warned = Standing(a_key(4), incidents=((an_incident(4, severity=Severity.WARNING), ""),))
    stolen = Standing(a_key(5, usage_daily_nusd=0), incidents=((an_incident(5), ""),))

    shown = overview.ordered([Standing(quiet), Standing(busy), Standing(off), warned, stolen])

    assert [each.key.key_hash for each in shown] == [a_key(no).key_hash for no in (5, 4, 3, 2, 1)]


def test_a_key_is_found_by_name_hash_or_part_and_names_may_repeat() -> None:
    keys = [
        Standing(a_key(1, key_name="Search")),
        Standing(a_key(2, key_name="search")),
        Standing(a_key("beef" + "0" * 60, key_name="x")),
    ]

    assert overview.find(keys, "SEARCH") == tuple(keys[:2])
    assert overview.find(keys, "beef0000") == (keys[2],)
    assert overview.find(keys, "sear") == tuple(keys[:2])
    assert overview.find(keys, "") == overview.find(keys, "nothing") == ()
    assert "None of the keys you may see is called “nothing”" in said(overview.key_page((), FRESH, asked="nothing"))


def test_a_snoozed_incident_says_until_when() -> None:
    incident = an_incident(state=IncidentState.SILENCED, silenced_until=NOW + timedelta(hours=1))

    text = said(overview.incidents_page([Standing(a_key(), incidents=((incident, ""),))], FRESH, of_all=True))

    assert "snoozed until 23 Nov" in text and "of all keys" in text


def test_old_figures_are_called_old() -> None:
    assert "long ago" in said(overview.keys_page([Standing(a_key())], Fresh(NOW, is_late=True), of_all=False))
    assert "has not looked" in said(overview.keys_page([Standing(a_key())], Fresh(None), of_all=False))


def test_a_refusal_names_whom_to_ask_and_no_key() -> None:
    text = said(overview.refusal_page([Mention("U0ANN00001"), Mention("S0ONCALL")]))

    assert "<@U0ANN00001>, <!subteam^S0ONCALL>" in text
    assert "whoever runs openrouter-monitor" in said(overview.refusal_page([]))
    assert "try again" in said(overview.doubted(overview.refusal_page([])))
    assert "keys all" in said(overview.refusal_page([], is_operator=True))


def test_what_is_no_id_and_no_address_of_slack_becomes_no_mention_and_no_link() -> None:
    page = Page("t", (Mention("!channel"), " ", Link("INC-1", "https://evil.example/|x><!here>"), " ", Code("a`b")))

    text = slack_pages.message(page)[1][1]["text"]["text"]

    assert text == "an operator INC-1 `a\N{MODIFIER LETTER GRAVE ACCENT}b`"


def fleet(n: int, key_name: str) -> list[Standing]:
    workspace = key_name
    return [
        Standing(
            a_key(no + 1, key_name=f"{key_name}{no}", label=key_name), workspace, NUSD, ((an_incident(no + 1), URL),)
        )
        for no in range(n)
    ]


def test_five_hundred_keys_are_cut_with_how_many_are_left_out_and_how_to_see_them() -> None:
    page = overview.keys_page(fleet(500, "search-prod-"), FRESH, of_all=True)

    _, blocks = slack_pages.message(page)
    n_shown = sum("search-prod-" in str(block) for block in blocks)

    assert n_shown >= 12
    assert f"*and {500 - n_shown} more keys*, not shown here." in str(blocks)
    assert "`openrouter-monitor keys`" in str(blocks)
    home = slack_pages.home(page)["blocks"]
    assert sum("search-prod-" in str(block) for block in home) >= 90


def test_hostile_and_endless_names_stay_inert_and_within_every_limit() -> None:
    for vector in VECTORS:
        page = overview.keys_page(fleet(150, vector), FRESH, of_all=True)
        text, blocks = slack_pages.message(page)
        home = slack_pages.home(page)

        assert blockkit.problems(blocks) == [] and blockkit.length(blocks) <= blockkit.MAX_SUM
        assert blockkit.problems(home["blocks"], most=blockkit.MAX_VIEW_BLOCKS) == []
        assert len(json.dumps(home)) < blockkit.MAX_VIEW_BYTES
        assert "more keys*, not shown here." in str(blocks) and "more keys*, not shown here." in str(home)
        assert "<!" not in text + str(blocks) and "<@" not in str(blocks) and "<https://evil" not in str(blocks)


PIECES = st.one_of(TEXT, st.builds(Code, TEXT), st.builds(Link, TEXT, TEXT), st.builds(Mention, TEXT))
WORDS = st.lists(PIECES, max_size=3).map(tuple)
ENTRIES = st.lists(st.builds(Entry, title=TEXT, lines=st.lists(WORDS, max_size=5).map(tuple)), max_size=5)
PAGES = st.builds(
    lambda title, words, entries, times: Page(title, words, tuple(entries * times), rest=words, notes=(words,)),
    TEXT,
    WORDS,
    ENTRIES,
    st.integers(1, 40),
)


@settings(max_examples=25, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(PAGES)
def test_any_page_is_within_every_limit_and_counts_what_it_leaves_out(page: Page) -> None:
    for blocks, most in ((slack_pages.message(page)[1], 50), (slack_pages.home(page)["blocks"], 100)):
        assert blockkit.problems(blocks, most=most) == []
        left = [block for block in blocks if "not shown here" in str(block)]
        n_shown = sum(block["type"] == "section" for block in blocks) - 1 - len(left)
        assert n_shown == len(page.entries) or f"*and {len(page.entries) - n_shown:,} more" in str(left)
    assert blockkit.length(slack_pages.message(page)[1]) <= blockkit.MAX_SUM


def test_help_tells_operators_of_all_and_others_not() -> None:
    def commands(*, is_operator: bool) -> Any:
        return said(overview.help_page(is_operator=is_operator))

    assert "keys all" in commands(is_operator=True) and "keys all" not in commands(is_operator=False)
