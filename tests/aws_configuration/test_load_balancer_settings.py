"""LoadBalancerConfigurations: merged as documented, honoured or refused by name."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.aws_configuration.configured_world import MAIL, WEB, World, of_class, of_gateway

from gatewright.aws.configuration.settings import LoadBalancerSettings, MutualAuthentication, SubnetChoice
from gatewright.model.awsgateway import ListenerConfiguration, LoadBalancerConfigurationSpec
from gatewright.model.meta import Key

ACM = "arn:aws:acm:eu-west-1:123456789012:certificate/"
ACL = "arn:aws:wafv2:eu-west-1:123456789012:regional/webacl/shop/0a1b"


def test_without_a_configuration_it_is_internal_and_everything_is_discovered() -> None:
    world = World()
    world.inputs.gateway_classes.delete(next(key for key in world.inputs.gateway_classes if key.name == "alb"))
    world.apply(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: alb}\n"
        "spec: {controllerName: gateway.k8s.aws/alb}\n---\n"
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: web, namespace: shop}\n"
        "spec: {gatewayClassName: alb, listeners: [{name: http, port: 80, protocol: HTTP}]}\n"
    )
    assert world.of(WEB) == LoadBalancerSettings()


def test_every_field_comes_through() -> None:
    world = World(
        of_class(),
        of_gateway(
            loadBalancerName="shop-web",
            scheme="internet-facing",
            ipAddressType="dualstack",
            customerOwnedIpv4Pool="ipv4pool-coip-1",
            ipv4IPAMPoolId="ipam-pool-1",
            loadBalancerSubnets=[{"identifier": "subnet-a"}, {"identifier": "subnet-b"}],
            listenerConfigurations=[
                {
                    "protocolPort": "HTTPS:443",
                    "defaultCertificate": ACM + "1",
                    "certificates": [ACM + "2", ACM + "1"],
                    "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
                    "mutualAuthentication": {
                        "mode": "verify",
                        "trustStore": "clients",
                        "ignoreClientCertificateExpiry": True,
                        "advertiseTrustStoreCaNames": "on",
                    },
                    "listenerAttributes": [{"key": "routing.http.response.server.enabled", "value": "false"}],
                }
            ],
            securityGroups=["sg-1", "web"],
            manageBackendSecurityGroupRules=True,
            loadBalancerAttributes=[{"key": "idle_timeout.timeout_seconds", "value": "120"}],
            tags={"cost": "12"},
            minimumLoadBalancerCapacity={"capacityUnits": 100},
            wafV2={"webACL": ACL},
            shieldConfiguration={"enabled": True},
        ),
    )
    settings = world.of(WEB)
    listener = settings.listeners.pop(("HTTPS", 443))
    assert settings == LoadBalancerSettings(
        scheme="internet-facing",
        ip_address_type="dualstack",
        name="shop-web",
        subnets=(SubnetChoice("subnet-a"), SubnetChoice("subnet-b")),
        security_groups=("sg-1", "web"),
        manage_backend_rules=True,
        attributes={"idle_timeout.timeout_seconds": "120"},
        tags={"cost": "12", "team": "shop"},
        web_acl=ACL,
        shield=True,
        capacity_units=100,
        customer_owned_pool="ipv4pool-coip-1",
        ipam_pool="ipam-pool-1",
    )
    assert (listener.default_certificate, listener.certificates) == (ACM + "1", (ACM + "1", ACM + "2"))
    assert listener.ssl_policy == "ELBSecurityPolicy-TLS13-1-2-2021-06"
    assert listener.mutual_authentication == MutualAuthentication("verify", "clients", True, True)
    assert listener.attributes == {"routing.http.response.server.enabled": "false"}
    assert (listener.alpn_policy, listener.problem) == ("", "")


def test_what_is_an_nlbs_comes_through_on_an_nlb() -> None:
    world = World(
        of_gateway(
            enableICMP=True,
            sourceRanges=["192.0.2.0/24", "2001:db8::/32"],
            securityGroupPrefixes=["pl-0123abcd"],
            enforceSecurityGroupInboundRulesOnPrivateLinkTraffic="off",
            loadBalancerSubnetsSelector={"tier": ["edge", "public"]},
            listenerConfigurations=[
                {
                    "protocolPort": "TLS:993",
                    "alpnPolicy": "HTTP2Preferred",
                    "targetGroupStickiness": True,
                    "defaultCertificate": ACM + "1",
                },
                {"protocolPort": "TCP:25", "listenerAttributes": [{"key": "tcp.idle_timeout.seconds", "value": "60"}]},
            ],
            loadBalancerAttributes=[{"key": "dns_record.client_routing_policy", "value": "availability_zone_affinity"}],
        )
    )
    settings = world.of(MAIL)
    assert settings.remarks == settings.problems == ()
    assert settings.icmp
    assert settings.source_ranges == ("192.0.2.0/24", "2001:db8::/32")
    assert settings.prefix_lists == ("pl-0123abcd",)
    assert settings.private_link_inbound_rules == "off"
    assert settings.subnet_tags == {"tier": ("edge", "public")}
    tls = settings.listeners["TLS", 993]
    assert (tls.alpn_policy, tls.stickiness, tls.certificates) == ("HTTP2Preferred", True, (ACM + "1",))
    assert settings.listeners["TCP", 25].attributes == {"tcp.idle_timeout.seconds": "60"}
    assert World(of_gateway(disableSecurityGroup=True)).of(MAIL).no_security_group


def test_the_class_goes_first_unless_it_says_otherwise() -> None:
    own = of_gateway(
        scheme="internet-facing",
        tags={"a": "gateway", "b": "gateway"},
        loadBalancerAttributes=[{"key": "idle_timeout.timeout_seconds", "value": "1"}],
        listenerConfigurations=[
            {"protocolPort": "HTTPS:443", "sslPolicy": "gateway"},
            {"protocolPort": "HTTPS:8443", "sslPolicy": "gateway"},
        ],
        minimumLoadBalancerCapacity={"capacityUnits": 5},
    )
    general: dict[str, Any] = {
        "scheme": "internal",
        "ipAddressType": "dualstack",
        "tags": {"a": "class", "c": "class"},
        "loadBalancerAttributes": [
            {"key": "idle_timeout.timeout_seconds", "value": "2"},
            {"key": "routing.http2.enabled", "value": "false"},
        ],
        "listenerConfigurations": [
            {"protocolPort": "HTTPS:443", "defaultCertificate": ACM + "1"},
        ],
    }
    settings = World(of_class(**general), own).of(WEB)
    assert (settings.scheme, settings.ip_address_type, settings.capacity_units) == ("internal", "dualstack", 5)
    assert settings.tags == {"a": "class", "b": "gateway", "c": "class", "team": "shop"}
    assert settings.attributes == {"idle_timeout.timeout_seconds": "2", "routing.http2.enabled": "false"}
    assert settings.listeners["HTTPS", 443].ssl_policy == ""
    assert settings.listeners["HTTPS", 8443].ssl_policy == "gateway"

    settings = World(of_class(mergingMode="prefer-gateway", **general), own).of(WEB)
    assert (settings.scheme, settings.ip_address_type) == ("internet-facing", "dualstack")
    assert settings.tags == {"a": "gateway", "b": "gateway", "c": "class", "team": "shop"}
    assert settings.attributes == {"idle_timeout.timeout_seconds": "1", "routing.http2.enabled": "false"}
    listener = settings.listeners["HTTPS", 443]
    assert (listener.ssl_policy, listener.certificates) == ("gateway", ()), "a listener is taken as a whole"


def test_a_gateways_own_merging_mode_does_not_count() -> None:
    world = World(of_class(scheme="internal"), of_gateway(scheme="internet-facing", mergingMode="prefer-gateway"))
    assert world.of(WEB).scheme == "internal"
    assert world.of(WEB).remarks == (
        "spec.mergingMode of LoadBalancerConfiguration shop/web: found prefer-gateway; only that of a GatewayClass's "
        "configuration counts; leave it out here",
    )


def test_a_configuration_that_is_not_there_is_a_problem() -> None:
    assert World().of(WEB).problems == (
        "LoadBalancerConfiguration infra/all does not exist; make it, or leave the reference out",
        "LoadBalancerConfiguration shop/web does not exist; make it, or leave the reference out",
    )
    world = World(of_class())
    assert len(world.of(WEB).problems) == 1
    world.apply(of_gateway())
    assert world.of(WEB).problems == ()


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"loadBalancerName": "-a"}, "spec.loadBalancerName: found -a"),
        ({"loadBalancerName": "internal-a"}, "spec.loadBalancerName: found internal-a"),
        ({"sourceRanges": ["10.0.0.0/8", "10.0.0.1"]}, "spec.sourceRanges[1]: found 10.0.0.1; expected a CIDR"),
        ({"securityGroupPrefixes": ["pl 1"]}, "spec.securityGroupPrefixes[0]: found pl 1"),
        ({"securityGroups": [" "]}, "spec.securityGroups[0]: found ' '"),
        ({"wafV2": {"webACL": "shop"}}, "spec.wafV2.webACL: found shop; expected the ARN of a regional web ACL"),
        ({"wafV2": {"webACL": ACL.replace("regional", "global")}}, "spec.wafV2.webACL"),
        ({"enforceSecurityGroupInboundRulesOnPrivateLinkTraffic": "yes"}, "found yes; expected on or off"),
        ({"minimumLoadBalancerCapacity": {"capacityUnits": -1}}, "capacityUnits: found -1"),
        ({"loadBalancerSubnets": [{"identifier": "a"}, {}]}, "identifier: found 1 of 2; name every subnet, or none"),
        ({"loadBalancerSubnets": [{"identifier": "a"}] * 2}, "found a 2 times; name each subnet once"),
        ({"loadBalancerSubnets": [{"privateIPv4Allocation": "10.0.0"}]}, "found 10.0.0; expected an IPv4 address"),
        ({"loadBalancerSubnets": [{"ipv6Allocation": "10.0.0.1"}]}, "expected an IPv6 address"),
        ({"loadBalancerSubnets": [{"sourceNatIPv6Prefix": "2001:db8::/64"}]}, "expected auto_assigned or"),
        ({"loadBalancerSubnetsSelector": {"tier": []}}, "spec.loadBalancerSubnetsSelector[tier]"),
        ({"defaultTargetGroupConfiguration": {"name": "x"}}, "TargetGroupConfiguration shop/x does not exist"),
    ],
)
def test_what_can_not_be_used_at_all(spec: dict[str, Any], problem: str) -> None:
    world = World(of_class(), of_gateway(**spec))
    assert problem in world.problem("LoadBalancerConfiguration", "web")
    told = problem.replace(": found", " of LoadBalancerConfiguration shop/web: found")
    assert any(told in text or problem in text for text in world.of(WEB).problems)


@pytest.mark.parametrize(
    ("spec", "remark"),
    [
        (
            {"disableSecurityGroup": True},
            "disableSecurityGroup of LoadBalancerConfiguration shop/web: found true; an ALB",
        ),
        ({"enableICMP": True}, "spec.enableICMP"),
        ({"enforceSecurityGroupInboundRulesOnPrivateLinkTraffic": "on"}, "AWS PrivateLink reaches NLBs only"),
        ({"listenerConfigurations": [{"protocolPort": "TLS:443"}]}, "the listeners of an ALB are HTTP, HTTPS"),
        ({"listenerConfigurations": [{"protocolPort": ":443"}]}, "protocolPort of LoadBalancerConfiguration shop/web"),
        (
            {"listenerConfigurations": [{"protocolPort": "HTTP:80", "sslPolicy": "p"}]},
            "other protocols than HTTPS and TLS end no TLS",
        ),
        (
            {"listenerConfigurations": [{"protocolPort": "HTTP:80", "certificates": ["c"]}]},
            "other protocols than HTTPS and TLS end no TLS",
        ),
        ({"listenerConfigurations": [{"protocolPort": "HTTPS:443", "alpnPolicy": "HTTP2Only"}]}, "alpnPolicy"),
        ({"listenerConfigurations": [{"protocolPort": "HTTPS:443", "targetGroupStickiness": True}]}, "forwardConfig"),
        (
            {"listenerConfigurations": [{"protocolPort": "HTTPS:443", "quicEnabled": True}]},
            "QUIC listeners are not made",
        ),
        ({"listenerConfigurations": [{"protocolPort": "HTTP:80"}] * 2}, "the last one counts"),
        ({"tags": {"aws:x": "1"}}, "spec.tags[aws:x]"),
        ({"tags": {"elbv2.k8s.aws/cluster": "other"}}, "tags that begin so say whose a load balancer is"),
        ({"tags": {"a": "b" * 257}}, "a tag has 1 to 128 characters"),
        ({"loadBalancerAttributes": [{"key": "secondary_ips.auto_assigned.per_subnet", "value": "1"}]}, "is for NLB"),
        ({"loadBalancerAttributes": [{"key": "idle_timeout.timeout_seconds", "value": "0"}]}, "expected 1 to 4000"),
        ({"loadBalancerAttributes": [{"key": "access_logs.s3.enabled", "value": "true"}]}, "logs need a bucket"),
        (
            {"loadBalancerAttributes": [{"key": "load_balancing.cross_zone.enabled", "value": "false"}]},
            "always balances",
        ),
        ({"manageBackendSecurityGroupRules": False}, "spec.manageBackendSecurityGroupRules: found false"),
        ({"securityGroups": ["a"], "sourceRanges": ["10.0.0.0/8"]}, "security groups are named in securityGroups"),
        (
            {"loadBalancerSubnets": [{"identifier": "a"}], "loadBalancerSubnetsSelector": {"tier": ["edge"]}},
            "loadBalancerSubnets goes over it",
        ),
    ],
)
def test_what_an_alb_is_made_without(spec: dict[str, Any], remark: str) -> None:
    settings = World(of_class(), of_gateway(**spec)).of(WEB)
    assert settings.problems == ()
    assert len(settings.remarks) == 1
    assert remark in settings.remarks[0]
    assert "found" in settings.remarks[0]


@pytest.mark.parametrize(
    ("spec", "remark"),
    [
        ({"wafV2": {"webACL": ACL}}, "AWS WAF looks at requests"),
        ({"shieldConfiguration": {"enabled": True}}, "by its Elastic IPs"),
        ({"customerOwnedIpv4Pool": "p"}, "only ALBs take addresses of a customer-owned pool"),
        ({"ipv4IPAMPoolId": "p"}, "use eipAllocation"),
        (
            {"listenerConfigurations": [{"protocolPort": "HTTPS:443"}]},
            "the listeners of an NLB are TCP, UDP, TCP_UDP, TLS",
        ),
        ({"loadBalancerAttributes": [{"key": "waf.fail_open.enabled", "value": "true"}]}, "is for ALB"),
        ({"disableSecurityGroup": True, "sourceRanges": ["10.0.0.0/8"]}, "without a security group everybody may"),
        ({"disableSecurityGroup": True, "securityGroups": ["a"]}, "spec.disableSecurityGroup: found true"),
    ],
)
def test_what_an_nlb_is_made_without(spec: dict[str, Any], remark: str) -> None:
    settings = World(of_gateway(**spec)).of(MAIL)
    assert settings.problems == ()
    assert len(settings.remarks) == 1
    assert remark in settings.remarks[0]
    left = LoadBalancerSettings(remarks=settings.remarks, source_ranges=settings.source_ranges)
    if "disableSecurityGroup" not in spec:
        assert settings == left, "nothing of it is asked for"


def test_one_configuration_may_say_that_there_are_logs_and_the_other_where() -> None:
    of_logs = [{"key": "access_logs.s3.enabled", "value": "true"}]
    bucket = [{"key": "access_logs.s3.bucket", "value": "logs"}]
    settings = World(of_class(loadBalancerAttributes=of_logs), of_gateway(loadBalancerAttributes=bucket)).of(WEB)
    assert settings.attributes == {"access_logs.s3.enabled": "true", "access_logs.s3.bucket": "logs"}
    assert settings.remarks == ()


def test_unknown_attributes_are_for_aws_to_judge() -> None:
    pairs = [{"key": "made.tomorrow.enabled", "value": "maybe"}]
    settings = World(of_class(), of_gateway(loadBalancerAttributes=pairs)).of(WEB)
    assert settings.attributes == {"made.tomorrow.enabled": "maybe"}
    assert settings.remarks == ()


def test_no_public_ipv4_is_an_internet_facing_albs() -> None:
    no_public = "dualstack-without-public-ipv4"
    assert World(of_class(), of_gateway(ipAddressType=no_public, scheme="internet-facing")).of(WEB).problems == ()
    assert "internal ALB" in World(of_class(), of_gateway(ipAddressType=no_public)).of(WEB).problems[0]
    assert (
        "an NLB has public" in World(of_gateway(ipAddressType=no_public, scheme="internet-facing")).of(MAIL).problems[0]
    )


@pytest.mark.parametrize(
    ("gateway", "listener", "problem"),
    [
        (WEB, {"protocolPort": "HTTPS:443", "certificates": ["cert"]}, "certificates: found cert; expected the ARN"),
        (
            WEB,
            {"protocolPort": "HTTPS:443", "defaultCertificate": ""},
            "defaultCertificate: found ''; expected the ARN",
        ),
        (
            MAIL,
            {"protocolPort": "TLS:993", "mutualAuthentication": {"mode": "verify", "trustStore": "clients"}},
            "only HTTPS listeners of an ALB ask for client certificates",
        ),
    ],
)
def test_a_listener_that_must_not_be_made_otherwise(gateway: Any, listener: dict[str, Any], problem: str) -> None:
    settings = World(of_class(), of_gateway(listenerConfigurations=[listener])).of(gateway)
    assert settings.problems == ()
    (found,) = settings.listeners.values()
    assert problem in found.problem


def test_a_capacity_of_zero_and_an_empty_web_acl_say_none() -> None:
    spec = {"minimumLoadBalancerCapacity": {"capacityUnits": 0}, "wafV2": {"webACL": ""}}
    settings = World(of_class(), of_gateway(**spec)).of(WEB)
    assert (settings.capacity_units, settings.web_acl) == (0, "")


SAMPLES: dict[str, Any] = {
    "mergingMode": "prefer-gateway",
    "loadBalancerName": "web",
    "scheme": "internet-facing",
    "ipAddressType": "dualstack",
    "enforceSecurityGroupInboundRulesOnPrivateLinkTraffic": "on",
    "customerOwnedIpv4Pool": "pool",
    "ipv4IPAMPoolId": "pool",
    "loadBalancerSubnets": [{"identifier": "subnet-a"}],
    "loadBalancerSubnetsSelector": {"tier": ["edge"]},
    "listenerConfigurations": [{"protocolPort": "HTTPS:443"}],
    "securityGroups": ["sg-1"],
    "securityGroupPrefixes": ["pl-1"],
    "sourceRanges": ["10.0.0.0/8"],
    "loadBalancerAttributes": [{"key": "deletion_protection.enabled", "value": "true"}],
    "tags": {"a": "b"},
    "enableICMP": True,
    "manageBackendSecurityGroupRules": True,
    "disableSecurityGroup": True,
    "minimumLoadBalancerCapacity": {"capacityUnits": 1},
    "wafV2": {"webACL": ACL},
    "shieldConfiguration": {"enabled": True},
    "defaultTargetGroupConfiguration": {"name": "defaults"},
}
LISTENER_SAMPLES: dict[str, Any] = {
    "protocolPort": "HTTPS:8443",
    "defaultCertificate": ACM + "1",
    "certificates": [ACM + "1"],
    "sslPolicy": "policy",
    "alpnPolicy": "HTTP2Only",
    "mutualAuthentication": {"mode": "passthrough"},
    "listenerAttributes": [{"key": "routing.http.response.server.enabled", "value": "false"}],
    "targetGroupStickiness": True,
    "quicEnabled": True,
}


def test_there_is_a_sample_of_every_field() -> None:
    assert {field.encode_name for field in msgspec.structs.fields(LoadBalancerConfigurationSpec)} == set(SAMPLES)
    assert {field.encode_name for field in msgspec.structs.fields(ListenerConfiguration)} == set(LISTENER_SAMPLES)


@pytest.mark.parametrize("field", SAMPLES)
@pytest.mark.parametrize("gateway", [WEB, MAIL], ids=str)
def test_every_field_is_honoured_or_refused_by_name(gateway: Key, field: str) -> None:
    settings = World(of_class(), of_gateway(**{field: SAMPLES[field]})).of(gateway)
    if gateway == MAIL and field == "mergingMode":
        return  # the only configuration is the Gateway's: there is nothing to merge
    assert settings != World(of_class(), of_gateway()).of(gateway)
    said = [*settings.remarks, *settings.problems]
    assert all(field in text for text in said)


@pytest.mark.parametrize("field", LISTENER_SAMPLES)
def test_every_field_of_a_listener_is_honoured_or_refused_by_name(field: str) -> None:
    listener = {"protocolPort": "HTTPS:443", field: LISTENER_SAMPLES[field]}
    settings = World(of_class(), of_gateway(listenerConfigurations=[listener])).of(WEB)
    plain = World(of_class(), of_gateway(listenerConfigurations=[{"protocolPort": "HTTPS:443"}])).of(WEB)
    assert settings != plain
    assert all(field in text for text in settings.remarks)
