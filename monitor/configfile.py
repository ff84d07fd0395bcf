"""Reads settings: TOML file, environment, secrets.

Order of precedence: environment `MONITOR__SECTION__KEY`, then the TOML file, then the default in `config.py`. Secrets never
come from the file: they come from `$CREDENTIALS_DIRECTORY/<name>` (systemd), a file of mode 0600 named by `*_file`, or the
environment, in that order.
"""

from __future__ import annotations

import difflib
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from monitor.config import Settings
from monitor.errors import ConfigError

ENV_PREFIX = "MONITOR__"
SECRET_SHAPES = re.compile(r"sk-or-v\d|\bxox[abeoprs]-|\bxapp-|hooks\.slack\.com/services/")
"""What OpenRouter keys, Slack tokens and Slack webhook addresses look like; none of them belongs into the file."""


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """Where one secret may come from: its setting, its systemd credential, its usual environment variable."""

    section: str
    key: str
    credential: str
    variable: str
    has_lines: bool = False


SECRETS = (
    SecretPlace("openrouter", "management_key", "openrouter-management-key", "OPENROUTER_MANAGEMENT_KEY"),
    SecretPlace("slack", "bot_token", "slack-bot-token", "SLACK_BOT_TOKEN"),
    SecretPlace("slack", "app_token", "slack-app-token", "SLACK_APP_TOKEN"),
    SecretPlace("further", "urls", "further-urls", "APPRISE_URLS", has_lines=True),
    SecretPlace("heartbeat", "address", "heartbeat-address", "HEARTBEAT_ADDRESS"),
)


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Settings from a TOML file (None: defaults only), overridden by the environment, with secrets where they may be.

    Raises ConfigError that names the place, the value and what is allowed."""
    document = _read_toml(path) if path is not None else {}
    origin = str(path) if path is not None else "settings"
    _refuse_secrets(document, origin)
    given: dict[tuple[str, ...], str] = {}
    for place, value in _overrides(environ):
        _overlay(document, place, value)
        given[place] = f"{ENV_PREFIX}{'__'.join(place).upper()}"
    for secret in SECRETS:
        _resolve_secret(document, secret, environ)
    if "state_dir" not in document.setdefault("store", {}) and environ.get("STATE_DIRECTORY"):
        document["store"]["state_dir"] = environ["STATE_DIRECTORY"].split(":")[0]
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        raise _explain(error, origin, given) from None  # the cause would repeat the input, secrets included


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(str(path), "there is no such file", remedy="copy config.example.toml there") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            str(path), f"cannot be read ({_why(error)})", remedy="make it a readable UTF-8 file"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(str(path), f"is not TOML: {error}", remedy="mend that line") from error


def _refuse_secrets(node: Any, place: str) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in {secret.key for secret in SECRETS}:
                raise ConfigError(
                    f"{place}: {key}",
                    "secrets do not belong into this file",
                    remedy=f"use {key}_file or the environment",
                )
            _refuse_secrets(value, f"{place}: {key}" if ": " not in place else f"{place}.{key}")
    elif isinstance(node, list):
        for item in node:
            _refuse_secrets(item, place)
    elif isinstance(node, str) and SECRET_SHAPES.search(node):
        raise ConfigError(place, "this value looks like a secret", remedy="rotate it, and use a credentials file")


def _overrides(environ: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path, value) of each MONITOR__SECTION__KEY; lists and tables are written as in TOML."""
    for name in sorted(environ):
        if name.startswith(ENV_PREFIX):
            text = environ[name]
            value: Any = text
            if text.lstrip()[:1] in {"[", "{"}:
                try:
                    value = tomllib.loads(f"value = {text}")["value"]
                except tomllib.TOMLDecodeError as error:
                    raise ConfigError(
                        name, f"is not a TOML value: {error}", remedy='write for example ["a", "b"]'
                    ) from error
            place = tuple(part.lower() for part in name.removeprefix(ENV_PREFIX).split("__"))
            if not _is_setting(place):
                near = difflib.get_close_matches(place[0], Settings.model_fields, n=1)
                hint = (
                    f"did you mean {ENV_PREFIX}{near[0].upper()}__…?"
                    if near and near[0] != place[0]
                    else "check its name"
                )
                raise ConfigError(name, "this variable names no setting", remedy=f"{hint} (docs/configuration.md)")
            yield place, value


