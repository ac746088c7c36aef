from __future__ import annotations

from typing import Any

import pytest
from tests.aws.elbv2_world import World, api, fixed_response, forward, redirect, refusal, world

from gatewright.local.certificates import Authority

__all__ = ["api", "world"]


def _described(world: World, arn: str) -> dict[str, Any]:
    return dict(world.elb.describe_listeners(ListenerArns=[arn])["Listeners"][0])


def _certificates(world: World, arn: str) -> list[tuple[str, bool]]:
    answer = world.elb.describe_listener_certificates(ListenerArn=arn)["Certificates"]
    return [(one["CertificateArn"], one["IsDefault"]) for one in answer]


def test_a_listener_is_described_as_aws_does(world: World) -> None:
    load_balancer, group = world.load_balancer(), world.group()
    arn = world.listener(load_balancer, group)
    assert arn.startswith(load_balancer.replace(":loadbalancer/", ":listener/"))
    assert _described(world, arn) == {
        "ListenerArn": arn,
        "LoadBalancerArn": load_balancer,
        "Port": 80,
        "Protocol": "HTTP",
        "DefaultActions": [
            {
                "Type": "forward",
                "Order": 1,
                "TargetGroupArn": group,
                "ForwardConfig": {
                    "TargetGroups": [{"TargetGroupArn": group, "Weight": 1}],
                    "TargetGroupStickinessConfig": {"Enabled": False},
                },
            }
        ],
    }


def test_an_https_listener(world: World) -> None:
    certificate = world.certificate()
    arn = world.listener(
        world.load_balancer(), port=443, protocol="HTTPS", Certificates=[{"CertificateArn": certificate}]
    )
    found = _described(world, arn)
    assert found["Certificates"] == [{"CertificateArn": certificate}]
    assert found["SslPolicy"] == "ELBSecurityPolicy-2016-08"
    assert found["MutualAuthentication"] == {"Mode": "off"}
    in_use = world.client("acm").describe_certificate(CertificateArn=certificate)["Certificate"]["InUseBy"]
    assert in_use == [found["LoadBalancerArn"]]
    world.elb.delete_listener(ListenerArn=arn)
    assert world.client("acm").describe_certificate(CertificateArn=certificate)["Certificate"]["InUseBy"] == []


def test_certificates_are_required_or_forbidden(world: World) -> None:
    load_balancer, certificate = world.load_balancer(), {"CertificateArn": world.certificate()}
    create = world.elb.create_listener
    settings: dict[str, Any] = {"LoadBalancerArn": load_balancer, "DefaultActions": [fixed_response(404)]}
    https = {**settings, "Port": 443, "Protocol": "HTTPS"}
    assert refusal(create, **https) == ("ValidationError", "A certificate must be specified for HTTPS listeners")
    assert refusal(create, **settings, Port=80, Protocol="HTTP", Certificates=[certificate]) == (
        "ValidationError",
        "A certificate cannot be specified for HTTP listeners",
    )
    unknown = "arn:aws:acm:us-east-1:123456789012:certificate/00000000-0000-0000-0000-000000000000"
    assert refusal(create, **https, Certificates=[{"CertificateArn": unknown}]) == (
        "CertificateNotFound",
        f"Certificate '{unknown}' not found",
    )
    assert refusal(create, **https, Certificates=[certificate, certificate])[0] == "ValidationError"
    assert refusal(create, **https, Certificates=[certificate], SslPolicy="Old") == (
        "SSLPolicyNotFound",
        "SSL policy 'Old' not found",
    )
    assert refusal(create, **settings, Port=80, Protocol="HTTP", SslPolicy="ELBSecurityPolicy-2016-08") == (
        "ValidationError",
        "An SSL policy cannot be specified for HTTP listeners",
    )
    tls = world.load_balancer("nlb", "network")
    tcp = {"LoadBalancerArn": tls, "DefaultActions": [forward(world.group(protocol="TCP"))], "Port": 443}
    assert refusal(create, **tcp, Protocol="TLS")[1] == "A certificate must be specified for TLS listeners"


