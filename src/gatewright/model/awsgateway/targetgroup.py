"""TargetGroupConfiguration: what the target groups of a Service, or of all Services of a Gateway, are to be like."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from gatewright.model.awsgateway.shared import API_VERSION, Attribute, ConfigurationStatus, Tags
from gatewright.model.constraints import NO_DEFAULT, integer
from gatewright.model.gateway.listeners import Selector
from gatewright.model.meta import Model, Object, always

Int32 = Annotated[int, integer()]


class Reference(Model):
    """Names the object of the same namespace that a configuration is for."""

    name: str
    group: str = ""
    kind: str = "Service"


class HealthCheckMatcher(Model):
    """The codes of a healthy answer, such as `200-299,404`: HTTP's, or gRPC's."""

    http_code: str | None = None
    grpc_code: str | None = None


class HealthCheckConfiguration(Model):
    """How targets are checked; times in seconds. `health_check_port` is a number or `traffic-port`."""

    health_check_protocol: Literal["HTTP", "HTTPS", "TCP"] | None = None
    health_check_port: str | None = None
    health_check_path: str | None = None
    health_check_interval: Int32 | None = None
    health_check_timeout: Int32 | None = None
    healthy_threshold_count: Int32 | None = None
    unhealthy_threshold_count: Int32 | None = None
    matcher: HealthCheckMatcher | None = None


class TargetGroupProps(Model):
    """What a target group is to be like; what isn't named is left to the controller."""

    target_group_name: str | None = None
    target_type: Literal["instance", "ip"] | None = None
    protocol: Literal["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP"] | None = None
    protocol_version: Literal["HTTP1", "HTTP2", "GRPC"] | None = None
    ip_address_type: Literal["ipv4", "ipv6"] | None = None
    health_check_config: HealthCheckConfiguration | None = None
    node_selector: Selector | None = None
    target_group_attributes: tuple[Attribute, ...] = ()
    tags: Tags = msgspec.field(default_factory=dict)
    enable_multi_cluster: bool | None = None
    target_control_port: Int32 | None = None


class RouteIdentifier(Model):
    """Tells routes by kind, namespace and name; what isn't named may be any."""

    kind: str | None = None
    namespace: str | None = None
    name: str | None = None


class RouteConfiguration(Model):
    """What is different for some routes."""

    route_identifier: RouteIdentifier
    target_group_props: TargetGroupProps


class TargetGroupConfigurationSpec(Model):
    """`default_configuration` is for all routes; of `route_configurations` the most specific one goes over it.

    Without a `target_reference` it is there to be named by LoadBalancerConfigurations as their default.
    """

    target_reference: Reference | None = None
    default_configuration: TargetGroupProps | None = None
    route_configurations: tuple[RouteConfiguration, ...] = ()


class TargetGroupConfiguration(Object):
    """What target groups are to be like: those of the object that it refers to, or of a Gateway whose
    LoadBalancerConfiguration names it as the default.
    """

    api_version: str = always(API_VERSION)
    kind: str = always("TargetGroupConfiguration")
    spec: Annotated[TargetGroupConfigurationSpec, NO_DEFAULT] = TargetGroupConfigurationSpec()
    status: Annotated[ConfigurationStatus, NO_DEFAULT] = ConfigurationStatus()
