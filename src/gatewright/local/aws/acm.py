"""ACM as load balancers need it: a certificate that one of them uses stays, and those that are requested get issued.

Requested certificates are issued after a while, whether or not there is a record that validates them; nobody that
clients know has signed them.
"""

from __future__ import annotations

from typing import Any

from gatewright.local.aws import startup  # noqa: F401 - imports moto quickly

# isort: split

from moto import settings
from moto.acm.models import AWSCertificateManagerBackend, acm_backends
from moto.core.exceptions import AWSError

_VALIDATION = 60.0
"""Seconds until a requested certificate is issued."""


class Acm(AWSCertificateManagerBackend):
    """moto's ACM."""

    def delete_certificate(self, arn: str) -> None:
        """As moto's; one that a load balancer uses stays."""
        certificate = self._certificates.get(arn)
        if certificate and certificate.in_use_by:
            raise AWSError(
                f"Certificate {arn} is in use by {', '.join(certificate.in_use_by)}", "ResourceInUseException"
            )
        super().delete_certificate(arn)


def install(pace: float) -> None:
    """Have moto use it from now on; certificates are issued `pace` times faster."""
    acm_backends.backend = Acm
    shared: Any = settings
    shared.ACM_VALIDATION_WAIT = _VALIDATION / pace