def test_certificates_that_can_not_be_used(world: World) -> None:
    pending = world.client("acm").request_certificate(DomainName="app.example.com", ValidationMethod="DNS")
    code, message = refusal(
        world.elb.create_listener,
        LoadBalancerArn=world.load_balancer(),
        Port=443,
        Protocol="HTTPS",
        Certificates=[{"CertificateArn": pending["CertificateArn"]}],
        DefaultActions=[fixed_response(404)],
    )
    assert code == "UnsupportedCertificate"
    assert message.startswith(f"The certificate '{pending['CertificateArn']}' must have a fully-qualified domain name")


@pytest.mark.parametrize(
    ("kind", "protocol", "message"),
    [
        ("application", "TCP", "Listener protocol 'TCP' must be one of 'HTTPS, HTTP'"),
        ("network", "HTTP", "Listener protocol 'HTTP' must be one of 'UDP, TCP, TLS, TCP_UDP'"),
    ],
)
def test_protocols_by_type(world: World, kind: str, protocol: str, message: str) -> None:
    found = refusal(
        world.elb.create_listener,
        LoadBalancerArn=world.load_balancer("edge", kind),
        Port=80,
        Protocol=protocol,
        DefaultActions=[forward(world.group())],
    )
    assert found == ("ValidationError", message)


def test_port_and_protocol_are_required(world: World) -> None:
    settings = {"LoadBalancerArn": world.load_balancer(), "DefaultActions": [fixed_response(404)]}
    create = world.elb.create_listener
    assert refusal(create, **settings, Protocol="HTTP") == ("ValidationError", "A listener port must be specified")
    assert refusal(create, **settings, Port=80) == ("ValidationError", "A listener protocol must be specified")


def test_a_port_is_taken_once(world: World) -> None:
    load_balancer = world.load_balancer()
    first = world.listener(load_balancer)
    assert world.listener(load_balancer) == first, "the same settings: idempotent"
    found = refusal(
        world.elb.create_listener,
        LoadBalancerArn=load_balancer,
        Port=80,
        Protocol="HTTP",
        DefaultActions=[fixed_response(503)],
    )
    message = f"A listener already exists on this port for this load balancer '{load_balancer}'"
    assert found == ("DuplicateListener", message)
    second = world.listener(load_balancer, port=81)
    assert refusal(world.elb.modify_listener, ListenerArn=second, Port=80) == ("DuplicateListener", message)
    world.elb.modify_listener(ListenerArn=second, Port=82)
    assert _described(world, second)["Port"] == 82


COMPATIBLE = {
    "TCP": {"TCP", "TCP_UDP"},
    "UDP": {"UDP", "TCP_UDP"},
    "TCP_UDP": {"TCP_UDP"},
    "TLS": {"TCP", "TLS"},
}


@pytest.mark.parametrize("protocol", list(COMPATIBLE))
def test_protocols_of_target_groups_of_an_nlb(world: World, protocol: str) -> None:
    load_balancer = world.load_balancer("nlb", "network")
    certificates = [{"CertificateArn": world.certificate()}] if protocol == "TLS" else []
    for port, of_group in enumerate(("TCP", "TLS", "UDP", "TCP_UDP", "HTTP"), 1000):
        settings: dict[str, Any] = {
            "LoadBalancerArn": load_balancer,
            "Port": port,
            "Protocol": protocol,
            "Certificates": certificates,
            "DefaultActions": [forward(world.group(f"group-{port}", of_group))],
        }
        if of_group in COMPATIBLE[protocol]:
            world.elb.create_listener(**settings)
        else:
            code, message = refusal(world.elb.create_listener, **settings)
            assert code == "IncompatibleProtocols"
            assert "incompatible protocols" in message


