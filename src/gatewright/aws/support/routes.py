"""HTTPRoute and GRPCRoute on an ALB. The translator of rules takes the texts of its refusals from these rows."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from gatewright.aws.support import documents as aws
from gatewright.aws.support.row import Row, Support


def _http(field: str, support: Support, note: str, instead: str = "", document: str = "", case: str = "") -> Row:
    return Row("HTTPRoute", field, support, note, instead, document, case=case)


# --- matches ---------------------------------------------------------------------------------------------------------

HOST_TOO_LONG: Final = _http(
    "spec.hostnames",
    "no",
    "an ALB compares host names of up to 128 characters",
    "use a shorter hostname, or a wildcard of its domain",
    aws.HOST_CONDITION,
    case="longer than 128 characters",
)
PATH_TOO_LONG: Final = _http(
    "spec.rules[].matches[].path",
    "no",
    "an ALB compares paths with values and regular expressions of up to 128 characters",
    "match a shorter prefix",
    aws.CONDITIONS,
    case="longer than 128 characters",
)
PATH_CHARACTERS: Final = _http(
    "spec.rules[].matches[].path.value",
    "no",
    "an ALB compares visible ASCII characters only",
    "percent-encode the others, as clients send them",
    aws.CONDITIONS,
    case="other characters than visible ASCII",
)
REGEX_SYNTAX: Final = _http(
    "spec.rules[].matches[].path.type",
    "partly",
    "an ALB takes regular expressions of up to 128 characters, without lookaround, backreferences and Unicode classes",
    "use a shorter or simpler expression, or PathPrefix and Exact",
    aws.RULES,
    case="RegularExpression",
)
METHOD_TRACE: Final = _http(
    "spec.rules[].matches[].method",
    "no",
    "an ALB answers TRACE with 405 itself, before any rule",
    "leave it out",
    aws.TROUBLESHOOTING,
    case="TRACE",
)
HEADER_HOST: Final = _http(
    "spec.rules[].matches[].headers[].name",
    "no",
    "an ALB can't compare the Host header as a header",
    "use spec.hostnames",
    aws.HEADER_CONDITION,
    case="Host",
)
HEADER_NAME: Final = _http(
    "spec.rules[].matches[].headers[].name",
    "no",
    "an ALB compares headers whose names have up to 40 characters",
    "use a shorter name",
    aws.HEADER_CONDITION,
    case="longer than 40 characters",
)
HEADER_VALUE: Final = _http(
    "spec.rules[].matches[].headers[].value",
    "no",
    "an ALB compares headers with values and regular expressions of up to 128 visible ASCII characters",
    "use a shorter value",
    aws.HEADER_CONDITION,
    case="longer than 128 characters, or other than visible ASCII",
)
HEADER_REGEX: Final = _http(
    "spec.rules[].matches[].headers[].type",
    "partly",
    "an ALB takes regular expressions of up to 128 characters, without lookaround, backreferences and Unicode classes",
    "use a shorter or simpler expression, or Exact",
    aws.RULES,
    case="RegularExpression",
)
HEADER_CASE: Final = _http(
    "spec.rules[].matches[].headers[].value",
    "partly",
    "as a regular expression it is longer than 128 characters, and an ALB compares other values in any case",
    "use a shorter value",
    aws.HEADER_CONDITION,
    case="nearly 128 characters",
)
HEADER_FORWARDED: Final = _http(
    "spec.rules[].matches[].headers[].name",
    "partly",
    "an ALB writes this header after it has chosen the rule, so what the client sent is compared",
    "attach the route to the HTTP or the HTTPS listener alone, by parentRefs[].sectionName",
    aws.CONDITIONS,
    case="X-Forwarded-Proto, X-Forwarded-Port",
)
QUERY_REGEX: Final = _http(
    "spec.rules[].matches[].queryParams[].type",
    "no",
    "an ALB compares query parameters with values only, not with regular expressions",
    "use type Exact, once for each value",
    aws.QUERY_CONDITION,
    case="RegularExpression",
)
QUERY_CASE: Final = _http(
    "spec.rules[].matches[].queryParams[]",
    "partly",
    "an ALB compares names and values of query parameters in any case, where the Gateway API is exact",
    "use values that don't differ in case alone",
    aws.QUERY_CONDITION,
    case="with letters",
)
QUERY_VALUE: Final = _http(
    "spec.rules[].matches[].queryParams[]",
    "no",
    "an ALB compares names and values of query parameters of up to 128 visible ASCII characters",
    "use shorter ones, or match a header or the path",
    aws.QUERY_CONDITION,
    case="longer than 128 characters, or other than visible ASCII",
)
TOO_MANY_VALUES: Final = _http(
    "spec.rules[].matches[]",
    "no",
    "an ALB rule holds 5 condition values in all, and the parts of one match can't be spread over several rules",
    "match fewer headers and query parameters, or let the backend tell them apart",
    aws.QUOTAS,
    case="more than 5 values that have to hold together",
)
SOURCE_WITH_MATCH: Final = Row(
    "ListenerRuleConfiguration",
    "spec.conditions[]",
    "no",
    "an ALB rule has one condition on the source address at the most",
    "put all address blocks into one condition",
    aws.CONDITIONS,
    case="several for one match",
)

# --- filters ---------------------------------------------------------------------------------------------------------

REQUEST_HEADERS: Final = _http(
    "spec.rules[].filters[].requestHeaderModifier",
    "no",
    "an ALB adds no request headers of one's own; it can only rename those about TLS, and rewrite the Host",
    "let the backend do it, or use the listener attributes routing.http.request.* (LoadBalancerConfiguration); "
    "to set Host alone works, as does urlRewrite.hostname",
    aws.HEADERS,
    case="other than to set Host",
)
RESPONSE_HEADERS: Final = _http(
    "spec.rules[].filters[].responseHeaderModifier",
    "no",
    "an ALB writes only some response headers, and those for a whole listener",
    "use the listener attributes routing.http.response.* (LoadBalancerConfiguration, listenerAttributes), or let the "
    "backend do it",
    aws.HEADERS,
)
MIRROR: Final = _http(
    "spec.rules[].filters[].requestMirror",
    "no",
    "an ALB sends each request to one target only",
    "use VPC traffic mirroring, or a Gateway of a class that runs a proxy",
    aws.ACTIONS,
)
CORS: Final = _http(
    "spec.rules[].filters[].cors",
    "no",
    "an ALB answers no preflight requests, and writes Access-Control headers for a whole listener only",
    "let the backend answer OPTIONS, or use the listener attributes routing.http.response.access_control_*",
    aws.HEADERS,
)
EXTERNAL_AUTH: Final = _http(
    "spec.rules[].filters[].externalAuth",
    "no",
    "an ALB asks no service of one's own whether a request may pass",
    "use authenticate-oidc, authenticate-cognito or jwt-validation in a ListenerRuleConfiguration",
    aws.AUTHENTICATION,
)
REDIRECT_STATUS: Final = _http(
    "spec.rules[].filters[].requestRedirect.statusCode",
    "no",
    "an ALB redirects with 301 or 302 only",
    "use 301 or 302",
    aws.REDIRECT,
    case="303, 307, 308",
)
REDIRECT_DOWNGRADE: Final = _http(
    "spec.rules[].filters[].requestRedirect.scheme",
    "no",
    "an ALB doesn't redirect from HTTPS to HTTP",
    "attach the route to the HTTP listener alone, or use https",
    aws.REDIRECT,
    case="http on an HTTPS listener",
)
REDIRECT_LOOP: Final = _http(
    "spec.rules[].filters[].requestRedirect",
    "no",
    "an ALB takes no redirect that changes neither protocol, port, host nor path: it would lead to itself",
    "change one of them, or attach the route to the other listener alone (parentRefs[].sectionName)",
    aws.REDIRECT,
    case="onto itself",
)
REDIRECT_TO_ROOT: Final = _http(
    "spec.rules[].filters[].requestRedirect.path.replacePrefixMatch",
    "no",
    "an ALB takes no redirect in which only the path changes unless the new one has a fixed part",
    "set hostname, scheme or port too, use exact hostnames, or a prefix other than /",
    aws.REDIRECT,
    case="/ with nothing else, for a hostname with a wildcard",
)
REDIRECT_PARTS: Final = _http(
    "spec.rules[].filters[].requestRedirect",
    "no",
    "an ALB redirects to hosts and paths of up to 128 characters, without placeholders, blanks and fragments",
    "use a shorter one",
    aws.REDIRECT,
    case="hosts and paths longer than 128 characters",
)
REWRITE_VALUE: Final = _http(
    "spec.rules[].filters[].urlRewrite",
    "no",
    "an ALB rewrites with replacements of up to 1,024 characters in which $ stands for a group; a path has no ? or #",
    "use a shorter path without them",
    aws.TRANSFORMS,
    case="$, ?, # or \\ in the path, or longer than 1,024 characters",
)
PREFIX_WITHOUT_PREFIX: Final = _http(
    "spec.rules[].filters[].urlRewrite.path.type",
    "no",
    "only a match of type PathPrefix has a prefix to replace",
    "use PathPrefix, or ReplaceFullPath",
    case="ReplacePrefixMatch without PathPrefix",
)
EXTENSION_SEVERAL: Final = _http(
    "spec.rules[].filters[].extensionRef",
    "no",
    "an ALB rule is made from one ListenerRuleConfiguration at the most",
    "put everything into one",
    case="several in one rule",
)
EXTENSION_MISSING: Final = _http(
    "spec.rules[].filters[].extensionRef",
    "no",
    "there is no such object that can be used",
    "create it, or see its status",
    case="an object that isn't there or not accepted",
)
EXTENSION_HTTPS: Final = Row(
    "ListenerRuleConfiguration",
    "spec.actions[].type",
    "no",
    "an ALB authenticates on HTTPS listeners only",
    "attach the route to an HTTPS listener alone (parentRefs[].sectionName)",
    aws.AUTHENTICATION,
    case="authentication on an HTTP listener",
)
EXTENSION_GRPC: Final = Row(
    "ListenerRuleConfiguration",
    "spec.actions[].type",
    "no",
    "an ALB forwards to target groups of version HTTP2 or GRPC and takes no other action for them",
    "authenticate in the backend",
    aws.TARGET_GROUPS,
    case="authentication for a GRPCRoute",
)
EXTENSION_CONFLICT: Final = Row(
    "ListenerRuleConfiguration",
    "spec.actions[].type",
    "no",
    "an ALB rule forwards, redirects or answers, and only one of them",
    "leave out the filter RequestRedirect, or the fixed response",
    aws.ACTIONS,
    case="fixed-response beside a RequestRedirect",
)

# --- the rest of a rule ----------------------------------------------------------------------------------------------

BACKEND_FILTERS: Final = _http(
    "spec.rules[].backendRefs[].filters",
    "no",
    "an ALB transforms the requests of a rule, whichever of its target groups gets them",
    "put the filters into the rule, or give the backends rules of their own",
    aws.TRANSFORMS,
    case="that differ between backendRefs",
)
TOO_MANY_GROUPS: Final = _http(
    "spec.rules[].backendRefs",
    "no",
    "an ALB rule forwards to 5 target groups at the most",
    "use fewer backendRefs, or spread them over several rules",
    aws.QUOTAS,
    case="more than 5",
)
WEIGHT_SCALED: Final = _http(
    "spec.rules[].backendRefs[].weight",
    "partly",
    "an ALB has weights up to 999, and the smallest share was made greater",
    "use weights whose ratio is below 1,000",
    aws.FORWARD,
    case="shares of less than 1 in 1,000",
)
EMPTY_SHARE: Final = _http(
    "spec.rules[].backendRefs",
    "partly",
    "an ALB can't share requests between target groups and a fixed response: that share goes to an empty target group, "
    "which answers 503, where the Gateway API wants 500",
    "see ResolvedRefs, or leave that backendRef out",
    aws.TROUBLESHOOTING,
    case="some lead nowhere",
)
GRPC_NEEDS_HTTPS: Final = Row(
    "GRPCRoute",
    "spec.rules[].backendRefs",
    "no",
    "an ALB speaks HTTP/2 to clients, and forwards gRPC, on HTTPS listeners only",
    "attach the route to an HTTPS listener",
    aws.TARGET_GROUPS,
    case="on an HTTP listener",
)
REQUEST_TIMEOUT: Final = _http(
    "spec.rules[].timeouts.request",
    "no",
    "an ALB limits no request's time, only how long a connection is idle",
    "use the load balancer attribute idle_timeout.timeout_seconds, or let the backend limit it",
    aws.ATTRIBUTES,
)
BACKEND_TIMEOUT: Final = structs.replace(REQUEST_TIMEOUT, field="spec.rules[].timeouts.backendRequest")
RETRY: Final = _http(
    "spec.rules[].retry",
    "no",
    "an ALB sends no request a second time",
    "let the client retry",
    aws.TROUBLESHOOTING,
)
SESSION_HEADER: Final = _http(
    "spec.rules[].sessionPersistence.type",
    "no",
    "an ALB keeps sessions by cookies only",
    "use type Cookie",
    aws.STICKINESS,
    case="Header",
)
SESSION_NAME: Final = _http(
    "spec.rules[].sessionPersistence.sessionName",
    "partly",
    "an ALB names its own cookie AWSALB",
    "leave it out, or use the target group attributes stickiness.type=app_cookie and stickiness.app_cookie.cookie_name "
    "(TargetGroupConfiguration) where the application sets that cookie",
    aws.STICKINESS,
)
SESSION_LIFETIME: Final = _http(
    "spec.rules[].sessionPersistence.absoluteTimeout",
    "partly",
    "an ALB's cookie lasts from 1 second to 7 days, counted from the last answer",
    "use up to 168h",
    aws.STICKINESS,
    case="more than 7 days",
)

# --- what is served --------------------------------------------------------------------------------------------------

_SERVED: Final = (
    _http("spec.parentRefs", "yes", "by name, sectionName and port; across namespaces where the listener admits it"),
    _http("spec.useDefaultGateways", "yes", "as the Gateway's defaultScope says"),
    _http(
        "spec.hostnames",
        "yes",
        "a host-header condition; the most specific hostname hides the others, by a rule that answers 404 where needed",
        document=aws.HOST_CONDITION,
    ),
    _http("spec.rules[].name", "yes", "for parentRefs, policies and messages"),
    _http(
        "spec.rules[].matches",
        "yes",
        "one rule for each; matches that differ in one part share a rule, and what is too much for a rule is split",
        document=aws.QUOTAS,
    ),
    _http("spec.rules[].matches[].path", "yes", "a path-pattern condition", document=aws.CONDITIONS, case="Exact"),
    _http(
        "spec.rules[].matches[].path",
        "yes",
        "a path-pattern condition with two values, /a and /a/*, or one regular expression where values are short",
        document=aws.CONDITIONS,
        case="PathPrefix",
    ),
    _http("spec.rules[].matches[].method", "yes", "an http-request-method condition", document=aws.CONDITIONS),
    _http(
        "spec.rules[].matches[].headers",
        "yes",
        "an http-header condition for each; exact values are regular expressions, since values have no case",
        document=aws.HEADER_CONDITION,
    ),
    _http(
        "spec.rules[].matches[].queryParams",
        "yes",
        "a query-string condition for each, with * and ? escaped",
        document=aws.QUERY_CONDITION,
    ),
    _http("spec.rules[].filters[].type", "partly", "RequestRedirect, URLRewrite and ExtensionRef"),
    _http(
        "spec.rules[].filters[].requestHeaderModifier",
        "yes",
        "a transform of the Host header",
        document=aws.TRANSFORMS,
        case="to set Host alone",
    ),
    _http(
        "spec.rules[].filters[].requestRedirect",
        "yes",
        "a redirect action; ReplacePrefixMatch by a transform before it, or by a second rule for what is below",
        document=aws.REDIRECT,
    ),
    _http(
        "spec.rules[].filters[].urlRewrite",
        "yes",
        "transforms of URL and Host header, with the query as it is",
        document=aws.TRANSFORMS,
    ),
    _http(
        "spec.rules[].filters[].extensionRef",
        "yes",
        "a ListenerRuleConfiguration in the route's namespace",
        document=aws.ACTIONS,
    ),
    _http(
        "spec.rules[].backendRefs",
        "yes",
        "a forward action; no usable one, or a weight sum of 0: a fixed response with status 500 (GRPCRoute: 503)",
        document=aws.FORWARD,
    ),
    _http("spec.rules[].backendRefs[].filters", "yes", "as the rule's", case="the same for all backendRefs"),
    _http("spec.rules[].timeouts", "yes", "0s, no limit, is what an ALB does", case="0s"),
    _http(
        "spec.rules[].sessionPersistence",
        "partly",
        "type Cookie: stickiness of the target group by the load balancer's cookie, for one day without an "
        "absoluteTimeout; between several backendRefs by that of the rule",
        document=aws.STICKINESS,
    ),
)

_LIMITS: Final = (
    HOST_TOO_LONG,
    PATH_TOO_LONG,
    PATH_CHARACTERS,
    REGEX_SYNTAX,
    METHOD_TRACE,
    HEADER_HOST,
    HEADER_NAME,
    HEADER_VALUE,
    HEADER_REGEX,
    HEADER_CASE,
    HEADER_FORWARDED,
    QUERY_REGEX,
    QUERY_CASE,
    QUERY_VALUE,
    TOO_MANY_VALUES,
    REQUEST_HEADERS,
    RESPONSE_HEADERS,
    MIRROR,
    CORS,
    EXTERNAL_AUTH,
    REDIRECT_STATUS,
    REDIRECT_DOWNGRADE,
    REDIRECT_LOOP,
    REDIRECT_TO_ROOT,
    REDIRECT_PARTS,
    REWRITE_VALUE,
    PREFIX_WITHOUT_PREFIX,
    EXTENSION_SEVERAL,
    EXTENSION_MISSING,
    BACKEND_FILTERS,
    TOO_MANY_GROUPS,
    WEIGHT_SCALED,
    EMPTY_SHARE,
    REQUEST_TIMEOUT,
    BACKEND_TIMEOUT,
    RETRY,
    SESSION_HEADER,
    SESSION_NAME,
    SESSION_LIFETIME,
)

HTTP_ROUTE: Final = (*_SERVED, *_LIMITS)

_NOT_GRPC: Final = (
    "spec.rules[].matches[].path",
    "spec.rules[].matches[].method",
    "spec.rules[].matches[].queryParams",
    "spec.rules[].filters[].requestRedirect",
    "spec.rules[].filters[].urlRewrite",
    "spec.rules[].filters[].cors",
    "spec.rules[].filters[].externalAuth",
    "spec.rules[].filters[].type",
    "spec.rules[].timeouts",
    "spec.rules[].retry",
)

GRPC_ROUTE: Final = (
    Row(
        "GRPCRoute",
        "spec.rules[].matches[].method",
        "yes",
        "a path-pattern condition: /service/method, /service and /service/*, or a regular expression",
        document=aws.CONDITIONS,
    ),
    Row("GRPCRoute", "spec.rules[].filters[].type", "partly", "ExtensionRef, and RequestHeaderModifier to set Host"),
    GRPC_NEEDS_HTTPS,
    *(structs.replace(row, kind="GRPCRoute") for row in HTTP_ROUTE if not row.field.startswith(_NOT_GRPC)),
)

LISTENER_RULE_LIMITS: Final = (
    SOURCE_WITH_MATCH,
    EXTENSION_HTTPS,
    EXTENSION_GRPC,
    EXTENSION_CONFLICT,
)
