"""External authorization as a route's own filter of Envoy (GEP-1494)."""

from __future__ import annotations

from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2

from gatewright.envoy.chain import HOST_HEADER
from gatewright.envoy.syntax import path, token
from gatewright.topology import CONNECTION_HEADERS, ExternalAuth

_TIMEOUT = 10

# What an answer must not write into a request: it would say where the request ends, or where it belongs. Besides these
# Envoy lets no answer write the Host, and what steers itself.
_NOT_FROM_ANSWERS = "|".join([*sorted(CONNECTION_HEADERS), ":.*", "x-gatewright-.*"])


def check(auth: ExternalAuth, cluster: str) -> ext_authz_pb2.ExtAuthz:
    """Ask the service in `cluster` about each request of a route. Without its consent the answer is 403, or its own."""
    message = ext_authz_pb2.ExtAuthz(transport_api_version="V3")
    if auth.max_body:
        message.with_request_body.max_request_bytes = auth.max_body
    for name in auth.allowed_headers:
        field = f"externalAuth.{auth.protocol.lower()}.allowedHeaders"
        message.allowed_headers.patterns.add(exact=token(name, field), ignore_case=True)
    message.disallowed_headers.patterns.add(exact=HOST_HEADER)
    message.decoder_header_mutation_rules.disallow_expression.regex = _NOT_FROM_ANSWERS
    if auth.protocol == "GRPC":
        message.grpc_service.envoy_grpc.cluster_name = cluster
        message.grpc_service.timeout.seconds = _TIMEOUT
        return message
    service = message.http_service
    service.server_uri.uri = f"http://{auth.backend.service}.{auth.backend.namespace}:{auth.backend.port}"
    service.server_uri.cluster = cluster
    service.server_uri.timeout.seconds = _TIMEOUT
    prefix = auth.path.strip("/")
    service.path_prefix = path(f"/{prefix}", "externalAuth.http.path") if prefix else ""
    copied = service.authorization_response.allowed_upstream_headers
    for name in auth.allowed_response_headers:
        copied.patterns.add(exact=name, ignore_case=True)
    if not auth.allowed_response_headers:
        copied.patterns.add().safe_regex.regex = ".*"
    return message
