"""How keys stand, as their owners read it: first what somebody must act on, money against its usual, whatever names hold."""

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
from monitor.notify.overview import Fresh
from monitor.notify.pages import Code, Entry, Link, Mention, Page, plain
from monitor.notify.ranking import Standing

FRESH = Fresh(NOW)
URL = "https://demo.slack.com/archives/C0TEAM01/p1800000000000100"


def said(page: Page) -> str:
    """Everything a message would show."""
    return json.dumps(slack_pages.message(page)[1], ensure_ascii=False)


def line_of(standing: Standing, no: int) -> str:
    return "".join(str(piece) for piece in overview.entry(standing).lines[no])


def test_the_week_and_today_are_told_against_their_usual() -> None:
    key = a_key(usage_daily_nusd=9 * NUSD, usage_weekly_nusd=20 * NUSD)

    assert line_of(Standing(key, usual_day_nusd=3 * NUSD), 0) == (
        "$20.00 this week (usual $21.00) · $9.00 today (usual $3.00, 3.0 times that)"
    )
    assert line_of(Standing(key), 0) == "$20.00 this week · $9.00 today (usual not known yet)"
    assert "usually nothing" in line_of(Standing(key, usual_day_nusd=0), 0)
    assert " · today not known" in line_of(Standing(replace(key, usage_daily_nusd=None)), 0)


def test_what_is_left_of_a_limit_is_told() -> None:
    limited = key_settings(limit_usd=500.0, limit_reset="monthly")

    assert line_of(Standing(a_key(settings=limited, limit_remaining_usd=120.0)), 1).endswith(
        " · limit: $120.00 left of $500.00 monthly"
    )
    assert line_of(Standing(a_key()), 1).endswith(" · no limit")
    unknown = a_key(settings=limited, limit_remaining_usd=None, usage_monthly_nusd=None)
    assert line_of(Standing(unknown), 1).endswith(" · limit $500.00 monthly, what is left is not known")


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

    assert line_of(Standing(a_key(), incidents=many), 3) == "and 2 more open incidents"


DISABLED = key_settings(is_disabled=True)
IDLE = {"usage_daily_nusd": 0, "usage_weekly_nusd": 0, "usage_monthly_nusd": 0}


def off_by_us(no: int, *, days_ago: int = 1) -> Standing:
    done = an_action(no, state=ActionState.DONE, finished_at=NOW - timedelta(days=days_ago))
    return Standing(a_key(no, key_name="off", settings=DISABLED, **IDLE), actions=(done,), stopped=done)


def test_open_incidents_come_first_then_keys_we_disabled_then_spend_of_the_week() -> None:
    quiet = a_key(1, key_name="quiet", usage_weekly_nusd=NUSD)
    busy = a_key(2, key_name="busy", usage_weekly_nusd=9 * NUSD)
    warned = Standing(a_key(4, key_name="warned"), incidents=((an_incident(4, severity=Severity.WARNING), ""),))
    stolen = Standing(a_key(5, key_name="stolen", usage_weekly_nusd=0), incidents=((an_incident(5), ""),))

    page = overview.keys_page([Standing(quiet), off_by_us(3), Standing(busy), warned, stolen], FRESH, of_all=True)

    assert [each.title for each in page.entries] == ["stolen", "warned", "off", "busy", "quiet"]
    assert [each.group for each in page.entries] == [
        *["Open incidents: 2"] * 2,
        "Disabled or capped, can be put back: 1",
        *["By spend this week: 2"] * 2,
    ]
    assert "2 open incidents · 1 disabled or capped · " in str(page.summary)


def test_a_key_we_disabled_says_how_to_put_it_back() -> None:
    text = said(overview.keys_page([off_by_us(3)], FRESH, of_all=False))

    assert "last action: disabled automatically, 22 Nov" in text
    assert f"put it back with `openrouter-monitor restore {a_key(3).key_hash[:12]}`" in text


