"""The wire layer: each operation of the API is a function of a request's parameters on the backend."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, cast

from botocore.model import OperationNotFoundError
from moto.core.exceptions import ServiceException
from moto.core.model import ServiceModel
from moto.core.request import Request
from moto.core.responses import ActionResult
from moto.core.utils import get_service_model
from moto.elbv2.models import elbv2_backends
from moto.elbv2.responses import ELBV2Response

from gatewright.local.aws.backends import LOCK
from gatewright.local.aws.elbv2 import (
    capacity,
    constraints,
    listeners,
    load_balancers,
    paging,
    policies,
    quotas,
    rules,
    tags,
    target_groups,
    targets,
    trust_stores,
    wire,
)
from gatewright.local.aws.elbv2.backend import Backend
from gatewright.local.aws.elbv2.errors import Refusal
from gatewright.local.aws.elbv2.models import Document

Operation = Callable[[Backend, Document], Document]


def describe_account_limits(elb: Backend, request: Document) -> Document:
    """DescribeAccountLimits."""
    names = list(quotas.LIMITS)
    return paging.page(
        names, request, "Limits", lambda name: {"Name": name, "Max": str(quotas.LIMITS[name])}, lambda name: name
    )


def describe_ssl_policies(elb: Backend, request: Document) -> Document:
    """DescribeSSLPolicies."""
    names = request.get("Names") or list(policies.POLICIES)
    for name in names:
        policies.check(name)
    if request.get("LoadBalancerType") == "gateway":
        names = []
    return paging.page(list(dict.fromkeys(names)), request, "SslPolicies", policies.document, lambda name: name)


def _missing(name: str) -> Operation:
    def refuse(elb: Backend, request: Document) -> Document:
        raise Refusal("OperationNotPermitted", f"{name} is not emulated")

    return refuse


OPERATIONS: dict[str, Operation] = {
    "AddListenerCertificates": listeners.add_listener_certificates,
    "AddTags": tags.add_tags,
    "CreateListener": listeners.create_listener,
    "CreateLoadBalancer": load_balancers.create_load_balancer,
    "CreateRule": rules.create_rule,
    "CreateTargetGroup": target_groups.create_target_group,
    "CreateTrustStore": trust_stores.create_trust_store,
    "DeleteListener": listeners.delete_listener,
    "DeleteLoadBalancer": load_balancers.delete_load_balancer,
    "DeleteRule": rules.delete_rule,
    "DeleteTargetGroup": target_groups.delete_target_group,
    "DeleteTrustStore": trust_stores.delete_trust_store,
    "DeregisterTargets": targets.deregister_targets,
    "DescribeAccountLimits": describe_account_limits,
    "DescribeCapacityReservation": capacity.describe_capacity_reservation,
    "DescribeListenerAttributes": listeners.describe_listener_attributes,
    "DescribeListenerCertificates": listeners.describe_listener_certificates,
    "DescribeListeners": listeners.describe_listeners,
    "DescribeLoadBalancerAttributes": load_balancers.describe_load_balancer_attributes,
    "DescribeLoadBalancers": load_balancers.describe_load_balancers,
    "DescribeRules": rules.describe_rules,
    "DescribeSSLPolicies": describe_ssl_policies,
    "DescribeTags": tags.describe_tags,
    "DescribeTargetGroupAttributes": target_groups.describe_target_group_attributes,
    "DescribeTargetGroups": target_groups.describe_target_groups,
    "DescribeTargetHealth": targets.describe_target_health,
    "DescribeTrustStoreAssociations": trust_stores.describe_trust_store_associations,
    "DescribeTrustStores": trust_stores.describe_trust_stores,
    "ModifyCapacityReservation": capacity.modify_capacity_reservation,
    "ModifyListener": listeners.modify_listener,
    "ModifyListenerAttributes": listeners.modify_listener_attributes,
    "ModifyLoadBalancerAttributes": load_balancers.modify_load_balancer_attributes,
    "ModifyRule": rules.modify_rule,
    "ModifyTargetGroup": target_groups.modify_target_group,
    "ModifyTargetGroupAttributes": target_groups.modify_target_group_attributes,
    "ModifyTrustStore": trust_stores.modify_trust_store,
    "RegisterTargets": targets.register_targets,
    "RemoveListenerCertificates": listeners.remove_listener_certificates,
    "RemoveTags": tags.remove_tags,
    "SetIpAddressType": load_balancers.set_ip_address_type,
    "SetRulePriorities": rules.set_rule_priorities,
    "SetSecurityGroups": load_balancers.set_security_groups,
    "SetSubnets": load_balancers.set_subnets,
}


class Responses(ELBV2Response):
    """moto's dispatcher, with our operations. One that isn't emulated is refused as `OperationNotPermitted`."""

    RESPONSE_KEY_PATH_TO_TRANSFORMER = {}  # noqa: RUF012 - as moto has it

    @property
    def elbv2_backend(self) -> Backend:
        """The backend of the request's account and region."""
        return cast("Backend", elbv2_backends[self.current_account][self.region])

    def parse_parameters(self, request: Request) -> None:
        """What the request's form says; None if it is malformed, which is found out later."""
        self.params: Any = None
        with contextlib.suppress(AttributeError, KeyError, TypeError, ValueError, OperationNotFoundError):
            self.params = wire.request(self._model().operation_model(self._get_action()), request.values.items())

    def call_action(self) -> Any:
        """Do what the request says."""
        try:
            with LOCK:
                body: Any = self._answer()
        except ServiceException as refusal:
            status, headers, body = self.serialized(ActionResult(refusal))
            return status, {**self.response_headers, **headers}, body
        return 200, {**self.response_headers, "Content-Type": "text/xml"}, body

    @staticmethod
    def _model() -> ServiceModel:
        return get_service_model("elbv2")

    def _answer(self) -> str:
        name = self._get_action()
        model = self._model()
        if name not in model.operation_names:
            raise Refusal("InvalidAction", f"Could not find operation {name} for version {model.api_version}")
        if self.params is None:
            raise Refusal("MalformedInput", "A parameter is not of the type that it must be")
        request: Document = self.params
        operation = model.operation_model(name)
        constraints.check(operation, request)
        return wire.answer(operation, OPERATIONS.get(name, _missing(name))(self.elbv2_backend, request))
