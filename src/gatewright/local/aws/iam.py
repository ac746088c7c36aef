"""IAM with the policies that AWS manages: moto's, which reads them when somebody first asks for one."""

from __future__ import annotations

from typing import Any

from gatewright.local.aws import startup  # noqa: F401 - imports moto quickly

# isort: split

import msgspec
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend, iam_backends


class Iam(IAMBackend):
    """moto's IAM. There are 1,600 policies of AWS's own, and most users never name one."""

    def _know_policies(self) -> None:
        if not self.aws_managed_policies:
            documents: dict[str, Any] = msgspec.json.decode(aws_managed_policies_data)
            make: Any = AWSManagedPolicy.from_data
            known = [make(name, self.account_id, self.region_name, each) for name, each in documents.items()]
            self.aws_managed_policies = known
            self.managed_policies = {**{policy.arn: policy for policy in known}, **self.managed_policies}

    def attach_role_policy(self, *args: Any, **kwargs: Any) -> None:
        """As moto's."""
        self._know_policies()
        super().attach_role_policy(*args, **kwargs)

    def attach_group_policy(self, *args: Any, **kwargs: Any) -> None:
        """As moto's."""
        self._know_policies()
        super().attach_group_policy(*args, **kwargs)

    def attach_user_policy(self, *args: Any, **kwargs: Any) -> None:
        """As moto's."""
        self._know_policies()
        super().attach_user_policy(*args, **kwargs)

    def get_policy(self, *args: Any, **kwargs: Any) -> Any:
        """As moto's."""
        self._know_policies()
        return super().get_policy(*args, **kwargs)

    def get_policy_version(self, *args: Any, **kwargs: Any) -> Any:
        """As moto's."""
        self._know_policies()
        return super().get_policy_version(*args, **kwargs)

    def list_policies(self, *args: Any, **kwargs: Any) -> Any:
        """As moto's."""
        self._know_policies()
        return super().list_policies(*args, **kwargs)


def install() -> None:
    """Have moto use it from now on; what was made before is forgotten."""
    backends: Any = iam_backends
    backends.clear()
    backends.backend = Iam
