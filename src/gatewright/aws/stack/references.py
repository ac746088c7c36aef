"""What the references in operations stand for: things that were made a moment ago, by their resource IDs."""

from __future__ import annotations

from msgspec import structs

from gatewright.aws.stack import operations as op
from gatewright.aws.stack.desired import SecurityRule
from gatewright.aws.stack.operations import LOAD_BALANCER, ImportCertificate, Operation


class References:
    """ARNs and IDs by resource ID, kind by kind. What isn't known stands for itself."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], str] = {}

    def learn(self, operation: Operation, identity: str) -> None:
        """An operation has made the thing with this ARN or ID."""
        match operation:
            case ImportCertificate(certificate):
                self._made["certificate", certificate.resource] = identity
            case op.CreateTrustStore(store):
                self._made["trust store", store.resource] = identity
            case op.CreateSecurityGroup(resource):
                self._made["security group", resource] = identity
            case op.CreateLoadBalancer():
                self._made["load balancer", LOAD_BALANCER] = identity
            case op.CreateTargetGroup(_, group):
                self._made["target group", group.resource] = identity
            case op.CreateListener(_, listener):
                self._made["listener", op.listener_reference(listener.port)] = identity

    def in_use_by(self, parameters: object) -> bool:
        """Whether parameters of a call name something that was made: AWS may not know of it everywhere yet."""
        match parameters:
            case str():
                return parameters in self._made.values()
            case dict():
                return any(map(self.in_use_by, parameters.values()))
            case list():
                return any(map(self.in_use_by, parameters))
        return False

    def certificate(self, reference: str) -> str:
        """The ARN of a certificate."""
        return self._made.get(("certificate", reference), reference)

    def trust_store(self, reference: str) -> str:
        """The ARN of a trust store."""
        return self._made.get(("trust store", reference), reference)

    def security_group(self, reference: str) -> str:
        """The ID of a security group."""
        return self._made.get(("security group", reference), reference)

    def security_rule(self, rule: SecurityRule) -> SecurityRule:
        """A permission whose source group is an ID."""
        return structs.replace(rule, security_group=self.security_group(rule.security_group))

    def load_balancer(self, reference: str) -> str:
        """The ARN of a load balancer."""
        return self._made.get(("load balancer", reference), reference)

    def target_group(self, reference: str) -> str:
        """The ARN of a target group."""
        return self._made.get(("target group", reference), reference)

    def listener(self, reference: str) -> str:
        """The ARN of a listener."""
        return self._made.get(("listener", reference), reference)
