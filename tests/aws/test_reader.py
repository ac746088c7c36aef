"""Whatever the API is told becomes the state that drives load balancers."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import contextlib
import datetime
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gatewright.flow import Change
from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.aws.reading import action, condition, transforms
from gatewright.local.aws.state import (
    Bound,
    Condition,
    FixedResponse,
    Forward,
    Listener,
    Redirect,
    Refused,
    Rule,
    Socket,
    Target,
    TargetKey,
    Transform,
)
from gatewright.local.block import Block


async def load_balancer(aws: EmulatedAws, kind: str = "application", **more: Any) -> str:
    subnets = aws.seeded.public if kind == "application" else aws.seeded.private
    scheme = "internet-facing" if kind == "application" else "internal"
    answer = await aws.call(
        "elbv2", "create_load_balancer", Name=f"{kind[:3]}-1", Type=kind, Scheme=scheme, Subnets=subnets, **more
    )
    return str(answer["LoadBalancers"][0]["LoadBalancerArn"])


async def target_group(aws: EmulatedAws, name: str, protocol: str = "HTTP", kind: str = "ip", **more: Any) -> str:
    answer = await aws.call(
        "elbv2",
        "create_target_group",
        **{"Name": name, "Protocol": protocol, "Port": 8080, "VpcId": aws.seeded.vpc, "TargetType": kind, **more},
    )
    return str(answer["TargetGroups"][0]["TargetGroupArn"])


async def listener(aws: EmulatedAws, arn: str, group: str, protocol: str = "HTTP", port: int = 80, **more: Any) -> str:
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    answer = await aws.call(
        "elbv2",
        "create_listener",
        LoadBalancerArn=arn,
        Protocol=protocol,
        Port=port,
        DefaultActions=forward,
        **more,
    )
    return str(answer["Listeners"][0]["ListenerArn"])


def pod(aws: EmulatedAws, number: int) -> str:
    """An address among the pods'."""
    return str(aws.network.network_address + 0x8000 + number)


def key_pair(*names: str) -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private


async def test_a_load_balancer_with_its_nodes(aws: EmulatedAws) -> None:
    arn = await load_balancer(aws)
    one = aws.state.load_balancers[arn]
    assert (one.name, one.type, one.scheme) == ("app-1", "application", "internet-facing")
    assert one.attributes["idle_timeout.timeout_seconds"] == "60"
    assert [(node.zone, node.subnet) for node in one.nodes] == [
        ("us-east-1a", aws.seeded.subnets["public-a"]),
        ("us-east-1b", aws.seeded.subnets["public-b"]),
    ]
    interfaces = aws.client("ec2").describe_network_interfaces(
        Filters=[{"Name": "description", "Values": [f"ELB {one.id}"]}]
    )["NetworkInterfaces"]
    assert {node.address for node in one.nodes} == {each["PrivateIpAddress"] for each in interfaces}
    await aws.call(
        "elbv2",
        "modify_load_balancer_attributes",
        LoadBalancerArn=arn,
        Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "7"}],
    )
    assert aws.state.load_balancers[arn].attributes["idle_timeout.timeout_seconds"] == "7"
    await aws.call("elbv2", "delete_load_balancer", LoadBalancerArn=arn)
    assert not aws.state.load_balancers


async def test_a_fixed_private_address(aws: EmulatedAws) -> None:
    a, b = aws.seeded.private
    wanted = [str(aws.network.network_address + 0x2000), str(aws.network.network_address + 0xFF00)]
    answer = await aws.call(
        "elbv2",
        "create_load_balancer",
        Name="gateway",
        Type="network",
        Scheme="internal",
        SubnetMappings=[
            {"SubnetId": a, "PrivateIPv4Address": wanted[0]},
            {"SubnetId": b, "PrivateIPv4Address": wanted[1]},
        ],
    )
    one = aws.state.load_balancers[answer["LoadBalancers"][0]["LoadBalancerArn"]]
    assert [node.address for node in one.nodes] == wanted


