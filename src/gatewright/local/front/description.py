"""The edge description: a document of a manifest file with the one key `aws`, beside the cluster's objects.

It says what a platform team has in AWS before any cluster comes: certificates, a web ACL, target groups and load
balancers. Fields are named as ELBv2, ACM and WAFv2 name theirs, in camel case; things refer to each other by `name`.
The rules of a web ACL and the conditions of a listener's rules are as in the JSON of those APIs, and theirs to check.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

_PATH = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")


class DescriptionError(ValueError):
    """A description can't be used: `field` is where, as `aws.loadBalancers[0].name`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
        self.message = message


class _Part(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    pass


class Bucket(_Part, frozen=True):
    """An S3 bucket that load balancers may write access logs to."""

    name: str


class CertificateRequest(_Part, frozen=True):
    """A certificate in ACM. In a local edge its authority signs it, for the load balancers' addresses as well."""

    name: str
    domains: tuple[str, ...]


class IpSet(_Part, frozen=True):
    """An IP set of WAFv2; `addresses` are CIDR blocks of one family."""

    name: str
    addresses: tuple[str, ...]


class WebAcl(_Part, frozen=True):
    """A web ACL of WAFv2. `rules` are as in its API, but an IPSetReferenceStatement names one of `ip_sets`: `Name`."""

    name: str
    default_action: Literal["allow", "block"] = "allow"
    ip_sets: tuple[IpSet, ...] = ()
    rules: tuple[dict[str, Any], ...] = ()


class HealthCheck(_Part, frozen=True):
    """A target group's health check; what isn't said is as ELBv2 has it by default."""

    protocol: str | None = None
    port: str | None = None
    path: str | None = None
    matcher: str | None = None
    interval_seconds: int | None = None
    timeout_seconds: int | None = None
    healthy_threshold_count: int | None = None
    unhealthy_threshold_count: int | None = None

    def parameters(self, *, grpc: bool) -> dict[str, Any]:
        """As CreateTargetGroup and ModifyTargetGroup take them."""
        given = {
            "HealthCheckProtocol": self.protocol,
            "HealthCheckPort": self.port,
            "HealthCheckPath": self.path,
            "HealthCheckIntervalSeconds": self.interval_seconds,
            "HealthCheckTimeoutSeconds": self.timeout_seconds,
            "HealthyThresholdCount": self.healthy_threshold_count,
            "UnhealthyThresholdCount": self.unhealthy_threshold_count,
            "Matcher": {"GrpcCode" if grpc else "HttpCode": self.matcher} if self.matcher else None,
        }
        return {name: value for name, value in given.items() if value is not None}


class TargetGroup(_Part, frozen=True):
    """A target group, without targets: an EdgeBinding registers them."""

    name: str
    protocol: str
    port: int
    target_type: Literal["ip", "instance", "alb"] = "ip"
    protocol_version: Literal["HTTP1", "HTTP2", "GRPC"] | None = None
    health_check: HealthCheck = HealthCheck()
    attributes: dict[str, str] = {}
    tags: dict[str, str] = {}


class Redirect(_Part, frozen=True):
    """A RedirectActionConfig."""

    status_code: Literal["HTTP_301", "HTTP_302"]
    protocol: str | None = None
    host: str | None = None
    port: str | None = None
    path: str | None = None
    query: str | None = None


class FixedResponse(_Part, frozen=True):
    """A FixedResponseActionConfig."""

    status_code: str
    content_type: str | None = None
    message_body: str | None = None


class Action(_Part, frozen=True):
    """What is done with a request: exactly one of the three. `forward` is the name of a target group."""

    forward: str | None = None
    redirect: Redirect | None = None
    fixed_response: FixedResponse | None = None

    def parameters(self, groups: Mapping[str, str]) -> list[dict[str, Any]]:
        """As ELBv2 takes actions; `groups` are the ARNs of the target groups by name."""
        if self.forward is not None:
            return [{"Type": "forward", "TargetGroupArn": groups[self.forward]}]
        if self.redirect is not None:
            return [{"Type": "redirect", "RedirectConfig": _api(self.redirect)}]
        assert self.fixed_response is not None
        return [{"Type": "fixed-response", "FixedResponseConfig": _api(self.fixed_response)}]


class Rule(_Part, frozen=True):
    """A rule of a listener. `conditions` and `transforms` are as in ELBv2's API."""

    priority: int
    conditions: tuple[dict[str, Any], ...]
    action: Action
    transforms: tuple[dict[str, Any], ...] = ()


class Listener(_Part, frozen=True):
    """A listener; `certificates` are names, the default one first."""

    port: int
    protocol: str
    default_action: Action
    certificates: tuple[str, ...] = ()
    ssl_policy: str | None = None
    alpn_policy: str | None = None
    rules: tuple[Rule, ...] = ()
    attributes: dict[str, str] = {}


class LoadBalancer(_Part, frozen=True):
    """A load balancer, in the public subnets where it is internet-facing and in the private ones where it is not."""

    name: str
    type: Literal["application", "network"] = "application"
    scheme: Literal["internet-facing", "internal"] = "internet-facing"
    listeners: tuple[Listener, ...] = ()
    web_acl: str | None = None
    attributes: dict[str, str] = {}
    tags: dict[str, str] = {}


class HostedZone(_Part, frozen=True):
    """A hosted zone of Route 53, empty at first: controllers write records into it. A private one is the VPC's."""

    name: str
    private: bool = False


class AwsDescription(_Part, frozen=True):
    """All that is described."""

    buckets: tuple[Bucket, ...] = ()
    certificates: tuple[CertificateRequest, ...] = ()
    web_acls: tuple[WebAcl, ...] = ()
    target_groups: tuple[TargetGroup, ...] = ()
    load_balancers: tuple[LoadBalancer, ...] = ()
    hosted_zones: tuple[HostedZone, ...] = ()


def is_description(document: object) -> bool:
    """Whether a document of a manifest file is an edge description instead of an object."""
    return isinstance(document, dict) and "aws" in document and "kind" not in document and "apiVersion" not in document


def parse(document: Mapping[str, Any]) -> AwsDescription:
    """The description in a document for which `is_description` holds. Raises DescriptionError."""
    others = document.keys() - {"aws"}
    if others:
        raise DescriptionError(min(others), "unknown field; an edge description has the one key aws")
    try:
        found = msgspec.convert(document["aws"] or {}, AwsDescription)
    except msgspec.ValidationError as error:
        text = str(error)
        at = _PATH.search(text)
        path = at["path"] if at else ""
        message = text[: at.start()] if at else text
        raise DescriptionError(f"aws.{path}".rstrip("."), message[:1].lower() + message[1:]) from None
    for field, message in _flaws(found):
        raise DescriptionError(field, message)
    return found


def _duplicates(found: AwsDescription) -> Iterator[tuple[str, str]]:
    for field, title in zip(AwsDescription.__struct_fields__, AwsDescription.__struct_encode_fields__, strict=True):
        names = [part.name for part in getattr(found, field)]
        for name, count in Counter(names).items():
            if count > 1:
                index = len(names) - 1 - names[::-1].index(name)
                yield f"aws.{title}[{index}].name", f"found {name} for the second time; names are to be unique"


def _repeated(found: AwsDescription) -> Iterator[tuple[str, str]]:
    """Listeners of one port, and rules of one priority: AWS refuses the later ones."""
    for index, balancer in enumerate(found.load_balancers):
        ports: set[int] = set()
        for number, listener in enumerate(balancer.listeners):
            where = f"aws.loadBalancers[{index}].listeners[{number}]"
            if listener.port in ports:
                yield f"{where}.port", f"found {listener.port} for the second time; one listener a port"
            ports.add(listener.port)
            priorities: set[int] = set()
            for position, rule in enumerate(listener.rules):
                if rule.priority in priorities:
                    told = f"found {rule.priority} for the second time; give each rule a priority of its own"
                    yield f"{where}.rules[{position}].priority", told
                priorities.add(rule.priority)


def _flaws(found: AwsDescription) -> Iterator[tuple[str, str]]:
    yield from _duplicates(found)
    yield from _repeated(found)
    certificates = {certificate.name for certificate in found.certificates}
    groups = {group.name for group in found.target_groups}
    acls = {acl.name for acl in found.web_acls}
    for index, certificate in enumerate(found.certificates):
        if not certificate.domains:
            yield f"aws.certificates[{index}].domains", "found none, expected at least one host name"
    for index, balancer in enumerate(found.load_balancers):
        where = f"aws.loadBalancers[{index}]"
        if balancer.web_acl is not None and balancer.web_acl not in acls:
            yield f"{where}.webAcl", _missing(balancer.web_acl, acls, "aws.webAcls")
        for number, listener in enumerate(balancer.listeners):
            field = f"{where}.listeners[{number}]"
            for position, name in enumerate(listener.certificates):
                if name not in certificates:
                    yield f"{field}.certificates[{position}]", _missing(name, certificates, "aws.certificates")
            actions = [("defaultAction", listener.default_action)]
            actions += [(f"rules[{position}].action", rule.action) for position, rule in enumerate(listener.rules)]
            for name, action in actions:
                said = [part for part in (action.forward, action.redirect, action.fixed_response) if part is not None]
                if len(said) != 1:
                    yield f"{field}.{name}", f"found {len(said)} of forward, redirect, fixedResponse, expected one"
                elif action.forward is not None and action.forward not in groups:
                    yield f"{field}.{name}.forward", _missing(action.forward, groups, "aws.targetGroups")


def _missing(name: str, known: Iterable[str], where: str) -> str:
    there = ", ".join(sorted(known)) or "none"
    return f"found {name}, expected one of {where} ({there})"


def _api(part: _Part) -> dict[str, Any]:
    """A part with ELBv2's own names of its fields."""
    return {name[:1].upper() + name[1:]: value for name, value in msgspec.to_builtins(part).items()}