def test_an_alb_forwards_to_http_and_https_only(world: World) -> None:
    load_balancer = world.load_balancer()
    world.listener(load_balancer, world.group("https", "HTTPS"))
    found = refusal(
        world.elb.create_listener,
        LoadBalancerArn=load_balancer,
        Port=81,
        Protocol="HTTP",
        DefaultActions=[forward(world.group("tcp", "TCP"))],
    )
    assert found[0] == "IncompatibleProtocols"


@pytest.mark.parametrize("version", ["GRPC", "HTTP2"])
def test_http2_and_grpc_need_https(world: World, version: str) -> None:
    load_balancer, group = world.load_balancer(), world.group(ProtocolVersion=version)
    settings = {"LoadBalancerArn": load_balancer, "DefaultActions": [forward(group)]}
    assert refusal(world.elb.create_listener, **settings, Port=80, Protocol="HTTP") == (
        "InvalidConfigurationRequest",
        f"Listener protocol 'HTTP' is not supported with a target group with the protocol-version '{version}'",
    )
    certificates = [{"CertificateArn": world.certificate()}]
    world.elb.create_listener(**settings, Port=443, Protocol="HTTPS", Certificates=certificates)


def test_a_target_group_belongs_to_one_load_balancer(world: World) -> None:
    group = world.group()
    world.listener(world.load_balancer("one"), group)
    found = refusal(
        world.elb.create_listener,
        LoadBalancerArn=world.load_balancer("two"),
        Port=80,
        Protocol="HTTP",
        DefaultActions=[forward(group)],
    )
    assert found == (
        "TargetGroupAssociationLimit",
        f"The following target groups cannot be associated with more than one load balancer: {group}",
    )