def test_keys_nobody_uses_and_keys_disabled_long_ago_or_by_others_are_folded_into_counts() -> None:
    idle = [Standing(a_key(no, key_name=f"idle-{no}", **IDLE)) for no in range(10, 20)]
    others = Standing(a_key(30, key_name="not-ours", settings=DISABLED, **IDLE))
    old = off_by_us(31, days_ago=40)

    page = overview.keys_page([Standing(a_key(1)), *idle, others, old], FRESH, of_all=True)

    assert len(page.entries) == 1
    text = said(page)
    assert "10 keys without usage lately: idle-10, " in text and " and 2 more" in text
    assert "2 keys disabled long ago or by others: " in text and "not-ours" in text
    assert text.index("By spend this week") < text.index("without usage lately")


def test_a_few_quiet_keys_are_told_like_the_others() -> None:
    page = overview.keys_page([Standing(a_key(1, **IDLE)), off_by_us(2, days_ago=40)], FRESH, of_all=False)

    assert len(page.entries) == 2 and page.folded == ()


def test_on_a_monday_morning_a_key_in_use_is_not_called_idle() -> None:
    monday = {"usage_daily_nusd": 0, "usage_weekly_nusd": 0}
    keys = [Standing(a_key(no, **monday)) for no in range(1, 6)]

    assert len(overview.keys_page(keys, FRESH, of_all=False).entries) == 5


def test_a_key_that_only_spends_is_told_in_a_line_and_more_only_where_there_is_more_to_know() -> None:
    limited = key_settings(limit_usd=500.0, limit_reset="monthly")
    keys = [
        Standing(a_key(1, key_name="plain", usage_weekly_nusd=9)),
        Standing(a_key(2, key_name="limited", usage_weekly_nusd=8, settings=limited, limit_remaining_usd=120.0)),
        Standing(a_key(3, key_name="twice", usage_weekly_nusd=7)),
        Standing(a_key(4, key_name="twice", usage_weekly_nusd=6)),
    ]

    plain_one, with_limit, first, _ = overview.keys_page(keys, FRESH, of_all=False).entries

    assert len(plain_one.lines) == 1
    assert with_limit.lines[1] == ("limit: $120.00 left of $500.00 monthly",)
    assert first.lines[1] == (a_key(3).key_hash[:12],)


def test_of_many_keys_that_only_spend_the_first_are_listed_and_the_rest_counted() -> None:
    keys = [Standing(a_key(no, key_name=f"k-{no}", usage_weekly_nusd=no * NUSD)) for no in range(1, 501)]

    page = overview.keys_page(keys, FRESH, of_all=True)

    assert [each.title for each in page.entries] == [f"k-{no}" for no in range(500, 490, -1)]
    assert page.entries[0].group == "By spend this week: the first 10 of 500"
    for blocks in (slack_pages.message(page)[1], slack_pages.home(page)["blocks"]):
        assert "*and 490 more keys*, not shown here." in str(blocks) and len(blocks) < 20
    assert "and 490 more keys, not shown here." in "\n".join(plain(page))


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
ENTRIES = st.lists(st.builds(Entry, title=TEXT, lines=st.lists(WORDS, max_size=5).map(tuple), group=TEXT), max_size=5)
PAGES = st.builds(
    lambda title, words, entries, times: Page(
        title, words, tuple(entries * times), n_more=times // 9, folded=(words,), rest=words, notes=(words,)
    ),
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
        n_left = len(page.entries) + page.n_more - n_shown
        assert n_left == 0 or f"*and {n_left:,} more" in str(left)
    assert blockkit.length(slack_pages.message(page)[1]) <= blockkit.MAX_SUM


def test_help_tells_operators_of_all_and_others_not() -> None:
    def commands(*, is_operator: bool) -> Any:
        return said(overview.help_page(is_operator=is_operator))

    assert "keys all" in commands(is_operator=True) and "keys all" not in commands(is_operator=False)