async def test_listeners_and_their_rules(aws: EmulatedAws) -> None:
    arn, group = await load_balancer(aws), await target_group(aws, "web")
    listening = await listener(aws, arn, group)
    assert aws.state.listeners[listening] == Listener(
        arn=listening,
        load_balancer=arn,
        protocol="HTTP",
        port=80,
        action=Forward(((group, 1),)),
        attributes=aws.state.listeners[listening].attributes,
    )
    answer = await aws.call(
        "elbv2",
        "create_rule",
        ListenerArn=listening,
        Priority=10,
        Conditions=[{"Field": "path-pattern", "Values": ["/app1/*"]}],
        Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404", "MessageBody": "no"}}],
    )
    rule = answer["Rules"][0]["RuleArn"]
    assert aws.state.rules[rule] == Rule(
        rule, listening, 10, (Condition("path-pattern", ("/app1/*",)),), FixedResponse(404, "", "no")
    )
    await aws.call("elbv2", "set_rule_priorities", RulePriorities=[{"RuleArn": rule, "Priority": 7}])
    assert aws.state.rules[rule].priority == 7
    [default] = [one for one in aws.state.rules.values() if one.priority is None]
    assert default.listener == listening
    await aws.call("elbv2", "delete_listener", ListenerArn=listening)
    assert not aws.state.listeners
    assert not aws.state.rules


async def test_a_change_of_one_rule_is_told_as_one(aws: EmulatedAws) -> None:
    arn, group = await load_balancer(aws), await target_group(aws, "web")
    listening = await listener(aws, arn, group)
    for priority in range(1, 6):
        await aws.call(
            "elbv2",
            "create_rule",
            ListenerArn=listening,
            Priority=priority,
            Conditions=[{"Field": "path-pattern", "Values": [f"/{priority}"]}],
            Actions=[{"Type": "forward", "TargetGroupArn": group}],
        )
    changes: list[Change[str, Rule]] = []
    aws.state.rules.subscribe(changes.extend)
    rule = next(one.arn for one in aws.state.rules.values() if one.priority == 3)
    await aws.call("elbv2", "modify_rule", RuleArn=rule, Conditions=[{"Field": "path-pattern", "Values": ["/changed"]}])
    assert [change.key for change in changes] == [rule]


async def test_target_groups(aws: EmulatedAws) -> None:
    arn = await target_group(
        aws,
        "gw",
        "HTTPS",
        HealthCheckPath="/healthz/ready",
        HealthCheckPort="15021",
        HealthCheckProtocol="HTTP",
        HealthCheckIntervalSeconds=10,
        HealthCheckTimeoutSeconds=4,
        HealthyThresholdCount=3,
        UnhealthyThresholdCount=4,
        Matcher={"HttpCode": "200,204"},
    )
    one = aws.state.target_groups[arn]
    assert (one.name, one.target_type, one.protocol, one.port, one.protocol_version) == (
        "gw",
        "ip",
        "HTTPS",
        8080,
        "HTTP1",
    )
    check = one.health_check
    assert (check.protocol, check.port, check.path, check.matcher) == ("HTTP", "15021", "/healthz/ready", "200,204")
    assert (check.interval, check.timeout, check.healthy_threshold, check.unhealthy_threshold) == (10.0, 4.0, 3, 4)
    assert check.enabled
    assert one.attributes["deregistration_delay.timeout_seconds"] == "300"


async def test_targets_by_address(aws: EmulatedAws) -> None:
    arn = await target_group(aws, "web")
    await aws.call(
        "elbv2", "register_targets", TargetGroupArn=arn, Targets=[{"Id": pod(aws, 20)}, {"Id": pod(aws, 21), "Port": 9}]
    )
    assert {key: (one.addresses, one.zone) for key, one in aws.state.targets.items()} == {
        TargetKey(arn, pod(aws, 20), 8080): ((pod(aws, 20),), "us-east-1b"),
        TargetKey(arn, pod(aws, 21), 9): ((pod(aws, 21),), "us-east-1b"),
    }


async def test_an_instance_is_where_it_runs(aws: EmulatedAws) -> None:
    arn = await target_group(aws, "nodes", kind="instance")
    answer = await aws.call(
        "ec2",
        "run_instances",
        ImageId="ami-12345678",
        MinCount=1,
        MaxCount=1,
        SubnetId=aws.seeded.subnets["private-a"],
    )
    instance = answer["Instances"][0]
    await aws.call("elbv2", "register_targets", TargetGroupArn=arn, Targets=[{"Id": instance["InstanceId"]}])
    key = TargetKey(arn, instance["InstanceId"], 8080)
    assert (aws.state.targets[key].addresses, aws.state.targets[key].zone) == (
        (instance["PrivateIpAddress"],),
        "us-east-1a",
    )
    await aws.call("ec2", "stop_instances", InstanceIds=[instance["InstanceId"]])
    assert aws.state.targets[key].addresses == ()
    await aws.call("ec2", "start_instances", InstanceIds=[instance["InstanceId"]])
    assert aws.state.targets[key].addresses == (instance["PrivateIpAddress"],)