def _is_setting(place: tuple[str, ...]) -> bool:
    """Whether the section is one, and the setting one of it; what lies deeper is left to validation."""
    if place[0] not in Settings.model_fields:
        return False
    return len(place) == 1 or place[1] in _names((place[0],))


def _overlay(document: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    for part in place[:-1]:
        table = document.setdefault(part, {})
        if not isinstance(table, dict):
            raise ConfigError("__".join(("MONITOR", *place)).upper(), f"{part} is no table", remedy="check the name")
        document = table
    document[place[-1]] = value


def _resolve_secret(document: dict[str, Any], secret: SecretPlace, environ: Mapping[str, str]) -> None:
    """First of: systemd credential, `*_file`, MONITOR__…, the usual variable; stripped of white space."""
    table = document.setdefault(secret.section, {})
    directory, named = environ.get("CREDENTIALS_DIRECTORY"), table.get(f"{secret.key}_file")
    if directory and (Path(directory) / secret.credential).is_file():
        text = (Path(directory) / secret.credential).read_text(encoding="utf-8")
    elif named:
        text = _read_secret(Path(named), f"{secret.section}.{secret.key}_file")
    else:
        text = table.get(secret.key) or environ.get(secret.variable, "")
    text = "\n".join(text.split()) if secret.has_lines else text.strip()
    flat = text.replace("\n", "") if secret.has_lines else text
    if text and not (flat.isascii() and flat.isprintable() and " " not in flat):
        raise ConfigError(f"{secret.section}.{secret.key}", "holds characters no key has", remedy="copy it again")
    table[secret.key] = text or None


def _read_secret(path: Path, place: str) -> str:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(place, f"{path} is readable by others", remedy=f"chmod 600 {path}")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(place, f"{path} cannot be read ({_why(error)})", remedy="check path and owner") from error


def _explain(error: ValidationError, origin: str, given: Mapping[tuple[str, ...], str]) -> ConfigError:
    """Every problem with place, value and what is allowed. `given`: the variable, of a setting that one gave. Values of secrets
    stay out."""
    lines = []
    for problem in error.errors(include_url=False, include_context=False):
        place = _place(problem["loc"], given)
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(problem["loc"][-1]), sorted(_names(problem["loc"][:-1])), n=1)
            lines.append(f"{place}: unknown setting" + (f"; did you mean {near[0]!r}?" if near else ""))
        else:
            is_secret = problem["loc"][-1] in {secret.key for secret in SECRETS}
            shown = "" if is_secret or problem["type"] == "missing" else f" {problem['input']!r:.80}:"
            lines.append(f"{place}:{shown} {_allowed(problem['msg'])}")
    return ConfigError(origin, "; ".join(lines), remedy="see config.example.toml")


def _place(loc: tuple[int | str, ...], given: Mapping[tuple[str, ...], str]) -> str:
    """As people name it: the variable that gave the value, or `routes[1].channel`, counted from one as `explain` does."""
    for length in range(len(loc), 0, -1):
        variable = given.get(tuple(str(part) for part in loc[:length]))
        if variable is not None:
            return f"{variable}{_dotted(loc[length:], is_first=False)}"
    return _dotted(loc)


def _dotted(loc: tuple[int | str, ...], *, is_first: bool = True) -> str:
    said = "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in loc)
    return said.removeprefix(".") if is_first else said


def _allowed(message: str) -> str:
    """The checker's own words, in ours."""
    said = message.removeprefix("Value error, ").replace("Input should be ", "must be ")
    return said.replace("Field required", "is required").removesuffix(", unable to interpret input")


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _names(place: tuple[int | str, ...]) -> set[str]:
    model: Any = Settings
    for part in place:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        model = next((arg for arg in getattr(annotation, "__args__", ()) if isinstance(arg, type)), annotation)
    return set(model.model_fields)