def test_target_groups_of_elsewhere(world: World) -> None:
    load_balancer = world.load_balancer()
    vpc = world.client("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    settings = {"LoadBalancerArn": load_balancer, "Port": 80, "Protocol": "HTTP"}
    foreign = world.group(VpcId=vpc)
    assert refusal(world.elb.create_listener, **settings, DefaultActions=[forward(foreign)])[0] == (
        "InvalidConfigurationRequest"
    )
    unknown = f"{foreign[:-16]}0123456789abcdef"
    assert refusal(world.elb.create_listener, **settings, DefaultActions=[forward(unknown)]) == (
        "TargetGroupNotFound",
        "One or more target groups not found",
    )


def test_an_nlb_listener_only_forwards(world: World) -> None:
    load_balancer = world.load_balancer("nlb", "network")
    settings = {"LoadBalancerArn": load_balancer, "Port": 80, "Protocol": "TCP"}
    for action in (fixed_response(200), redirect(Port="443")):
        assert refusal(world.elb.create_listener, **settings, DefaultActions=[action])[0] == "InvalidLoadBalancerAction"
    groups = [world.group(name, "TCP") for name in ("blue", "green")]
    arn = world.listener(load_balancer, port=80, protocol="TCP", DefaultActions=[forward(*groups)])
    listed = _described(world, arn)["DefaultActions"][0]["ForwardConfig"]["TargetGroups"]
    assert [one["TargetGroupArn"] for one in listed] == groups


def test_alpn_policies(world: World) -> None:
    load_balancer, group = world.load_balancer("nlb", "network"), world.group(protocol="TCP")
    tls: dict[str, Any] = {"protocol": "TLS", "Certificates": [{"CertificateArn": world.certificate()}]}
    arn = world.listener(load_balancer, group, 443, **tls)
    assert _described(world, arn)["AlpnPolicy"] == ["None"]
    world.elb.modify_listener(ListenerArn=arn, AlpnPolicy=["HTTP2Preferred"])
    assert _described(world, arn)["AlpnPolicy"] == ["HTTP2Preferred"]
    assert refusal(world.elb.modify_listener, ListenerArn=arn, AlpnPolicy=["SPDY"]) == (
        "ALPNPolicyNotFound",
        "ALPN policy 'SPDY' not found",
    )
    plain = world.listener(load_balancer, group, 80, "TCP")
    assert refusal(world.elb.modify_listener, ListenerArn=plain, AlpnPolicy=["HTTP2Only"])[0] == "ValidationError"


def test_mutual_authentication(world: World) -> None:
    load_balancer = world.load_balancer()
    certificates = [{"CertificateArn": world.certificate()}]
    arn = world.listener(
        load_balancer,
        port=443,
        protocol="HTTPS",
        Certificates=certificates,
        MutualAuthentication={"Mode": "passthrough"},
    )
    assert _described(world, arn)["MutualAuthentication"] == {"Mode": "passthrough"}
    change = world.elb.modify_listener
    assert refusal(change, ListenerArn=arn, MutualAuthentication={"Mode": "always"})[0] == "ValidationError"
    verify = {"Mode": "verify"}
    assert refusal(change, ListenerArn=arn, MutualAuthentication=verify)[0] == "InvalidConfigurationRequest"
    store = "arn:aws:elasticloadbalancing:us-east-1:123456789012:truststore/ca/0123456789abcdef"
    assert refusal(change, ListenerArn=arn, MutualAuthentication={**verify, "TrustStoreArn": store}) == (
        "TrustStoreNotFound",
        f"Trust store '{store}' not found",
    )
    plain = world.listener(load_balancer)
    assert refusal(change, ListenerArn=plain, MutualAuthentication={"Mode": "off"})[0] == "ValidationError"


def test_a_trust_store_is_made_used_and_deleted(world: World) -> None:
    s3, elb = world.client("s3"), world.elb
    s3.create_bucket(Bucket="authorities")
    bundle = {"CaCertificatesBundleS3Bucket": "authorities", "CaCertificatesBundleS3Key": "ca.pem"}
    assert refusal(elb.create_trust_store, Name="ca", **bundle)[0] == "CaCertificatesBundleNotFound"
    s3.put_object(Bucket="authorities", Key="ca.pem", Body=b"nothing of the kind")
    assert refusal(elb.create_trust_store, Name="ca", **bundle)[0] == "InvalidCaCertificatesBundle"
    s3.put_object(Bucket="authorities", Key="ca.pem", Body=Authority.create().pem)
    (store,) = elb.create_trust_store(Name="ca", Tags=[{"Key": "of", "Value": "us"}], **bundle)["TrustStores"]
    assert (store["Status"], store["NumberOfCaCertificates"]) == ("ACTIVE", 1)
    assert refusal(elb.create_trust_store, Name="ca", **bundle)[0] == "DuplicateTrustStoreName"
    arn = store["TrustStoreArn"]
    assert elb.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"] == [{"Key": "of", "Value": "us"}]
    assert elb.describe_trust_stores(Names=["ca"])["TrustStores"] == [store]
    listener = world.listener(
        world.load_balancer(),
        port=443,
        protocol="HTTPS",
        Certificates=[{"CertificateArn": world.certificate()}],
        MutualAuthentication={"Mode": "verify", "TrustStoreArn": arn},
    )
    shown = _described(world, listener)["MutualAuthentication"]
    assert (shown["Mode"], shown["TrustStoreArn"], shown["IgnoreClientCertificateExpiry"]) == ("verify", arn, False)
    associations = elb.describe_trust_store_associations(TrustStoreArn=arn)["TrustStoreAssociations"]
    assert associations == [{"ResourceArn": listener}]
    assert refusal(elb.delete_trust_store, TrustStoreArn=arn)[0] == "TrustStoreInUse"
    s3.put_object(Bucket="authorities", Key="ca.pem", Body=Authority.create().pem + Authority.create().pem)
    (changed,) = elb.modify_trust_store(TrustStoreArn=arn, **bundle)["TrustStores"]
    assert changed["NumberOfCaCertificates"] == 2
    elb.delete_listener(ListenerArn=listener)
    elb.delete_trust_store(TrustStoreArn=arn)
    assert elb.describe_trust_stores()["TrustStores"] == []


def test_the_protocol_is_modified(world: World) -> None:
    certificate, other = world.certificate(), world.certificate("other.example.com")
    arn = world.listener(world.load_balancer())
    change = world.elb.modify_listener
    assert (
        refusal(change, ListenerArn=arn, Protocol="HTTPS")[1] == "A certificate must be specified for HTTPS listeners"
    )
    change(ListenerArn=arn, Protocol="HTTPS", Port=443, Certificates=[{"CertificateArn": certificate}])
    world.elb.add_listener_certificates(ListenerArn=arn, Certificates=[{"CertificateArn": other}])
    change(ListenerArn=arn, SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06")
    secure = _described(world, arn)
    assert (secure["Port"], secure["SslPolicy"]) == (443, "ELBSecurityPolicy-TLS13-1-2-2021-06")
    change(ListenerArn=arn, Protocol="HTTP", Port=80)
    plain = _described(world, arn)
    assert "Certificates" not in plain
    assert "SslPolicy" not in plain
    assert _certificates(world, arn) == []


def test_more_certificates(world: World) -> None:
    default, second, third = (world.certificate(f"{name}.example.com") for name in ("a", "b", "c"))
    arn = world.listener(world.load_balancer(), port=443, protocol="HTTPS", Certificates=[{"CertificateArn": default}])
    for _ in range(2):
        world.elb.add_listener_certificates(ListenerArn=arn, Certificates=[{"CertificateArn": second}])
    assert _certificates(world, arn) == [(default, True), (second, False)]
    world.elb.modify_listener(ListenerArn=arn, Certificates=[{"CertificateArn": third}])
    assert _certificates(world, arn) == [(third, True), (second, False)]
    assert refusal(
        world.elb.remove_listener_certificates, ListenerArn=arn, Certificates=[{"CertificateArn": third}]
    ) == ("OperationNotPermitted", f"Default certificate '{third}' cannot be removed")
    world.elb.remove_listener_certificates(ListenerArn=arn, Certificates=[{"CertificateArn": second}])
    assert _certificates(world, arn) == [(third, True)]
    plain = world.listener(world.load_balancer("plain"))
    assert refusal(
        world.elb.add_listener_certificates, ListenerArn=plain, Certificates=[{"CertificateArn": second}]
    ) == ("ValidationError", "A certificate cannot be specified for HTTP listeners")


def test_there_are_at_most_25_certificates_besides_the_default_one(world: World) -> None:
    arns = [world.certificate(f"n{number}.example.com") for number in range(27)]
    load_balancer = world.load_balancer()
    arn = world.listener(load_balancer, port=443, protocol="HTTPS", Certificates=[{"CertificateArn": arns[0]}])
    more = [{"CertificateArn": one} for one in arns[1:26]]
    world.elb.add_listener_certificates(ListenerArn=arn, Certificates=more)
    found = refusal(world.elb.add_listener_certificates, ListenerArn=arn, Certificates=[{"CertificateArn": arns[26]}])
    assert found[0] == "TooManyCertificates"
    pages = world.elb.get_paginator("describe_listener_certificates").paginate(
        ListenerArn=arn, PaginationConfig={"PageSize": 20}
    )
    assert [len(page["Certificates"]) for page in pages] == [20, 6]


def test_attributes(world: World) -> None:
    nlb = world.listener(world.load_balancer("nlb", "network"), world.group(protocol="TCP"), 80, "TCP")
    describe, change = world.elb.describe_listener_attributes, world.elb.modify_listener_attributes
    assert describe(ListenerArn=nlb)["Attributes"] == [{"Key": "tcp.idle_timeout.seconds", "Value": "350"}]
    change(ListenerArn=nlb, Attributes=[{"Key": "tcp.idle_timeout.seconds", "Value": "60"}])
    assert describe(ListenerArn=nlb)["Attributes"] == [{"Key": "tcp.idle_timeout.seconds", "Value": "60"}]
    assert refusal(change, ListenerArn=nlb, Attributes=[{"Key": "tcp.idle_timeout.seconds", "Value": "59"}]) == (
        "ValidationError",
        "'tcp.idle_timeout.seconds' value '59' must be between '60-6000' inclusive",
    )
    alb = world.load_balancer()
    plain = world.listener(alb)
    server = [{"Key": "routing.http.response.server.enabled", "Value": "false"}]
    after = {one["Key"]: one["Value"] for one in change(ListenerArn=plain, Attributes=server)["Attributes"]}
    assert after["routing.http.response.server.enabled"] == "false"
    assert after["routing.http.response.strict_transport_security.header_value"] == ""
    header = [{"Key": "routing.http.request.x_amzn_tls_version.header_name", "Value": "X-Tls"}]
    assert refusal(change, ListenerArn=plain, Attributes=header)[0] == "InvalidConfigurationRequest"
    secure = world.listener(alb, port=443, protocol="HTTPS", Certificates=[{"CertificateArn": world.certificate()}])
    change(ListenerArn=secure, Attributes=header)
    assert refusal(change, ListenerArn=secure, Attributes=[{"Key": "x.y", "Value": "1"}]) == (
        "ValidationError",
        "Listener attribute key 'x.y' is not recognized",
    )


def test_they_are_found(world: World) -> None:
    load_balancer = world.load_balancer()
    arns = [world.listener(load_balancer, port=port) for port in (80, 81, 82)]
    found = world.elb.describe_listeners(LoadBalancerArn=load_balancer)["Listeners"]
    assert [one["ListenerArn"] for one in found] == arns
    pages = world.elb.get_paginator("describe_listeners").paginate(
        LoadBalancerArn=load_balancer, PaginationConfig={"PageSize": 2}
    )
    assert [len(page["Listeners"]) for page in pages] == [2, 1]
    world.elb.delete_listener(ListenerArn=arns[0])
    for call, parameters in (
        (world.elb.describe_listeners, {"ListenerArns": [arns[0]]}),
        (world.elb.delete_listener, {"ListenerArn": arns[0]}),
    ):
        assert refusal(call, **parameters) == ("ListenerNotFound", "One or more listeners not found")
    assert refusal(world.elb.describe_listeners) == (
        "ValidationError",
        "You must specify either listener ARNs or a load balancer ARN",
    )


def test_there_are_at_most_50(world: World) -> None:
    load_balancer = world.load_balancer()
    for port in range(1, 51):
        world.listener(load_balancer, port=port)
    found = refusal(
        world.elb.create_listener,
        LoadBalancerArn=load_balancer,
        Port=51,
        Protocol="HTTP",
        DefaultActions=[fixed_response(404)],
    )
    assert found[0] == "TooManyListeners"


def test_security_policies(world: World) -> None:
    pages = world.elb.get_paginator("describe_ssl_policies").paginate(PaginationConfig={"PageSize": 10})
    found = {one["Name"]: one for page in pages for one in page["SslPolicies"]}
    assert {
        "ELBSecurityPolicy-2016-08",
        "ELBSecurityPolicy-TLS13-1-2-2021-06",
        "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
        "ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04",
        "ELBSecurityPolicy-FS-1-2-Res-2020-10",
    } <= found.keys()
    modern = found["ELBSecurityPolicy-TLS13-1-3-2021-06"]
    assert modern["SslProtocols"] == ["TLSv1.3"]
    assert modern["Ciphers"][0] == {"Name": "TLS_AES_128_GCM_SHA256", "Priority": 1}
    assert modern["SupportedLoadBalancerTypes"] == ["application", "network"]
    assert refusal(world.elb.describe_ssl_policies, Names=["Old"])[0] == "SSLPolicyNotFound"