async def test_an_alb_as_target_is_at_its_nodes(aws: EmulatedAws) -> None:
    alb = await load_balancer(aws)
    await listener(aws, alb, await target_group(aws, "web"), port=8080)
    arn = await target_group(aws, "alb", "TCP", "alb")
    await aws.call("elbv2", "register_targets", TargetGroupArn=arn, Targets=[{"Id": alb}])
    target = aws.state.targets[TargetKey(arn, alb, 8080)]
    assert target.addresses == tuple(node.address for node in aws.state.load_balancers[alb].nodes)


async def gone(aws: EmulatedAws, key: TargetKey) -> None:
    done = asyncio.Event()
    aws.state.targets.subscribe(lambda changes: done.set() if key not in aws.state.targets else None)
    if key in aws.state.targets:
        await asyncio.wait_for(done.wait(), 60)


async def test_a_deregistered_target_drains_and_is_gone(aws: EmulatedAws) -> None:
    alb, arn = await load_balancer(aws), await target_group(aws, "web")
    await listener(aws, alb, arn)
    delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "5"}]
    await aws.call("elbv2", "modify_target_group_attributes", TargetGroupArn=arn, Attributes=delay)
    targets = [{"Id": pod(aws, 20)}]
    key = TargetKey(arn, pod(aws, 20), 8080)
    await aws.call("elbv2", "register_targets", TargetGroupArn=arn, Targets=targets)
    assert aws.state.targets[key].draining_until is None
    ends: list[float | None] = []

    def note(changes: list[Change[TargetKey, Target]]) -> None:
        ends.extend(change.new.draining_until for change in changes if change.new)

    aws.state.targets.subscribe(note)
    await aws.call("elbv2", "deregister_targets", TargetGroupArn=arn, Targets=targets)
    await gone(aws, key)
    [until] = ends
    assert until is not None
    assert until <= time.monotonic()


async def test_registering_again_ends_the_draining(aws: EmulatedAws) -> None:
    alb, arn = await load_balancer(aws), await target_group(aws, "web")
    await listener(aws, alb, arn)
    targets = [{"Id": pod(aws, 20)}]
    for operation in ("register_targets", "deregister_targets", "register_targets"):
        await aws.call("elbv2", operation, TargetGroupArn=arn, Targets=targets)
    [target] = aws.state.targets.values()
    assert target.draining_until is None


async def test_certificates_of_acm(aws: EmulatedAws) -> None:
    certificate, key = key_pair("app.example.com", "*.example.com")
    authority, _ = key_pair("authority")
    answer = await aws.call(
        "acm", "import_certificate", Certificate=certificate, PrivateKey=key, CertificateChain=authority
    )
    arn = answer["CertificateArn"]
    one = aws.state.certificates[arn]
    assert one.names == ("app.example.com", "*.example.com")
    assert x509.load_pem_x509_certificates(one.chain) == [
        x509.load_pem_x509_certificate(certificate),
        x509.load_pem_x509_certificate(authority),
    ]
    assert one.key == key
    renewed, key = key_pair("app.example.com")
    await aws.call("acm", "import_certificate", CertificateArn=arn, Certificate=renewed, PrivateKey=key)
    assert x509.load_pem_x509_certificates(aws.state.certificates[arn].chain) == [
        x509.load_pem_x509_certificate(renewed)
    ]
    await aws.call("acm", "delete_certificate", CertificateArn=arn)
    assert not aws.state.certificates


async def test_a_requested_certificate_is_issued_after_a_while(aws: EmulatedAws) -> None:
    done = asyncio.Event()
    aws.state.certificates.subscribe(lambda changes: done.set())
    began = time.monotonic()
    answer = await aws.call("acm", "request_certificate", DomainName="app.example.com", ValidationMethod="EMAIL")
    arn = answer["CertificateArn"]
    details = await aws.call("acm", "describe_certificate", CertificateArn=arn)
    if time.monotonic() - began < 60 / aws.pace:
        assert details["Certificate"]["Status"] == "PENDING_VALIDATION"
    await asyncio.wait_for(done.wait(), 60)
    assert aws.state.certificates[arn].names == ("app.example.com",)
    details = await aws.call("acm", "describe_certificate", CertificateArn=arn)
    assert details["Certificate"]["Status"] == "ISSUED"


