"""Where an ALB answers otherwise than Envoy for the same objects, though nothing is refused."""

from __future__ import annotations

from typing import Final

from gatewright.aws.support import documents as aws
from gatewright.aws.support.row import Difference

DIFFERENCES: Final = (
    Difference(
        "A rule whose match an ALB can express, but not what it does",
        "answers 500 (GRPCRoute: 503), so that no less specific rule gets its requests; the route says why",
        "serves it",
    ),
    Difference(
        "A rule whose match an ALB can't express",
        "is left out: its requests go to the next rule of the same hostname that matches, or get 404",
        "serves it",
        aws.QUOTAS,
    ),
    Difference("Letters of query parameters", "in any case", "exactly as they are written", aws.QUERY_CONDITION),
    Difference("A query parameter that comes twice", "either may match", "the first counts", aws.QUERY_CONDITION),
    Difference(
        "The port in the Location of a redirect",
        "always there: https://example.com:443/",
        "left out where it is the scheme's own",
        aws.REDIRECT,
    ),
    Difference(
        "A share of the traffic whose backendRef leads nowhere, beside others",
        "503, by an empty target group",
        "500",
        aws.TROUBLESHOOTING,
    ),
    Difference(
        "A Host for another listener than the TLS server name chose",
        "served by the rules of the Host: an ALB compares the Host alone",
        "421",
        aws.CONDITIONS,
    ),
    Difference(
        "Targets that are all unhealthy by the load balancer's own checks",
        "get the requests nevertheless (fail open)",
        "there are no such checks: the readiness of pods counts",
        aws.HEALTH,
    ),
    Difference("TRACE", "405, before any rule", "as any other method", aws.TROUBLESHOOTING),
    Difference(
        "Paths that are not normal (/a/../b, %61)",
        "compared after a normalization of AWS's own; the target gets them as they were sent",
        "compared and passed on normalized (RFC 3986)",
        aws.CONDITIONS,
    ),
    Difference("Header names to backends over HTTP/1.1", "as the client wrote them", "lower case", aws.LOAD_BALANCERS),
    Difference(
        "Idle connections", "end after 60 seconds (idle_timeout.timeout_seconds)", "end after 5 minutes", aws.ATTRIBUTES
    ),
    Difference("HTTP/2 from clients without TLS", "not spoken", "spoken with prior knowledge", aws.LISTENERS),
    Difference(
        "Session persistence",
        "the cookie is AWSALB, lasts up to 7 days and is for the target group",
        "the cookie is the route's, for the rule",
        aws.STICKINESS,
    ),
)
