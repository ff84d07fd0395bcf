"""The pages as axe-core sees them, in a real browser: light and dark, on a telephone and on a desk."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from build import NOW, a_key, settings_with
from digest_build import a_digest, a_full_digest, a_usage
from hostile import VECTORS
from npm import install
from replay_build import DISABLED, Story, Verbs, a_report

from monitor.domain import NUSD
from monitor.jobs import preview
from monitor.notify import blockkit_html, slack_blocks
from monitor.report.digest import Digest
from monitor.report.page import to_html
from monitor.report.replay.page import to_html as replay_to_html

pytestmark = pytest.mark.slow

PACKAGES = ("axe-core@4", "puppeteer-core@24")
LOOK_S = 120
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, str]:
    """node, the folder axe is installed in, and a browser; skips where one of them is out of reach."""
    node = shutil.which("node")
    browser = next((found for each in BROWSERS if (found := shutil.which(each))), None)
    if node is None:
        pytest.skip("node is not installed")
    if browser is None:
        pytest.skip(f"no browser is installed ({', '.join(BROWSERS)})")
    home = tmp_path_factory.mktemp("axe")
    install(home, *PACKAGES)
    return node, home, browser


def hostile() -> Digest:
    keys = [a_key(number, key_name=each) for number, each in enumerate(VECTORS)]
    return a_digest(a_usage([(number, 0, 300, NUSD * number) for number in range(len(VECTORS))]), keys)


def a_replay() -> str:
    stories = [
        DISABLED,
        Story(key=2, opened=30.0, stops=((Verbs.CAP, 31.0, 5.0),)),
        Story(key=3, opened=50.0, spent_usd=4.0),
    ]
    return replay_to_html(
        a_report(stories, [(9, 1, 0, NUSD), (10, 1, 1, 9 * NUSD), (30, 2, 2, 4 * NUSD), (50, 3, 3, NUSD)])
    )


def a_preview() -> str:
    made = preview.alert(None, settings_with(slack={"default_channel": "#alerts"}), NOW)
    return blockkit_html.page([slack_blocks.render(each, has_buttons=True)[:2] for each in made.messages])


@pytest.mark.parametrize(
    "html",
    [to_html(a_full_digest()), to_html(hostile()), to_html(a_digest(a_usage([]))), a_replay(), a_preview()],
    ids=["a digest of everything", "hostile names", "an empty account", "a replay", "a preview"],
)
def test_axe_finds_nothing_to_mend(tools: tuple[str, Path, str], tmp_path: Path, html: str) -> None:
    page = tmp_path / "page.html"
    page.write_text(html, encoding="utf-8")

    looked = _look(tools, page)

    assert [each["where"] for each in looked] == ["light 390", "light 1280", "dark 390", "dark 1280"]
    for each in looked:
        assert each["violations"] == []
        assert each["n_passes"] > 15, "axe looked at nothing"
        assert each["overflow"] == 0, "the page is wider than the screen"
        assert each["said"] == [], "the page ran or asked for something"


def test_axe_would_find_what_is_wrong(tools: tuple[str, Path, str], tmp_path: Path) -> None:
    page = tmp_path / "digest.html"
    broken = to_html(replace(a_full_digest(), warnings=())).replace('<html lang="en">', "<html>")
    page.write_text(broken.replace("--soft: #54565b", "--soft: #cccccc"), encoding="utf-8")

    found = {violation["id"] for each in _look(tools, page) for violation in each["violations"]}

    assert {"html-has-lang", "color-contrast"} <= found


def _look(tools: tuple[str, Path, str], page: Path) -> list[dict[str, Any]]:
    node, home, browser = tools
    command = [node, str(Path(__file__).with_name("axe.cjs")), str(home), browser, str(page)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LOOK_S, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    looked: list[dict[str, Any]] = json.loads(done.stdout)
    return looked