async def test_a_certificate_in_use_stays(aws: EmulatedAws) -> None:
    certificate, key = key_pair("app.example.com")
    answer = await aws.call("acm", "import_certificate", Certificate=certificate, PrivateKey=key)
    arn = answer["CertificateArn"]
    alb, group = await load_balancer(aws), await target_group(aws, "web")
    used = [{"CertificateArn": arn}]
    listening = await listener(aws, alb, group, "HTTPS", 443, Certificates=used)
    assert aws.state.listeners[listening].certificates == (arn,)
    with pytest.raises(ClientError, match="ResourceInUseException"):
        await aws.call("acm", "delete_certificate", CertificateArn=arn)
    await aws.call("elbv2", "delete_load_balancer", LoadBalancerArn=alb)
    await aws.call("acm", "delete_certificate", CertificateArn=arn)
    assert not aws.state.certificates


async def test_certificates_of_iam(aws: EmulatedAws) -> None:
    certificate, key = key_pair("old.example.com")
    answer = await aws.call(
        "iam",
        "upload_server_certificate",
        ServerCertificateName="old",
        CertificateBody=certificate.decode(),
        PrivateKey=key.decode(),
    )
    arn = answer["ServerCertificateMetadata"]["Arn"]
    assert aws.state.certificates[arn].names == ("old.example.com",)


async def test_a_burst_of_calls_of_many_clients_ends_in_the_state(aws: EmulatedAws) -> None:
    arn = await target_group(aws, "web")
    await asyncio.gather(
        *(
            aws.call("elbv2", "register_targets", TargetGroupArn=arn, Targets=[{"Id": pod(aws, number)}])
            for number in range(20, 60)
        )
    )
    assert {key.id for key in aws.state.targets} == {pod(aws, number) for number in range(20, 60)}


async def test_reading_calls_read_nothing(aws: EmulatedAws) -> None:
    arn = await target_group(aws, "web")
    reads: list[str] = []
    aws.server._changed = reads.append
    for service, operation in (
        ("elbv2", "describe_load_balancers"),
        ("elbv2", "describe_target_groups"),
        ("ec2", "describe_vpcs"),
        ("acm", "list_certificates"),
        ("iam", "list_server_certificates"),
    ):
        await aws.call(service, operation)
    assert not reads
    with pytest.raises(Exception, match="not found"):
        await aws.call("elbv2", "register_targets", TargetGroupArn=f"{arn}0", Targets=[{"Id": pod(aws, 1)}])
    assert not reads


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ([{"Type": "forward", "TargetGroupArn": "a"}], Forward((("a", 1),))),
        (
            [
                {
                    "Type": "forward",
                    "ForwardConfig": {
                        "TargetGroups": [
                            {"TargetGroupArn": "a", "Weight": 0},
                            {"TargetGroupArn": "b", "Weight": "999"},
                        ],
                        "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 60},
                    },
                }
            ],
            Forward((("a", 0), ("b", 999)), 60),
        ),
        (
            [
                {
                    "Type": "forward",
                    "ForwardConfig": {
                        "TargetGroups": [{"TargetGroupArn": "a"}],
                        "TargetGroupStickinessConfig": {"Enabled": "false", "DurationSeconds": 60},
                    },
                }
            ],
            Forward((("a", 1),)),
        ),
        (
            [{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Protocol": "HTTPS", "Port": "443"}}],
            Redirect(301, protocol="HTTPS", port="443"),
        ),
        (
            [{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_302", "Path": "/x", "Query": ""}}],
            Redirect(302, path="/x", query=""),
        ),
        (
            [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "ContentType": "text/plain"}}],
            FixedResponse(200, "text/plain", ""),
        ),
        (
            [
                {"Type": "authenticate-oidc", "AuthenticateOidcConfig": {}, "Order": 1},
                {"Type": "forward", "TargetGroupArn": "a", "Order": 2},
            ],
            Refused("authenticate-oidc"),
        ),
    ],
)
def test_actions(documents: list[dict[str, Any]], expected: Any) -> None:
    assert action(documents) == expected


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"Field": "host-header", "Values": ["*.example.com"]}, Condition("host-header", ("*.example.com",))),
        (
            {"Field": "host-header", "HostHeaderConfig": {"RegexValues": ["^a$"]}},
            Condition("host-header", (), ("^a$",)),
        ),
        (
            {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/a"]}, "Values": ["/a"]},
            Condition("path-pattern", ("/a",)),
        ),
        (
            {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-A", "Values": ["1", "2"]}},
            Condition("http-header", ("1", "2"), name="X-A"),
        ),
        (
            {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["GET"]}},
            Condition("http-request-method", ("GET",)),
        ),
        (
            {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "a", "Value": "1"}, {"Value": "b"}]}},
            Condition("query-string", pairs=(("a", "1"), ("", "b"))),
        ),
        (
            {"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}},
            Condition("source-ip", ("10.0.0.0/8",)),
        ),
    ],
)
def test_conditions(document: dict[str, Any], expected: Condition) -> None:
    assert condition(document) == expected


