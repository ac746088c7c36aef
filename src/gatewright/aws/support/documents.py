"""Addresses of AWS's documentation that the support table refers to."""

from __future__ import annotations

from typing import Final

_ALB: Final = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application"
_NLB: Final = "https://docs.aws.amazon.com/elasticloadbalancing/latest/network"
_API: Final = "https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference"

CONDITIONS: Final = f"{_ALB}/rule-condition-types.html"
ACTIONS: Final = f"{_ALB}/rule-action-types.html"
TRANSFORMS: Final = f"{_ALB}/rule-transforms.html"
RULES: Final = f"{_ALB}/listener-rules.html"
QUOTAS: Final = f"{_ALB}/load-balancer-limits.html"
ATTRIBUTES: Final = f"{_ALB}/edit-load-balancer-attributes.html"
HEADERS: Final = f"{_ALB}/header-modification.html"
AUTHENTICATION: Final = f"{_ALB}/listener-authenticate-users.html"
TARGET_GROUPS: Final = f"{_ALB}/load-balancer-target-groups.html"
STICKINESS: Final = f"{_ALB}/sticky-sessions.html"
LISTENERS: Final = f"{_ALB}/load-balancer-listeners.html"
HTTPS_LISTENERS: Final = f"{_ALB}/create-https-listener.html"
MUTUAL_TLS: Final = f"{_ALB}/mutual-authentication.html"
TROUBLESHOOTING: Final = f"{_ALB}/load-balancer-troubleshooting.html"
LOAD_BALANCERS: Final = f"{_ALB}/application-load-balancers.html"
HEALTH: Final = f"{_ALB}/target-group-health-checks.html"
REDIRECT: Final = f"{_API}/API_RedirectActionConfig.html"
QUERY_CONDITION: Final = f"{_API}/API_QueryStringConditionConfig.html"
HEADER_CONDITION: Final = f"{_API}/API_HttpHeaderConditionConfig.html"
HOST_CONDITION: Final = f"{_API}/API_HostHeaderConditionConfig.html"
FORWARD: Final = f"{_API}/API_ForwardActionConfig.html"

NLB_LISTENERS: Final = f"{_NLB}/load-balancer-listeners.html"
NLB_TLS: Final = f"{_NLB}/create-tls-listener.html"
NLB_TARGET_GROUPS: Final = f"{_NLB}/load-balancer-target-groups.html"
NLB_ADDRESSES: Final = f"{_NLB}/network-load-balancers.html"
