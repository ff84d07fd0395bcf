"""What is not documented fails: settings, commands, features, reasons, the map, the words, the links; and what no file may hold."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

import monitor
from monitor.cli import COMMANDS
from monitor.config import CapRung, DisableRung, HardRule, NotifyRung, Policy, Route, Section, Settings
from monitor.configfile import load
from monitor.domain import MessageKind, Reason, Verb
from monitor.features import FEATURES
from monitor.report.hygiene import Debt

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = (ROOT / "config.example.toml").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
GLOSSARY_WORDS = """finding incident bucket window watermark score p-value threshold budget verdict reason disable restore
revoke fuse outbox shadow quarantine onset drill-down backfill artifact""".split()  # noqa: SIM905 - reads as the list it is
SKIPPED_FOLDERS = {".git", ".venv", "__pycache__", "state", "out", "build", "dist"}


def text_of(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


# -- settings: the code, the example and the tables say the same --------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """One setting as one of the three tells it. `default` is a checked value, or PydanticUndefined where none exists."""

    table: str
    name: str
    default: Any
    description: str


ARRAYS: dict[str, type[Section]] = {
    "detection.rules": HardRule,
    "policies": Policy,
    "policies.notify": NotifyRung,
    "policies.cap": CapRung,
    "policies.disable": DisableRung,
    "routes": Route,
}


def tables_in_code() -> dict[str, type[Section]]:
    sections = {name: field.annotation for name, field in Settings.model_fields.items() if name not in ARRAYS}
    return {**sections, **ARRAYS}  # type: ignore[dict-item]


def settings_in_code() -> list[Setting]:
    return [
        Setting(table, name, field.get_default(call_default_factory=True), field.description or "")
        for table, model in tables_in_code().items()
        for name, field in model.model_fields.items()
        if f"{table}.{name}" not in ARRAYS
    ]


def checked(table: str, name: str, literal: str) -> Any:
    """The value that TOML literal means for this setting; None for `unset`, undefined for `required`."""
    if literal in {"unset", "required"}:
        return None if literal == "unset" else PydanticUndefined
    model = tables_in_code()[table]
    required = {key: "x" for key, field in model.model_fields.items() if field.is_required()}
    value = tomllib.loads(f"value = {literal}")["value"]
    return getattr(model.model_validate(required | {name: value}), name)


ASSIGNMENT = re.compile(r"(?P<off># )?(?P<name>[a-z_]+) = (?P<value>.+?)  # (?P<description>.+)")
SECRET_LINE = re.compile(r"# (?P<name>management_key|bot_token|app_token|urls|address): (?P<description>.+)")
HEADING = re.compile(r"(?:# )?\[\[?(?P<table>[a-z._]+)\]\]?")


def lines_of_example() -> Iterator[tuple[str, re.Match[str]]]:
    """(table, match) of every line that tells of a setting."""
    table = ""
    for line in EXAMPLE.splitlines():
        if heading := HEADING.fullmatch(line):
            table = heading["table"]
        elif match := ASSIGNMENT.fullmatch(line) or SECRET_LINE.fullmatch(line):
            yield table, match


def rows_of_configuration() -> list[Setting]:
    found, table = [], ""
    for line in text_of("docs/configuration.md").split("## Every setting")[1].splitlines():
        if heading := re.fullmatch(r"### `\[+([a-z._]+)\]+`", line):
            table = heading[1]
        elif line.startswith("| `"):
            name, default, description = (cell.strip() for cell in line.strip("|").split("|"))
            name = name.strip("`")
            found.append(Setting(table, name, checked(table, name, default.strip("`")), description))
    return found


def as_set(settings: list[Setting]) -> set[tuple[str, str, str, str]]:
    return {(each.table, each.name, repr(each.default), each.description) for each in settings}


def test_the_configuration_page_has_every_setting_with_its_default_and_meaning_and_no_other():
    assert as_set(rows_of_configuration()) == as_set(settings_in_code())


def test_the_example_has_every_setting_with_its_meaning_and_no_other():
    told = {(table, match["name"], match["description"]) for table, match in lines_of_example()}
    assert told == {(each.table, each.name, each.description) for each in settings_in_code()}


def test_the_example_as_it_stands_is_the_defaults():
    document = tomllib.loads(EXAMPLE)
    written = {(table, name) for table, values in document.items() for name in values}
    with_a_default = {
        (each.table, each.name) for each in settings_in_code() if each.default is not None and each.table not in ARRAYS
    }
    assert written == with_a_default
    assert Settings.model_validate(document) == Settings()


def test_the_example_with_everything_taken_in_is_valid():
    taken_in = re.sub(r"^# (?=[a-z_]+ = |\[)", "", EXAMPLE, flags=re.MULTILINE)
    settings = Settings.model_validate(tomllib.loads(taken_in))
    assert settings.routes and settings.detection.rules and settings.response.kill_switch
    assert settings.policies[0].cap.enabled


def env_text(value: Any) -> str:
    """A value as somebody would write it into the environment."""
    if isinstance(value, timedelta):
        return f"{int(value.total_seconds())}s"
    if isinstance(value, tuple):
        return "[]"
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize(
    "setting",
    [each for each in settings_in_code() if each.table not in ARRAYS and each.default is not None],
    ids=lambda each: f"{each.table}.{each.name}",
)
def test_a_setting_can_be_given_by_its_name_in_the_environment(setting):
    variable = f"MONITOR__{setting.table}__{setting.name}".upper()
    assert load(None, {variable: env_text(setting.default)}) == Settings()


@pytest.mark.parametrize("page", ["docs/configuration.md", "README.md"])
def test_every_toml_example_on_the_pages_is_valid(page):
    for block in re.findall(r"```toml\n(.*?)```", text_of(page), flags=re.DOTALL):
        Settings.model_validate(tomllib.loads(block))


# -- commands, features, reasons, map, words, links ---------------------------------------------------------------------


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_is_in_the_readme_with_an_example(name):
    rows = [line for line in README.splitlines() if line.startswith(f"| `{name}` |")]
    assert len(rows) == 1
    assert re.search(rf"`openrouter-monitor {name}\b[^`]*`", rows[0])


def test_the_readme_names_no_command_that_does_not_exist():
    assert set(re.findall(r"openrouter-monitor ([a-z][a-z-]+)", README)) <= set(COMMANDS)


@pytest.mark.parametrize("target", ["demo", "test"])
def test_the_readme_begins_with_the_two_commands(target):
    assert f"make {target}" in README
    assert re.search(rf"^{target}: ", text_of("Makefile"), flags=re.MULTILINE)


@pytest.mark.parametrize("feature", FEATURES.values(), ids=lambda each: each.name)
def test_every_feature_is_described_with_its_unit(feature):
    page = text_of("docs/features.md").split("## The features")[1].split("\n## ")[0]
    rows = [line for line in page.splitlines() if line.startswith(f"| `{feature.name}` |")]
    assert len(rows) == 1
    assert rows[0].split("|")[2].strip() == feature.unit
    assert rows[0].split("|")[3].strip() == feature.meaning


@pytest.mark.parametrize("word", [*Reason, *Verb, *Debt])
def test_the_runbook_tells_what_to_do_for_every_reason_action_and_debt(word):
    rows = [line for line in text_of("docs/runbook.md").splitlines() if line.startswith(f"| `{word.value}` |")]
    assert len(rows) == 1
    assert all(cell.strip() for cell in rows[0].strip("|").split("|"))


def test_the_map_names_every_module_and_no_other():
    doc = monitor.__doc__ or ""
    named = set(re.findall(r"^    ([a-z_]+(?:/|\.py)) ", doc, flags=re.MULTILINE))
    folder = ROOT / "monitor"
    there = {f"{path.name}/" for path in folder.iterdir() if (path / "__init__.py").is_file()}
    there |= {path.name for path in folder.glob("*.py") if not path.name.startswith("__")}
    assert named == there


@pytest.mark.parametrize("word", GLOSSARY_WORDS)
def test_the_glossary_defines_the_words_we_use(word):
    terms = [line.split("|")[1] for line in text_of("docs/glossary.md").splitlines() if line.startswith("| ")]
    assert any(re.search(rf"\b{re.escape(word)}\b", term) for term in terms)


def pages() -> list[Path]:
    return [path for path in files() if path.suffix == ".md"]


def files() -> list[Path]:
    """Every file of the project: neither caches nor what commands wrote."""
    found: list[Path] = []
    folders = [ROOT]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            if path.is_dir():
                is_ours = path.name not in SKIPPED_FOLDERS and not path.name.endswith((".egg-info", "_cache"))
                folders += [path] if is_ours and not re.fullmatch(r"\.(venv-.*|hypothesis)", path.name) else []
            elif path.name not in {"config.toml", ".git"} and path.suffix not in {".db", ".db-wal", ".db-shm"}:
                found.append(path)
    return found


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://|mailto:", target):
            continue
        file_name, _, anchor = target.partition("#")
        goal = (page.parent / file_name).resolve() if file_name else page
        assert goal.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(goal), f"{page.name} links to {target}"


def test_the_decision_records_are_numbered_without_gaps():
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "adr").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


FAILURES = [*(f"O{n}" for n in range(1, 22)), *(f"S{n}" for n in range(1, 9)), *(f"L{n}" for n in range(1, 12))]
FAILURES += [*(f"D{n}" for n in range(1, 9)), *(f"X{n}" for n in range(1, 8))]


def rows_of_failures() -> dict[str, list[str]]:
    lines = [line for line in text_of("docs/failure-table.md").splitlines() if re.match(r"\| [A-Z]\d+ \|", line)]
    return {cells[0]: cells[1:] for cells in ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)}


def names_of_tests() -> set[str]:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    return set(re.findall(r"^ *(?:async )?def (test_\w+)", sources, flags=re.MULTILINE))


def test_the_failure_table_has_every_row_once_and_no_other():
    assert list(rows_of_failures()) == FAILURES


@pytest.mark.parametrize("row", FAILURES)
def test_a_failure_is_shown_by_tests_that_exist_or_says_why_by_none(row):
    *told, shown = rows_of_failures()[row]
    assert len(told) == 2 and all(told)
    named = set(re.findall(r"`(\w+)`", shown))
    assert named or re.fullmatch(r"none: .{10,}", shown)
    assert named <= names_of_tests()


# -- what no file may hold ----------------------------------------------------------------------------------------------

FORBIDDEN = {
    "a management or inference key": rb"sk-or-v1-[0-9a-f]{40,}",
    "a Slack token": rb"xox[abeoprs]-[0-9]{9,}-[0-9A-Za-z-]{16,}|xapp-[0-9]-[A-Z0-9]{8,}-[0-9]{8,}",
    "a Slack webhook": rb"hooks\.slack\.com/services/T[A-Z0-9]{7,}/B[A-Z0-9]{7,}/[A-Za-z0-9]{16,}",
    "a private key": rb"-----BEGIN [A-Z ]*PRIVATE KEY",
    "a path of one machine": rb"(?<![\w.~$}])/(?:root|work|home|Users)/[A-Za-z0-9._]",
}


def test_there_are_files_to_look_at():
    names = {path.name for path in files()}
    assert {"pyproject.toml", "runtime.lock", "pipeline.py", "test_docs.py", "detector.skops"} <= names


@pytest.mark.parametrize("what", list(FORBIDDEN))
def test_no_file_holds(what):
    pattern = re.compile(FORBIDDEN[what])
    found = {
        f"{path.relative_to(ROOT)}: {match[0][:16]!r}…"
        for path in files()
        for match in pattern.finditer(path.read_bytes())
    }
    assert not found


@pytest.mark.parametrize("lock", ["runtime.lock", "dev.lock"])
def test_a_lock_pins_by_hash_and_names_no_address(lock):
    text = text_of(f"requirements/{lock}")
    assert not re.search(r"https?://|index-url|find-links|trusted-host|files\.pythonhosted|@ file", text)
    requirements = [block for block in re.split(r"\n(?=\S)", text) if block.strip() and not block.startswith("#")]
    assert requirements
    assert all(re.match(r"[A-Za-z0-9._-]+(\[.*\])?==", block) and "--hash=sha256:" in block for block in requirements)


def test_every_message_kind_people_get_is_told_of_in_the_runbook_or_the_readme():
    spoken = text_of("docs/runbook.md").lower() + README.lower()
    words = {
        MessageKind.ALERT: "alert",
        MessageKind.ACTION: "disabled",
        MessageKind.ACTION_FAILED: "could not disable",
        MessageKind.RESOLVED: "resolved",
        MessageKind.ESCALATION: "nobody has acknowledged",
        MessageKind.SOURCE: "the source does not answer",
        MessageKind.DIGEST: "digest",
        MessageKind.TEST: "check",
        MessageKind.REHEARSAL: "rehearsal, no theft",
        MessageKind.PROPOSAL: "approve? disable",
    }
    assert set(words) == set(MessageKind)
    assert all(word in spoken for word in words.values())