def test_rewrites() -> None:
    assert transforms(
        {"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": "^/a/(.*)$", "Replace": "/$1"}]}}
    ) == [Transform("url-rewrite", "^/a/(.*)$", "/$1")]
    assert transforms(
        {"Type": "host-header-rewrite", "HostHeaderRewriteConfig": {"Rewrites": [{"Regex": "a", "Replace": "b"}]}}
    ) == [Transform("host-header-rewrite", "a", "b")]


async def test_a_web_acl_and_its_association(aws: EmulatedAws) -> None:
    alb = await load_balancer(aws)
    visible = {"SampledRequestsEnabled": True, "CloudWatchMetricsEnabled": False, "MetricName": "m"}
    ip_set = await aws.call(
        "wafv2", "create_ip_set", Name="office", Scope="REGIONAL", IPAddressVersion="IPV4", Addresses=["192.0.2.0/24"]
    )
    answer = await aws.call(
        "wafv2",
        "create_web_acl",
        Name="edge",
        Scope="REGIONAL",
        DefaultAction={"Block": {}},
        VisibilityConfig=visible,
        Rules=[
            {
                "Name": "office",
                "Priority": 0,
                "Statement": {"IPSetReferenceStatement": {"ARN": ip_set["Summary"]["ARN"]}},
                "Action": {"Allow": {}},
                "VisibilityConfig": visible,
            }
        ],
    )
    acl = answer["Summary"]["ARN"]
    assert aws.state.web_acls[acl].ip_sets == {ip_set["Summary"]["ARN"]: ("192.0.2.0/24",)}
    await aws.call("wafv2", "associate_web_acl", WebACLArn=acl, ResourceArn=alb)
    assert dict(aws.state.associations.items()) == {alb: acl}
    await aws.call("elbv2", "delete_load_balancer", LoadBalancerArn=alb)
    assert not aws.state.associations


@pytest.mark.parametrize("where", ["addresses of its own", "one address for all"])
async def test_the_state_is_served_by_a_real_load_balancer(block: Block, where: str) -> None:
    """Where the VPC's addresses answer on this machine, and where there is 127.0.0.1 only."""
    own = where == "addresses of its own"
    if own and block.shared:
        pytest.skip("this system has one loopback address")
    async with EmulatedAws(block.network if own else "10.7.0.0/16", pace=50) as aws:
        await serve_something(aws, own)


async def connected(bound: Bound) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection; Envoy acknowledges a listener a moment before its workers accept any."""
    for _ in range(200):
        with contextlib.suppress(ConnectionRefusedError):
            return await asyncio.open_connection(bound.address, bound.port)
        await asyncio.sleep(0.02)
    raise AssertionError(f"nothing listens at {bound}")


async def serve_something(aws: EmulatedAws, own: bool) -> None:
    alb, group = await load_balancer(aws), await target_group(aws, "web")
    listening = await listener(aws, alb, group, port=18080)
    assert aws.state.served[listening]
    node = aws.state.load_balancers[alb].nodes[0]
    bound = aws.state.sockets[Socket(node.address, 18080, "TCP")]
    assert bound.address == (node.address if own else "127.0.0.1")
    reader, writer = await connected(bound)
    writer.write(b"GET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n")
    assert (await asyncio.wait_for(reader.readline(), 60)).split()[1] == b"503"
    writer.close()
    state = (await aws.call("elbv2", "describe_load_balancers", LoadBalancerArns=[alb]))["LoadBalancers"][0]["State"]
    assert state == {"Code": "active"}
