"""How settings are read: precedence, strictness, secrets."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from monitor.configfile import load
from monitor.errors import ConfigError


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def test_the_environment_overrides_the_file_and_the_file_overrides_the_default(tmp_path: Path) -> None:
    path = written(tmp_path, '[schedule]\nkeys_every = "2m"\nusage_every = "7m"\n')
    settings = load(path, {"MONITOR__SCHEDULE__KEYS_EVERY": "1s"})
    assert settings.schedule.keys_every == timedelta(seconds=1)
    assert settings.schedule.usage_every == timedelta(minutes=7)
    assert settings.schedule.settle_every == timedelta(hours=1)


def test_a_list_in_the_environment_is_written_as_in_toml() -> None:
    settings = load(None, {"MONITOR__RESPONSE__PROTECTED_KEYS": '["^prod-", "billing"]'})
    assert settings.response.protected_keys == ("^prod-", "billing")


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ('[schedule]\nkeys_evry = "5m"', "schedule.keys_evry", "did you mean 'keys_every'"),
        ("[schedule]\nkeys_every = 5", "schedule.keys_every", "a duration is text with a unit"),
        ('[schedule]\nkeys_every = "0s"', "schedule.keys_every", "at least 1s"),
        ('[schedule]\ndigest_cron = "monday"', "schedule.digest_cron", "five fields"),
        ('[schedule]\ndigest_cron = "0 25 * * mon"', "schedule.digest_cron", "maximum value (23)"),
        ('[response]\nmode = "kill"', "response.mode", "'observe', 'dry-run' or 'enforce'"),
        ("[response]\nmax_share_of_keys = 5", "response.max_share_of_keys", "less than or equal to 1"),
        ("[response]\nmin_usd_per_hour = inf", "response.min_usd_per_hour", "finite"),
        ('[[routes]]\nchannel = "#x"\nkey_name = "("', "routes[1].key_name", "not a regular expression"),
        ('[[routes]]\nkey_name = "x"', "routes[1].channel", "required"),
        ('[openrouter]\nbase_url = "http://example.org"', "openrouter.base_url", "must be https://"),
        ('[digest]\ntimezone = "Mars"', "digest.timezone", "Europe/Berlin"),
        ('[store]\nurl = "postgresql://db/x"', "store.url", "SQLite files only"),
        ('[slack]\nenabled = "perhaps"', "slack.enabled", "'perhaps': must be a valid boolean; see"),
        ('[response]\nquiet_hours = ["25:00-06:00"]', "response.quiet_hours[1]", "25:00 is no time of day"),
        ("[colect]\nx = 1", "colect", "did you mean 'collect'"),
        ('[detection]\nrules = [{name = "x", severity = "huge"}]', "detection.rules[1].severity", "huge"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_refused_with_its_place_and_the_remedy(
    tmp_path: Path, text: str, place: str, hint: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert place in str(caught.value) and hint in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["[schedule", '[store]\nurl = "x"\n[store]\nurl = "y"', "\x00"])
def test_a_file_that_is_no_toml_is_refused_with_the_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="is not TOML"):
        load(written(tmp_path, text), {})


def test_a_missing_file_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"copy config\.example\.toml"):
        load(tmp_path / "none.toml", {})


@pytest.mark.parametrize(
    "text",
    [
        '[openrouter]\nmanagement_key = "x"',
        '[slack]\nbot_token = "x"',
        '[slack]\ndefault_channel = "xoxb-123-456"',
        '[[routes]]\nchannel = "https://hooks.slack.com/services/T0/B0/abc"',
        '[response]\nprotected_keys = ["sk-or-v1-abc"]',
    ],
)
def test_secrets_in_the_file_are_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="secret") as caught:
        load(written(tmp_path, text), {})
    assert "xoxb-123" not in str(caught.value) and "sk-or-v1-abc" not in str(caught.value)


def test_a_systemd_credential_wins_over_file_and_environment(tmp_path: Path) -> None:
    (tmp_path / "openrouter-management-key").write_text("from-credential\n")
    settings = load(None, {"CREDENTIALS_DIRECTORY": str(tmp_path), "OPENROUTER_MANAGEMENT_KEY": "from-environment"})
    assert settings.openrouter.management_key is not None
    assert settings.openrouter.management_key.get_secret_value() == "from-credential"
    assert "from-credential" not in repr(settings)


def test_a_secret_file_readable_by_others_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "slack"
    secret.write_text("token")
    secret.chmod(0o644)
    path = written(tmp_path, f'[slack]\nbot_token_file = "{secret}"')
    with pytest.raises(ConfigError, match="chmod 600"):
        load(path, {})
    secret.chmod(0o600)
    loaded = load(path, {"SLACK_BOT_TOKEN": "other"})
    assert loaded.slack.bot_token is not None and loaded.slack.bot_token.get_secret_value() == "token"


def test_a_secret_with_strange_characters_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError, match="no key has") as caught:
        load(None, {"OPENROUTER_MANAGEMENT_KEY": "abc\ndef"})
    assert "abc" not in str(caught.value)


def test_the_state_directory_comes_from_systemd_where_the_file_names_none(tmp_path: Path) -> None:
    assert load(None, {"STATE_DIRECTORY": "/var/lib/x"}).store.state_dir == Path("/var/lib/x")
    path = written(tmp_path, '[store]\nstate_dir = "here"')
    assert load(path, {"STATE_DIRECTORY": "/var/lib/x"}).store.state_dir == Path("here")


@pytest.mark.parametrize("name", ["MONITOR__FOO", "MONITOR__RESPONS__MODE", "MONITOR__RESPONSE__MOD"])
def test_a_variable_that_names_no_setting_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        load(None, {name: "x"})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MONITOR__COLLECT__HISTORY", "40d", "MONITOR__COLLECT__HISTORY: '40d': must be between 1d and 31d"),
        ("MONITOR__ROUTES", '[{channel = "#a"}, {key_name = "^x"}]', "MONITOR__ROUTES[2].channel: is required"),
        ("MONITOR__RESPONSE__MAX_PER_HOUR", "-3", "MONITOR__RESPONSE__MAX_PER_HOUR: '-3': must be greater than or equal to 0"),
    ],
)  # fmt: skip
def test_a_wrong_value_from_the_environment_is_told_by_its_variable(name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, {name: value})
    assert said in str(caught.value)


def test_the_heartbeat_s_address_is_a_secret_and_never_in_clear_text_over_the_network(tmp_path: Path) -> None:
    good = load(None, {"HEARTBEAT_ADDRESS": "https://ping.example/hush"})
    assert "hush" not in repr(good)

    with pytest.raises(ConfigError, match="must be https") as caught:
        load(None, {"HEARTBEAT_ADDRESS": "http://ping.example/hush"})
    assert "hush" not in str(caught.value)

    written = tmp_path / "config.toml"
    written.write_text('[heartbeat]\naddress = "https://ping.example/hush"\n')
    with pytest.raises(ConfigError, match="secrets do not belong") as caught:
        load(written, {})
    assert "hush" not in str(caught.value)
