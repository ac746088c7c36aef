"""Certificates of listeners: those of ACM and of IAM."""

from __future__ import annotations

from collections.abc import Iterable

from gatewright.local.aws.backends import backend
from gatewright.local.aws.elbv2.backend import Backend
from gatewright.local.aws.elbv2.errors import Refusal


def check(arn: str) -> None:
    """Raise a refusal unless a listener can use this certificate."""
    if ":iam:" in arn:
        if backend("iam").get_certificate_by_arn(arn) is None:
            raise Refusal("CertificateNotFound", f"Certificate '{arn}' not found")
        return
    certificate = backend("acm")._certificates.get(arn)
    if certificate is None:
        raise Refusal("CertificateNotFound", f"Certificate '{arn}' not found")
    certificate.check()
    if certificate.status != "ISSUED":
        raise Refusal(
            "UnsupportedCertificate",
            f"The certificate '{arn}' must have a fully-qualified domain name, a supported signature, "
            "and a supported key size.",
        )


def mark(elb: Backend, arns: Iterable[str]) -> None:
    """Have ACM know which load balancers use these certificates (`InUseBy`)."""
    known = backend("acm")._certificates
    for arn in set(arns):
        if arn in known:
            known[arn].in_use_by = list(
                {load_balancer.arn: None for load_balancer, listener in elb.listeners() if arn in listener.certificates}
            )
