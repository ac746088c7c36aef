"""EKS as Terraform and controllers meet it; nothing of it is moto's. What is asked for is done at once.

A cluster has its security group and network interfaces in EC2, a node group its instances. The Kubernetes API that
DescribeCluster tells is whoever was offered (`Eks.offer`). `clusters`, `nodegroups`, `addons`, `access` and `updates`
hold the operations, `responses.OPERATIONS` their list.
"""

from __future__ import annotations

from typing import Any

from gatewright.local.aws import startup  # noqa: F401 - imports moto quickly

# isort: split

from moto.core.base_backend import BackendDict

from gatewright.local.aws.eks.backend import Eks

__all__ = ["Eks", "eks_backends"]

eks_backends: Any = BackendDict(Eks, "eks")
"""As moto keeps its services' backends: by account and region."""
