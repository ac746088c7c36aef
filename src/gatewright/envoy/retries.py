"""Timeouts and retries of a rule (Gateway API, HTTPRouteTimeouts; GEP-1731).

What an upstream has not begun to work on is tried again for every rule, see `tables`. A rule with a retry of its own
also repeats what failed half-way, what took too long, and what was answered with one of its codes.
"""

from __future__ import annotations

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2

from gatewright.topology import Retry, Rule

MAX_RETRIES = "x-envoy-max-retries"
"""A request header within Envoy; it prevails over a route's retry policy."""

_RETRY_ON = "connect-failure,refused-stream,reset,retriable-status-codes"
_STREAM_IDLE = 300
_LEAST_BACKOFF = 1_000_000


def limit(rule: Rule, message: route_components_pb2.Route) -> None:
    """Put a rule's timeouts and retries into a route that forwards.

    Without retries of requests that were begun, both timeouts limit the same: the shorter one holds.
    """
    action = message.route
    if rule.retry is None:
        limits = [limit for limit in (rule.request_timeout, rule.backend_request_timeout) if limit]
        total = min(limits, default=0.0)
    else:
        total = rule.request_timeout or 0.0
        _retry(rule.retry, message)
        if rule.backend_request_timeout:
            action.retry_policy.per_try_timeout.FromNanoseconds(round(rule.backend_request_timeout * 1e9))
    action.timeout.FromNanoseconds(round(total * 1e9))
    if total > _STREAM_IDLE:
        action.idle_timeout.CopyFrom(action.timeout)
    elif rule.request_timeout == 0 and not total:
        action.idle_timeout.SetInParent()  # no timeout was asked for: not even one for idling


def _retry(retry: Retry, message: route_components_pb2.Route) -> None:
    policy = message.route.retry_policy
    policy.retry_on = _RETRY_ON
    policy.retriable_status_codes.extend(retry.codes)
    if retry.backoff:
        policy.retry_back_off.base_interval.FromNanoseconds(max(round(retry.backoff * 1e9), _LEAST_BACKOFF))
        policy.retry_back_off.max_interval.FromNanoseconds(max(round(retry.backoff * 1e10), _LEAST_BACKOFF))
    if retry.attempts is not None:
        policy.num_retries.value = retry.attempts
        option = message.request_headers_to_add.add(append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD)
        option.header.key, option.header.value = MAX_RETRIES, str(retry.attempts)
