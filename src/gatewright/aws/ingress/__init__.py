"""Ingresses of class alb: their annotations as settings, their rules as a topology."""

from gatewright.aws.ingress.membership import IngressGroup, Member
from gatewright.aws.ingress.resolution import CertificateWish, Ingresses, resolve_ingresses
from gatewright.aws.ingress.rules import DEFAULT_RULE
from gatewright.aws.ingress.sources import IngressSources

__all__ = [
    "DEFAULT_RULE",
    "CertificateWish",
    "IngressGroup",
    "IngressSources",
    "Ingresses",
    "Member",
    "resolve_ingresses",
]
