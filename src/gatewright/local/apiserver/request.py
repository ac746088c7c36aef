"""One HTTP request as the API understands it: which resource, which object, which options."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import msgspec
import yaml

from gatewright.local.apiserver.errors import bad_request, body_too_large, no_such_path, unsupported_media_type
from gatewright.local.apiserver.exchange import Request
from gatewright.local.apiserver.resources import Catalog, Resource
from gatewright.local.apiserver.store import Json
from gatewright.model.causes import Cause

BODY_LIMIT = 3 * 1024 * 1024
"""The largest request body that is read, as in a real API server."""

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")


@dataclass(frozen=True)
class Target:
    """What a path names. `namespace` is None for cluster-scoped resources and for a list over all namespaces."""

    resource: Resource
    version: str
    namespace: str | None = None
    name: str = ""
    subresource: str = ""


def parse_path(catalog: Catalog, parts: list[str]) -> Target:
    """The target of a path's segments (`["apis", "apps", "v1", "namespaces", "a", "deployments", "b", "scale"]`).

    Raises a 404 `StatusError` where nothing is served.
    """
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise no_such_path()
    if rest[0] == "watch" and len(rest) > 1:
        rest = rest[1:]
    namespace: str | None = None
    if rest[0] == "namespaces" and len(rest) >= 3 and not (not group and rest[2] in ("status", "finalize")):
        namespace, rest = rest[1], rest[2:]
    resource = catalog.at(group, version, rest[0])
    if resource is None or len(rest) > 3 or (namespace is not None and not resource.namespaced):
        raise no_such_path()
    name = rest[1] if len(rest) > 1 else ""
    if name and resource.namespaced and namespace is None:
        raise no_such_path()
    return Target(resource, version, namespace, name, rest[2] if len(rest) > 2 else "")


@dataclass
class Options:
    """The query parameters and headers that the verbs read, with their Kubernetes names and defaults.

    `warnings` go into the answer's headers; `causes` are values that decoding found to be in no enumeration.
    """

    query: dict[str, str]
    user_agent: str = ""
    warnings: list[str] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)

    def flag(self, name: str) -> bool:
        """A boolean parameter."""
        return self.query.get(name, "") in ("true", "1", "True", "t", "T")

    def number(self, name: str) -> int | None:
        """An integer parameter; 400 when it is none."""
        text = self.query.get(name)
        if not text:
            return None
        if not re.fullmatch(r"-?\d{1,18}", text):
            raise bad_request(f'{name}: Invalid value: "{text}": must be an integer')
        return int(text)

    def seconds(self, name: str) -> float | None:
        """A number of seconds, or a Go duration (`1m30s`)."""
        text = self.query.get(name)
        if not text:
            return None
        if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text):
            return float(text)
        match = _DURATION.fullmatch(text)
        if match is None:
            raise bad_request(f'{name}: Invalid value: "{text}": must be a duration')
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        return hours * 3600 + minutes * 60 + seconds

    @property
    def since(self) -> float | None:
        """How many seconds back `sinceSeconds` or `sinceTime` (RFC 3339) reaches (core/v1, PodLogOptions)."""
        moment = self.query.get("sinceTime")
        if not moment:
            return self.seconds("sinceSeconds")
        if self.query.get("sinceSeconds"):
            raise bad_request("at most one of `sinceTime` or `sinceSeconds` may be specified")
        try:
            then = datetime.fromisoformat(moment)
        except ValueError:
            then = datetime.max
        if then.tzinfo is None:
            raise bad_request(f'sinceTime: Invalid value: "{moment}": must be a time as in RFC 3339')
        return max(0.0, (datetime.now(UTC) - then).total_seconds())

    @cached_property
    def dry_run(self) -> bool:
        """Whether nothing is to be stored."""
        value = self.query.get("dryRun")
        if value is None:
            return False
        if value != "All":
            raise bad_request(f'dryRun: Unsupported value: "{value}": supported values: "All"')
        return True

    @property
    def validation(self) -> str:
        """What unknown fields lead to: `Strict`, `Warn` or `Ignore`."""
        value = self.query.get("fieldValidation") or "Warn"
        if value not in ("Strict", "Warn", "Ignore"):
            raise bad_request(
                f'fieldValidation: Unsupported value: "{value}": supported values: "Ignore", "Strict", "Warn"'
            )
        return value

    @property
    def manager(self) -> str:
        """Who owns the fields that this request sets: the `fieldManager`, else the program's name."""
        return self.query.get("fieldManager") or self.user_agent.split("/", 1)[0][:128] or "unknown"

    def warn(self, message: str) -> None:
        """Send `message` along in a `Warning` header, which kubectl prints."""
        self.warnings.append(message)


def body_of(request: Request) -> bytes:
    """The request's body; 413 when it is larger than `BODY_LIMIT`."""
    if request.body is None or len(request.body) > BODY_LIMIT:
        raise body_too_large(BODY_LIMIT)
    return request.body


def media_type(header: str) -> str:
    """The media type of a `Content-Type` header without its parameters."""
    return header.split(";", 1)[0].strip().lower()


def decode_document(content_type: str, raw: bytes) -> Any:
    """The value of a JSON or YAML body; 400 for malformed ones, 415 for other types. Protobuf is decoded elsewhere."""
    kind = media_type(content_type) or JSON
    if kind == JSON or kind.endswith("+json"):
        try:
            return msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise bad_request(f"couldn't decode the request body as JSON: {error}") from error
    if kind in (YAML, "application/yml", "text/yaml") or kind.endswith("+yaml"):
        return decode_yaml(raw)
    raise unsupported_media_type(kind, (JSON, YAML, PROTOBUF))


class _JsonLoader(yaml.SafeLoader):
    """YAML in which timestamps stay text, and without aliases, with which a few bytes can stand for gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """The next node; an error where it is an alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read here; write the value out")
        return super().compose_node(parent, index)


_JsonLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def decode_yaml(raw: bytes) -> Any:
    """The value of a YAML body; 400 when it is malformed or holds what JSON can't."""
    if raw.lstrip()[:1] == b"{":
        # Nearly always JSON, which is YAML too and read a hundred times faster as what it is.
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            return msgspec.json.decode(raw)
    try:
        value = yaml.load(raw, _JsonLoader)  # noqa: S506 - derived from SafeLoader
        return msgspec.json.decode(msgspec.json.encode(value))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(f"couldn't decode the request body as YAML: {error}") from error
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        raise bad_request(f"the YAML body holds a value that JSON has no form for: {error}") from error


def as_object(value: Any) -> Json:
    """The value as a JSON object; 400 when it is another type."""
    if not isinstance(value, dict):
        found = "null" if value is None else type(value).__name__
        raise bad_request(f"the object provided is unrecognized: expected a JSON object, found {found}")
    return value
