"""Security policies of listeners (Security policies for your Application / Network Load Balancer).

moto knows them but for those that only use FIPS-validated cryptography, and the older ones of forward secrecy.
"""

from __future__ import annotations

from moto.elbv2.ssl_policies import SSL_POLICIES

from gatewright.local.aws.elbv2.errors import Refusal
from gatewright.local.aws.elbv2.models import Document

DEFAULT = "ELBSecurityPolicy-2016-08"

_13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"]
_GCM = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
]
_CBC2 = [
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
]
_CBC = ["ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA", "ECDHE-ECDSA-AES256-SHA"]
_RSA2 = ["AES128-GCM-SHA256", "AES128-SHA256", "AES256-GCM-SHA384", "AES256-SHA256"]
_RSA = ["AES128-SHA", "AES256-SHA"]
_TLS = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]


def _fips(name: str, first: int, ciphers: list[str]) -> dict[str, tuple[list[str], list[str]]]:
    value = (_TLS[first:][::-1], _13 + ciphers)
    return {
        f"ELBSecurityPolicy-TLS13-{name}-FIPS-2023-04": value,
        f"ELBSecurityPolicy-TLS13-{name}-FIPS-PQ-2025-09": value,
    }


_MORE: dict[str, tuple[list[str], list[str]]] = {
    **_fips("1-3", 3, []),
    **_fips("1-2-Res", 2, _GCM),
    **_fips("1-2", 2, _GCM + _CBC2),
    **_fips("1-2-Ext0", 2, _GCM + _CBC2 + _CBC),
    **_fips("1-2-Ext1", 2, _GCM + _CBC2 + _RSA2),
    **_fips("1-2-Ext2", 2, _GCM + _CBC2 + _CBC + _RSA2 + _RSA),
    "ELBSecurityPolicy-TLS13-1-1-FIPS-2023-04": (_TLS[1:][::-1], _13 + _GCM + _CBC2 + _CBC + _RSA2 + _RSA),
    **_fips("1-0", 0, _GCM + _CBC2 + _CBC + _RSA2 + _RSA),
    "ELBSecurityPolicy-FS-1-2-2019-08": (["TLSv1.2"], _GCM + _CBC2 + _CBC),
    "ELBSecurityPolicy-FS-1-1-2019-08": (["TLSv1.2", "TLSv1.1"], _GCM + _CBC2 + _CBC),
    "ELBSecurityPolicy-FS-2018-06": (["TLSv1.2", "TLSv1.1", "TLSv1"], _GCM + _CBC2 + _CBC),
    "ELBSecurityPolicy-TLS-1-0-2015-04": (
        ["TLSv1.2", "TLSv1.1", "TLSv1"],
        _GCM + _CBC2 + _CBC + _RSA2 + _RSA + ["DES-CBC3-SHA"],
    ),
    "ELBSecurityPolicy-2015-05": (["TLSv1.2", "TLSv1.1", "TLSv1"], _GCM + _CBC2 + _CBC + _RSA2 + _RSA),
}

POLICIES: dict[str, tuple[list[str], list[str]]] = {
    **{name: (list(data["ssl_protocols"]), list(data["ciphers"])) for name, data in SSL_POLICIES.items()},
    **_MORE,
}
"""By name: the TLS versions and the ciphers, the preferred ones first, in OpenSSL's names."""


def check(name: str) -> None:
    """Raise a refusal unless there is such a policy; ALBs and NLBs have the same ones."""
    if name not in POLICIES:
        raise Refusal("SSLPolicyNotFound", f"SSL policy '{name}' not found")


def document(name: str) -> Document:
    """As DescribeSSLPolicies shows it."""
    protocols, ciphers = POLICIES[name]
    return {
        "Name": name,
        "SslProtocols": protocols,
        "Ciphers": [{"Name": cipher, "Priority": number} for number, cipher in enumerate(ciphers, 1)],
        "SupportedLoadBalancerTypes": ["application", "network"],
    }
