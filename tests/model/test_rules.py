"""The CEL rules of the official CRDs: all of them are here, each accepts what it should and rejects what it should."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from gatewright.model import awsgateway, codec, edgebinding, gateway, ingressclassparams, kinds
from gatewright.model.rules import RULES, violations
from gatewright.model.rules.awsgateway import ACTION_CONFIGURATIONS
from gatewright.model.schema import openapi_schema
from gatewright.model.validation import apply_defaults, validate

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "crds" / "gateway-api-v1.6.1"
GROUP_VERSION = "gateway.networking.k8s.io/v1"
X_GROUP_VERSION = "gateway.networking.x-k8s.io/v1alpha1"

VALID: dict[str, dict[str, Any]] = {
    "GatewayClass": {"controllerName": "example.com/controller"},
    "Gateway": {
        "gatewayClassName": "istio",
        "addresses": [{"value": "192.0.2.1"}, {"type": "Hostname", "value": "a.example"}, {"type": "Hostname"}],
        "infrastructure": {"labels": {"a": "b", "example.com/c": "d"}, "annotations": {"e": "f"}},
        "listeners": [
            {"name": "http", "port": 80, "protocol": "HTTP"},
            {"name": "other", "port": 80, "protocol": "HTTP", "hostname": "a.example"},
            {"name": "https", "port": 443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "cert"}]}},
            {"name": "tls", "port": 8443, "protocol": "TLS", "tls": {"mode": "Passthrough"}},
            {"name": "tcp", "port": 90, "protocol": "TCP"},
        ],
        "tls": {"frontend": {"default": {}, "perPort": [{"port": 443, "tls": {}}, {"port": 8443, "tls": {}}]}},
    },
    "ListenerSet": {
        "parentRef": {"name": "gw"},
        "listeners": [{"name": "https", "port": 443, "protocol": "HTTPS", "tls": {"options": {"a": "b"}}}],
    },
    "HTTPRoute": {
        "parentRefs": [{"name": "gw", "sectionName": "a"}, {"name": "gw", "sectionName": "b"}, {"name": "other"}],
        "rules": [
            {
                "name": "one",
                "matches": [{"path": {"type": "PathPrefix", "value": "/a%20b/.c"}}],
                "filters": [
                    {
                        "type": "URLRewrite",
                        "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
                    },
                    {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "m", "port": 1}, "percent": 5}},
                    {
                        "type": "RequestMirror",
                        "requestMirror": {"backendRef": {"name": "m", "port": 1}, "fraction": {"numerator": 1}},
                    },
                    {"type": "CORS", "cors": {"allowOrigins": ["*"], "allowMethods": ["GET", "PUT"]}},
                    {
                        "type": "ExternalAuth",
                        "externalAuth": {"protocol": "GRPC", "grpc": {}, "backendRef": {"name": "a", "port": 1}},
                    },
                    {"type": "RequestHeaderModifier", "requestHeaderModifier": {}},
                    {"type": "ResponseHeaderModifier", "responseHeaderModifier": {}},
                    {"type": "ExtensionRef", "extensionRef": {"group": "e.x", "kind": "E", "name": "e"}},
                ],
                "backendRefs": [
                    {
                        "name": "svc",
                        "port": 80,
                        "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {}}],
                    },
                    {"name": "bucket", "group": "example.com", "kind": "Bucket"},
                ],
                "timeouts": {"request": "1m", "backendRequest": "60s"},
                "sessionPersistence": {"cookieConfig": {"lifetimeType": "Permanent"}, "absoluteTimeout": "1h"},
            },
            {
                "name": "two",
                "matches": [{"path": {"type": "RegularExpression", "value": "a//#"}}],
                "filters": [
                    {
                        "type": "RequestRedirect",
                        "requestRedirect": {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/b"}},
                    }
                ],
                "timeouts": {"request": "0s", "backendRequest": "1h"},
            },
        ],
    },
    "GRPCRoute": {
        "parentRefs": [{"name": "gw"}],
        "rules": [
            {
                "name": "one",
                "matches": [{"method": {"service": "a.B_1", "method": "C"}}],
                "filters": [
                    {
                        "type": "RequestMirror",
                        "requestMirror": {"backendRef": {"name": "m", "port": 1}, "fraction": {"numerator": 1}},
                    },
                    {"type": "RequestHeaderModifier", "requestHeaderModifier": {}},
                    {"type": "ResponseHeaderModifier", "responseHeaderModifier": {}},
                    {"type": "ExtensionRef", "extensionRef": {"group": "e.x", "kind": "E", "name": "e"}},
                ],
                "backendRefs": [
                    {
                        "name": "s",
                        "port": 80,
                        "filters": [{"type": "RequestHeaderModifier", "requestHeaderModifier": {}}],
                    }
                ],
                "sessionPersistence": {"type": "Header"},
            },
            {"matches": [{"method": {"type": "RegularExpression", "service": "[a-z]+"}}]},
        ],
    },
    "TCPRoute": {"parentRefs": [{"name": "gw"}], "rules": [{"backendRefs": [{"name": "s", "port": 1}]}]},
    "UDPRoute": {"parentRefs": [{"name": "gw"}], "rules": [{"backendRefs": [{"name": "s", "port": 1}]}]},
    "TLSRoute": {
        "parentRefs": [{"name": "gw"}],
        "hostnames": ["a.example", "*.b.example"],
        "rules": [{"backendRefs": [{"name": "s", "port": 1}]}],
    },
    "ReferenceGrant": {
        "from": [{"group": GROUP_VERSION[:-3], "kind": "HTTPRoute", "namespace": "a"}],
        "to": [{"group": "", "kind": "Service"}],
    },
    "BackendTLSPolicy": {
        "targetRefs": [
            {"group": "", "kind": "Service", "name": "a", "sectionName": "x"},
            {"group": "", "kind": "Service", "name": "a", "sectionName": "y"},
        ],
        "validation": {
            "hostname": "a.example",
            "wellKnownCACertificates": "System",
            "subjectAltNames": [
                {"type": "Hostname", "hostname": "b.example"},
                {"type": "URI", "uri": "spiffe://a/b"},
            ],
        },
    },
    "XBackend": {
        "type": "ExternalHostname",
        "externalHostname": {"hostname": "a.example"},
        "port": {"port": 1, "name": "web"},
        "tls": {"mode": "ServerOnly", "validation": {"hostname": "a.example", "wellKnownCACertificates": "System"}},
    },
    "XBackendTrafficPolicy": {
        "targetRefs": [{"group": "", "kind": "Service", "name": "a"}],
        "retryConstraint": {},
        "sessionPersistence": {"cookieConfig": {}},
    },
    "XMesh": {"controllerName": "example.com/controller"},
    "EdgeBinding": {"gatewayRef": {"name": "gw"}, "port": 443, "aws": {"targetGroup": {"tags": {"a": "b"}}}},
    "LoadBalancerConfiguration": {
        "listenerConfigurations": [
            {"protocolPort": "HTTPS:443", "mutualAuthentication": {"mode": "verify", "trustStore": "clients"}}
        ]
    },
    "TargetGroupConfiguration": {"targetReference": {"name": "shop"}},
    "ListenerRuleConfiguration": {
        "actions": [
            {"type": "jwt-validation", "jwtValidationConfig": {"issuer": "i", "jwksEndpoint": "https://i/keys"}},
            {"type": "fixed-response", "fixedResponseConfig": {"statusCode": 403}},
        ],
        "conditions": [{"field": "source-ip", "sourceIPConfig": {"values": ["192.0.2.0/24"]}}],
    },
    "IngressClassParams": {"prefixListsIDs": ["pl-1"]},
}

SERVICE = {"name": "s", "port": 1}
REDIRECT = {"type": "RequestRedirect", "requestRedirect": {}}
REWRITE = {"type": "URLRewrite", "urlRewrite": {}}
PREFIX = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}
TWO_MATCHES = {"matches": [{}, {"method": "GET"}]}
CAMEL = {
    "RequestHeaderModifier": ("requestHeaderModifier", {}),
    "ResponseHeaderModifier": ("responseHeaderModifier", {}),
    "RequestMirror": ("requestMirror", {"backendRef": SERVICE}),
    "RequestRedirect": ("requestRedirect", {}),
    "URLRewrite": ("urlRewrite", {}),
    "ExtensionRef": ("extensionRef", {"group": "e.x", "kind": "E", "name": "e"}),
    "CORS": ("cors", {}),
    "ExternalAuth": ("externalAuth", {"protocol": "HTTP", "http": {}, "backendRef": SERVICE}),
}

# kind, where in the spec to put which value, the field that is blamed, and how the message starts.
Case = tuple[str, dict[str, Any], str, str]


def parents(*refs: dict[str, Any]) -> dict[str, Any]:
    return {"parentRefs": [{"name": "gw", **ref} for ref in refs]}


def filters_of(kind: str) -> Iterator[Case]:
    types = (
        list(CAMEL)
        if kind == "HTTPRoute"
        else ["RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef"]
    )
    for holder, where in (
        (lambda fs: {"filters": fs}, "spec.rules[0].filters"),
        (lambda fs: {"backendRefs": [{**SERVICE, "filters": fs}]}, "spec.rules[0].backendRefs[0].filters"),
    ):

        def case(filters: list[Any], field: str, message: str, holder: Any = holder, where: str = where) -> Case:
            return kind, {"rules": [holder(filters)]}, f"{where}{field}", message

        for name in types:
            field, settings = CAMEL[name]
            other = "ExtensionRef" if name != "ExtensionRef" else "RequestMirror"
            with_other = {"type": other, CAMEL[other][0]: CAMEL[other][1]}
            yield case([{"type": name}], "[0]", f"filter.{field} must be specified for {name} filter.type")
            yield case(
                [{**with_other, field: settings}], "[0]", f"filter.{field} must be nil if the filter.type is not"
            )
            if name not in ("RequestMirror", "ExtensionRef", "ExternalAuth"):
                yield case([{"type": name, field: settings}] * 2, "", f"{name} filter cannot be repeated")
        mirror = {"backendRef": SERVICE, "percent": 1, "fraction": {"numerator": 1}}
        yield case(
            [{"type": "RequestMirror", "requestMirror": mirror}], "[0].requestMirror", "Only one of percent or fraction"
        )
        mirror = {"backendRef": {"name": "s"}}
        yield case(
            [{"type": "RequestMirror", "requestMirror": mirror}],
            "[0].requestMirror.backendRef",
            "Must have port for Service",
        )
        mirror = {"backendRef": SERVICE, "fraction": {"numerator": 3, "denominator": 2}}
        yield case(
            [{"type": "RequestMirror", "requestMirror": mirror}], "[0].requestMirror.fraction", "numerator must be less"
        )
        if kind == "GRPCRoute":
            continue
        yield case([REDIRECT, REWRITE], "", "May specify either httpRouteFilterRequestRedirect or")
        for field, what in (
            ("allowHeaders", "AllowHeaders"),
            ("allowMethods", "AllowMethods"),
            ("allowOrigins", "AllowOrigins"),
        ):
            other = {"allowHeaders": "x", "allowMethods": "GET", "allowOrigins": "http://a.example"}[field]
            cors = {"type": "CORS", "cors": {field: ["*", other]}}
            yield case([cors], f"[0].cors.{field}", f"{what} cannot contain '*' alongside other")
        for auth, message in (
            ({"protocol": "GRPC"}, "grpc must be specified when protocol is set to 'GRPC'"),
            ({"protocol": "HTTP", "http": {}, "grpc": {}}, "protocol must be 'GRPC' when grpc is set"),
            ({"protocol": "HTTP"}, "http must be specified when protocol is set to 'HTTP'"),
            ({"protocol": "GRPC", "grpc": {}, "http": {}}, "protocol must be 'HTTP' when http is set"),
        ):
            external = {"type": "ExternalAuth", "externalAuth": {**auth, "backendRef": SERVICE}}
            yield case([external], "[0].externalAuth", message)
        external = {
            "type": "ExternalAuth",
            "externalAuth": {"protocol": "HTTP", "http": {}, "backendRef": {"name": "s"}},
        }
        yield case([external], "[0].externalAuth.backendRef", "Must have port for Service")
        for kind_of_filter, field in (("RequestRedirect", "requestRedirect"), ("URLRewrite", "urlRewrite")):
            for modifier, message in (
                ({"type": "ReplaceFullPath"}, "replaceFullPath must be specified when type is set to"),
                (
                    {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/", "replaceFullPath": "/"},
                    "type must be 'ReplaceFullPath' when replaceFullPath is set",
                ),
                ({"type": "ReplacePrefixMatch"}, "replacePrefixMatch must be specified when type is set to"),
                (
                    {"type": "ReplaceFullPath", "replacePrefixMatch": "/", "replaceFullPath": "/"},
                    "type must be 'ReplacePrefixMatch' when replacePrefixMatch is set",
                ),
            ):
                changed = {"type": kind_of_filter, field: {"path": modifier}}
                yield case([changed], f"[0].{field}.path", message)


def listeners_of(kind: str) -> Iterator[Case]:
    def case(*listeners: dict[str, Any], field: str = "spec.listeners", message: str) -> Case:
        filled = [{"name": f"l{i}", "port": i + 1, "protocol": "HTTP", **one} for i, one in enumerate(listeners)]
        return kind, {"listeners": filled}, field, message

    tls = {"certificateRefs": [{"name": "c"}]}
    for protocol in ("HTTP", "TCP", "UDP"):
        yield case({"protocol": protocol, "tls": tls}, message="tls must not be specified for protocols")
    yield case(
        {"protocol": "HTTPS", "tls": {"mode": "Passthrough"}}, message="tls mode must be Terminate for protocol HTTPS"
    )
    yield case({"protocol": "TLS"}, message="tls mode must be set for protocol TLS")
    yield case({"protocol": "UDP", "hostname": "a.example"}, message="hostname must not be specified for protocols")
    yield case({"name": "a"}, {"name": "a"}, message="Listener name must be unique within the Gateway")
    yield case({"port": 1}, {"port": 1}, message="Combination of port, protocol and hostname must be unique")
    yield case(
        {"protocol": "HTTPS", "tls": {}}, field="spec.listeners[0].tls", message="certificateRefs or options must be"
    )


def cases() -> Iterator[Case]:
    for kind in ("HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute"):
        for refs in ([{}, {"port": 1}], [{"sectionName": "a"}, {"port": 1}]):
            yield kind, parents(*refs), "spec.parentRefs", "sectionName or port must be specified when parentRefs"
        yield (
            kind,
            parents({"port": 1}, {"port": 1}),
            "spec.parentRefs",
            "sectionName or port must be unique when parentRefs",
        )
        rules = {"rules": [{"backendRefs": [{"name": "s"}]}]}
        yield kind, rules, "spec.rules[0].backendRefs[0]", "Must have port for Service reference"
    for kind in ("HTTPRoute", "GRPCRoute"):
        match = {"headers": [{"name": "a", "value": "b"}]}
        yield (
            kind,
            {"rules": [{"matches": [match] * 43}] * 3},
            "spec.rules",
            "While 16 rules and 64 matches per rule are",
        )
        yield kind, {"rules": [{"name": "a"}, {"name": "a"}]}, "spec.rules", "Rule name must be unique within the route"
        yield from filters_of(kind)
    for kind, holder, where in (
        ("HTTPRoute", lambda s: {"rules": [{"sessionPersistence": s}]}, "spec.rules[0].sessionPersistence"),
        ("GRPCRoute", lambda s: {"rules": [{"sessionPersistence": s}]}, "spec.rules[0].sessionPersistence"),
        ("XBackendTrafficPolicy", lambda s: {"sessionPersistence": s}, "spec.sessionPersistence"),
    ):
        permanent = {"cookieConfig": {"lifetimeType": "Permanent"}}
        yield kind, holder(permanent), where, "AbsoluteTimeout must be specified when cookie lifetimeType is Permanent"
        yield (
            kind,
            holder({"type": "Header", "cookieConfig": {}}),
            where,
            "cookieConfig can only be set with type Cookie",
        )

    def http(rule: dict[str, Any], field: str, message: str) -> Case:
        return "HTTPRoute", {"rules": [rule]}, f"spec.rules[0]{field}", message

    yield http(
        {"filters": [REDIRECT], "backendRefs": [SERVICE]}, "", "RequestRedirect filter must not be used together"
    )
    redirect = {"type": "RequestRedirect", "requestRedirect": PREFIX}
    rewrite = {"type": "URLRewrite", "urlRewrite": PREFIX}
    exact = {"matches": [{"path": {"type": "Exact", "value": "/"}}]}
    for matches in (TWO_MATCHES, exact):
        yield http(
            {"filters": [redirect], **matches}, "", "When using RequestRedirect filter with path.replacePrefixMatch"
        )
        yield http({"filters": [rewrite], **matches}, "", "When using URLRewrite filter with path.replacePrefixMatch")
        backends = {"backendRefs": [{**SERVICE, "filters": [redirect]}]}
        yield http({**backends, **matches}, "", "Within backendRefs, when using RequestRedirect filter with")
        backends = {"backendRefs": [{**SERVICE, "filters": [rewrite]}]}
        yield http({**backends, **matches}, "", "Within backendRefs, When using URLRewrite filter with")
    for value, message in (
        ("a", "value must be an absolute path and start with '/' when type"),
        ("/a//b", "must not contain '//' when"),
        ("/a/./b", "must not contain '/./' when"),
        ("/a/../b", "must not contain '/../' when"),
        ("/a%2fb", "must not contain '%2f' when"),
        ("/a%2Fb", "must not contain '%2F' when"),
        ("/a#b", "must not contain '#' when"),
        ("/a/..", "must not end with '/..' when"),
        ("/a/.", "must not end with '/.' when"),
        ("/a b", "must only contain valid characters (matching"),
        ("/a\n", "must only contain valid characters (matching"),
        ("/%zz", "must only contain valid characters (matching"),
    ):
        for type_ in ("Exact", "PathPrefix"):
            yield http({"matches": [{"path": {"type": type_, "value": value}}]}, ".matches[0].path", message)
    yield http(
        {"matches": [{"path": {"type": "Glob"}}]}, ".matches[0].path", "type must be one of ['Exact', 'PathPrefix'"
    )
    timeouts = {"request": "1s", "backendRequest": "1s1ms"}
    yield http({"timeouts": timeouts}, ".timeouts", "backendRequest timeout cannot be longer than request timeout")

    def method(match: dict[str, Any], message: str) -> Case:
        return "GRPCRoute", {"rules": [{"matches": [{"method": match}]}]}, "spec.rules[0].matches[0].method", message

    yield method({}, "One or both of 'service' or 'method' must be specified")
    yield method({"service": "a/b"}, "service must only contain valid characters")
    yield method({"method": "a.b"}, "method must only contain valid characters")

    yield from listeners_of("Gateway")
    yield from listeners_of("ListenerSet")
    for type_, value in (("IPAddress", "192.0.2.1"), ("Hostname", "a.example")):
        addresses = {"addresses": [{"type": type_, "value": value}] * 2}
        yield "Gateway", addresses, "spec.addresses", f"{type_} values must be unique"
    addresses = {"addresses": [{"type": "Hostname", "value": "A_b"}]}
    yield "Gateway", addresses, "spec.addresses[0]", "Hostname value must be empty or contain only valid characters"
    for field, what in (("labels", "label"), ("annotations", "annotation")):
        where = f"spec.infrastructure.{field}"
        for key in ("-a", "a/", "a b", "x" * 65, "A/b", "a\n"):
            message = f"{what.capitalize()} keys must be in the form of an optional DNS"
            yield "Gateway", {"infrastructure": {field: {key: "v"}}}, where, message
        message = f"If specified, the {what} key's prefix must be a DNS subdomain not longer"
        yield "Gateway", {"infrastructure": {field: {f"{'a' * 253}/b": "v"}}}, where, message
    per_port = {"tls": {"frontend": {"default": {}, "perPort": [{"port": 1, "tls": {}}] * 2}}}
    yield (
        "Gateway",
        per_port,
        "spec.tls.frontend.perPort",
        "Port for TLS configuration must be unique within the Gateway",
    )

    yield "TLSRoute", {"hostnames": ["192.0.2.1"]}, "spec.hostnames", "Hostnames cannot contain an IP"
    yield "TLSRoute", {"hostnames": ["a..b"]}, "spec.hostnames", "Hostnames must be valid based on RFC-1123"
    yield "TLSRoute", {"hostnames": ["a.*"]}, "spec.hostnames", "Wildcards on hostnames must be the first label"

    target = {"group": "", "kind": "Service", "name": "a"}
    targets = {"targetRefs": [target, {**target, "sectionName": "x"}]}
    yield "BackendTLSPolicy", targets, "spec.targetRefs", "sectionName must be specified when targetRefs includes"
    yield (
        "BackendTLSPolicy",
        {"targetRefs": [target] * 2},
        "spec.targetRefs",
        "sectionName must be unique when targetRefs",
    )
    for kind, holder, where in (
        ("BackendTLSPolicy", lambda v: {"validation": v}, "spec.validation"),
        ("XBackend", lambda v: {"tls": {"mode": "ServerOnly", "validation": v}}, "spec.tls.validation"),
    ):
        base = {"hostname": "a.example"}
        system = {**base, "wellKnownCACertificates": "System"}
        both = {**system, "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "c"}]}
        yield kind, holder(both), where, "must not contain both CACertificateRefs and WellKnownCACertificates"
        yield kind, holder(base), where, "must specify either CACertificateRefs or WellKnownCACertificates"
        for name, message in (
            ({"type": "Hostname"}, "SubjectAltName element must contain Hostname, if"),
            ({"type": "URI", "uri": "a:b", "hostname": "a"}, "SubjectAltName element must not contain Hostname, if"),
            ({"type": "URI"}, "SubjectAltName element must contain URI, if"),
            ({"type": "Hostname", "uri": "a:b", "hostname": "a"}, "SubjectAltName element must not contain URI, if"),
        ):
            yield kind, holder({**system, "subjectAltNames": [name]}), f"{where}.subjectAltNames[0]", message
    yield "XBackend", {"externalHostname": None}, "spec", "externalHostname must be set when type is ExternalHostname"
    inside = {"externalHostname": {"hostname": "a.svc.cluster.local"}}
    yield "XBackend", inside, "spec.externalHostname.hostname", "hostname must not be an IP address or end with"
    yield "XBackend", {"port": {"port": 1, "name": "A"}}, "spec.port.name", "Name must be a valid DNS label"
    tls = {"tls": {"mode": "ClientAndServer"}}
    yield "XBackend", tls, "spec.tls", "clientCertificateRef must be set if and only if mode is ClientAndServer"
    for interval in ("999ms", "61m"):
        where = "spec.retryConstraint.budget.interval"
        budget = {"retryConstraint": {"budget": {"interval": interval}}}
        yield "XBackendTrafficPolicy", budget, where, "interval cannot be greater than one hour or less than one second"
    for interval in ("0s", "61m"):
        where = "spec.retryConstraint.minRetryRate.interval"
        rate = {"retryConstraint": {"minRetryRate": {"interval": interval}}}
        yield "XBackendTrafficPolicy", rate, where, "interval cannot be greater than one hour"
    groups: tuple[dict[str, Any], ...] = ({}, {"tags": {}}, {"name": "a", "tags": {"a": "b"}})
    for group in groups:
        where, message = "spec.aws.targetGroup", "exactly one of arn, name and tags must be set"
        yield "EdgeBinding", {"aws": {"targetGroup": group}}, where, message


def aws_cases() -> Iterator[tuple[str, dict[str, Any], str, str]]:
    where = "spec.listenerConfigurations[0].mutualAuthentication"
    for mutual, message in [
        ({"mode": "verify"}, "trustStore is required when mutualAuthentication mode is 'verify'"),
        ({"mode": "off", "trustStore": "clients"}, "does not support 'trustStore'"),
        ({"mode": "passthrough", "ignoreClientCertificateExpiry": False}, "support 'ignoreClientCertificateExpiry'"),
        ({"mode": "off", "advertiseTrustStoreCaNames": "on"}, "does not support 'advertiseTrustStoreCaNames'"),
    ]:
        listener = {"protocolPort": "HTTPS:443", "mutualAuthentication": mutual}
        yield "LoadBalancerConfiguration", {"listenerConfigurations": [listener]}, where, message

    respond = {"type": "fixed-response", "fixedResponseConfig": {"statusCode": 200}}
    redirect = {"type": "redirect", "redirectConfig": {}}
    jwt = {"type": "jwt-validation", "jwtValidationConfig": {"issuer": "i", "jwksEndpoint": "j"}}
    for actions, message in [
        ([], "At least one action must be specified"),
        ([{"type": "none"}], "action types are supported"),
        ([jwt, jwt], "At most one pre-routing action"),
        ([respond, redirect], "At most one routing action"),
    ]:
        yield "ListenerRuleConfiguration", {"actions": actions}, "spec", message
    for type_, name in ACTION_CONFIGURATIONS.items():
        message = f"{name} must be specified only when type is '{type_}'"
        yield "ListenerRuleConfiguration", {"actions": [{"type": type_}]}, "spec.actions[0]", message
    response = {"type": "fixed-response", "fixedResponseConfig": {"statusCode": 301}}
    where = "spec.actions[0].fixedResponseConfig.statusCode"
    yield "ListenerRuleConfiguration", {"actions": [response]}, where, "in the 2XX, 4XX, or 5XX range"
    message = "sourceIPConfig must be specified only when field is 'source-ip'"
    yield "ListenerRuleConfiguration", {"conditions": [{"field": "source-ip"}]}, "spec.conditions[0]", message

    message = "cannot specify both 'prefixListsIDs' and 'PrefixListsIDs' fields"
    yield "IngressClassParams", {"PrefixListsIDs": ["pl-2"]}, "spec", message


CASES = [*cases(), *aws_cases()]


OTHER_VERSIONS = {
    "EdgeBinding": edgebinding.API_VERSION,
    "IngressClassParams": ingressclassparams.API_VERSION,
    **dict.fromkeys(
        ("LoadBalancerConfiguration", "TargetGroupConfiguration", "ListenerRuleConfiguration"), awsgateway.API_VERSION
    ),
}


def manifest(kind: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    spec = {**copy.deepcopy(VALID[kind]), **(changes or {})}
    spec = {name: value for name, value in spec.items() if value is not None}
    version = X_GROUP_VERSION if kind.startswith("X") else GROUP_VERSION
    version = OTHER_VERSIONS.get(kind, version)
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, "spec": spec}


@pytest.mark.parametrize("kind", VALID)
def test_a_valid_object_breaks_nothing(kind: str) -> None:
    obj = manifest(kind)
    found = kinds.find(obj["apiVersion"], kind)
    assert found is not None
    assert found.type is not None
    schema = openapi_schema(found.type)
    assert validate(schema, apply_defaults(schema, obj)) == []
    assert violations(obj) == []
    assert violations(codec.decode(found.type, obj)) == []


@pytest.mark.parametrize(("kind", "changes", "field", "message"), CASES)
def test_a_rule_rejects(kind: str, changes: dict[str, Any], field: str, message: str) -> None:
    found = [
        cause for cause in violations(manifest(kind, changes)) if cause.field == field and message in cause.message
    ]
    assert len(found) == 1
    assert found[0].reason == "FieldValueInvalid"
    assert found[0].message.startswith(("Invalid value: ", "Invalid value: "))


def test_every_rule_has_a_case() -> None:
    covered = {
        (kind, cause.field, cause.message)
        for kind, changes, *_ in CASES
        for cause in violations(manifest(kind, changes))
    }
    messages = {(kind, message.split(": ", 2)[2]) for kind, _, message in covered}
    # The ones on updates, and on a status, have tests of their own.
    elsewhere = {"Value is immutable", "Hostname value must only contain valid characters"}
    for type_, rule_set in RULES.items():
        for rules in rule_set.rules.values():
            for rule in rules:
                if not rule.message.startswith(tuple(elsewhere)):
                    assert (type_.__name__, rule.message) in messages


@pytest.mark.parametrize("kind", ["GatewayClass", "XMesh"])
def test_the_controller_name_is_immutable(kind: str) -> None:
    old, new = manifest(kind), manifest(kind, {"controllerName": "example.com/other"})
    assert violations(old, old) == []
    assert [str(cause) for cause in violations(new, old)] == [
        'spec.controllerName: Invalid value: "example.com/other": Value is immutable'
    ]


def test_a_status_address_that_is_a_hostname() -> None:
    gateway_with = manifest("Gateway")
    gateway_with["status"] = {"addresses": [{"type": "Hostname", "value": "a b"}, {"value": "192.0.2.1"}]}
    assert [cause.field for cause in violations(gateway_with)] == ["status.addresses[0]"]


def test_a_misshapen_object_is_left_to_the_schema() -> None:
    misshapen: list[Any] = [None, [], {"listeners": "x"}, {"listeners": [3]}, {"addresses": [{"type": 3}]}]
    for spec in misshapen:
        assert isinstance(violations({"apiVersion": GROUP_VERSION, "kind": "Gateway", "spec": spec}), list)


def test_a_typed_object_is_judged_like_plain_data() -> None:
    broken = manifest("HTTPRoute", {"rules": [{"name": "a"}, {"name": "a", "backendRefs": [{"name": "s"}]}]})
    assert len(violations(broken)) == 2
    assert violations(codec.decode(gateway.HTTPRoute, broken)) == violations(broken)


def test_a_kind_without_rules() -> None:
    assert violations(manifest("ReferenceGrant")) == []
    assert violations({"kind": "Unknown"}) == []
    assert violations({"apiVersion": "v1", "kind": "Service"}) == []


def test_a_cause_reads_as_the_api_servers() -> None:
    route = manifest("HTTPRoute", {"rules": [{"backendRefs": [{"name": "s"}]}]})
    assert msgspec.to_builtins(violations(route)[0]) == {
        "reason": "FieldValueInvalid",
        "message": 'Invalid value: "object": Must have port for Service reference',
        "field": "spec.rules[0].backendRefs[0]",
    }


def declared(node: dict[str, Any], where: str = "") -> Iterator[tuple[str, str]]:
    for rule in node.get("x-kubernetes-validations", ()):
        yield where, rule["message"]
    for name, part in node.get("properties", {}).items():
        yield from declared(part, f"{where}.{name}".lstrip("."))
    if "items" in node:
        yield from declared(node["items"], f"{where}[]")
    if isinstance(node.get("additionalProperties"), dict):
        yield from declared(node["additionalProperties"], f"{where}{{}}")


@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the official CRDs (../shared/reference/crds) are missing")
@pytest.mark.parametrize("channel", ["experimental", "standard"])
def test_all_the_official_rules_are_here(channel: str) -> None:
    seen = set()
    for path in (REFERENCE / channel).glob("*.yaml"):
        for crd in yaml.load_all(path.read_text(), yaml.CSafeLoader):
            if not crd or crd["kind"] != "CustomResourceDefinition":
                continue
            kind = kinds.find(
                f"{crd['spec']['group']}/{crd['spec']['versions'][0]['name']}", crd["spec"]["names"]["kind"]
            )
            assert kind is not None
            assert kind.type is not None
            seen.add(kind.type)
            official = set(declared(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]))
            ours = RULES.get(kind.type)
            here = {(where, rule.message) for where, rules in ours.rules.items() for rule in rules} if ours else set()
            if channel == "experimental":
                assert here == official
            else:
                ported = {
                    (where, message.replace("sectionName must", "sectionName or port must"))
                    for where, message in official
                    if "parentRefs" in where
                }
                assert ported | {pair for pair in official if "parentRefs" not in pair[0]} <= here
    assert gateway.HTTPRoute in seen
