"""The published OpenAPI document as a judge of requests and answers: what does not fit is a list of sentences."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

REPOSITORY = Path(__file__).parent.parent
DOCUMENT = REPOSITORY.parent / "shared" / "openrouter" / "openapi.management.yaml"

_ROOT = "urn:openapi"
_FORMATS = FormatChecker(formats=())


@_FORMATS.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@_FORMATS.checks("uuid", raises=ValueError)
def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or str(uuid.UUID(value)) == value


def needs_document() -> pytest.MarkDecorator:
    """Skips where the published document is not at hand: the project does not ship it."""
    return pytest.mark.skipif(not DOCUMENT.exists(), reason=f"no OpenAPI document at {DOCUMENT}")


@cache
def document() -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loaded: dict[str, Any] = yaml.load(DOCUMENT.read_text(encoding="utf-8"), Loader=loader)
    return loaded


@cache
def _registry() -> Registry:
    return Registry().with_resource(_ROOT, DRAFT202012.create_resource(document()))


def request_problems(method: str, path: str, query: Mapping[str, str], body: bytes) -> list[str]:
    """What of a request the document does not allow; also parameters and fields it does not name."""
    operation = _operation(method, path)
    if operation is None:
        return [f"{method} {path}: no such operation"]
    known = {each["name"]: each for each in operation.get("parameters", []) if each["in"] == "query"}
    problems = [f"unknown parameter {name}" for name in query.keys() - known.keys()]
    for name in query.keys() & known.keys():
        schema = known[name]["schema"]
        problems += _misfits(_cast(query[name], schema), schema, f"parameter {name}")
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return problems + ([f"{method} {path} takes no body"] if body else [])
    return problems + _misfits(json.loads(body), content["schema"], "body")


def answer_problems(method: str, path: str, status: int, body: bytes) -> list[str]:
    """What of an answer the document does not promise; also a status or a field it does not name."""
    operation = _operation(method, path)
    if operation is None:
        return [f"{method} {path}: no such operation"]
    promised = operation["responses"].get(str(status))
    if promised is None:
        return [f"{method} {path}: status {status} is not documented"]
    return _misfits(json.loads(body), promised["content"]["application/json"]["schema"], "answer")


def _operation(method: str, path: str) -> dict[str, Any] | None:
    for template, operations in document()["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method.lower() in operations:
            return operations[method.lower()]
    return None


def _cast(text: str, schema: Mapping[str, Any]) -> object:
    kinds = schema.get("type", "string")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "boolean" in kinds:
        return {"true": True, "false": False}.get(text, text)
    return int(text) if "integer" in kinds and re.fullmatch(r"-?\d+", text) else text


def _misfits(value: object, schema: Mapping[str, Any], where: str) -> list[str]:
    whole = _absolute(schema)
    validator = Draft202012Validator(whole, registry=_registry(), format_checker=_FORMATS)
    found = [f"{where}{error.json_path[1:]}: {error.message}" for error in validator.iter_errors(value)]
    return found + list(_unnamed(value, schema, where))


def _absolute(node: Any) -> Any:
    """The schema with references into the document made absolute."""
    if isinstance(node, dict):
        return {key: _ROOT + each if key == "$ref" else _absolute(each) for key, each in node.items()}
    return [_absolute(each) for each in node] if isinstance(node, list) else node


def _unnamed(value: object, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    """Fields that a schema with `properties` does not list: allowed by JSON Schema, not by us."""
    if "$ref" in schema:
        target: Any = document()
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        yield from _unnamed(value, target, where)
    elif isinstance(value, dict) and "properties" in schema:
        for name, each in value.items():
            if name not in schema["properties"]:
                yield f"{where}.{name}: not in the document"
            else:
                yield from _unnamed(each, schema["properties"][name], f"{where}.{name}")
    elif isinstance(value, list) and "items" in schema:
        for no, each in enumerate(value):
            yield from _unnamed(each, schema["items"], f"{where}[{no}]")
