"""Makes what an edge description says through the AWS API, and keeps it so while the description is edited.

In production Terraform does this, or it has been there for years. The emulated AWS is empty at first, and only this
changes what is described; so what was made last is known here, and an edit costs the calls for what differs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from gatewright.aws.client import Aws
from gatewright.aws.errors import AwsError
from gatewright.aws.views import key_values, network_interfaces, read_load_balancer
from gatewright.local.aws.endpoint import REGION
from gatewright.local.certificates import ServerCertificate
from gatewright.local.front.description import (
    AwsDescription,
    Bucket,
    CertificateRequest,
    HostedZone,
    Listener,
    LoadBalancer,
    Rule,
    TargetGroup,
    WebAcl,
)
from gatewright.local.front.hostedzones import HostedZones
from gatewright.local.front.webacls import WebAcls
from gatewright.local.manifests import FrontManifest, Problem

_LOG_DELIVERY = "logdelivery.elasticloadbalancing.amazonaws.com"
_ROLES = {"internet-facing": "kubernetes.io/role/elb", "internal": "kubernetes.io/role/internal-elb"}

_WORDS: dict[type, str] = {
    LoadBalancer: "load balancer",
    TargetGroup: "target group",
    CertificateRequest: "certificate",
}

P = TypeVar("P", Bucket, CertificateRequest, TargetGroup, WebAcl, LoadBalancer, HostedZone)


class FrontProvisioner:
    """Brings AWS from one description to the next.

    `issue` signs a certificate for names and addresses; `authority` is the PEM certificate that it is signed with.
    """

    def __init__(self, aws: Aws, issue: Callable[[Iterable[str]], ServerCertificate], authority: bytes) -> None:
        self._aws = aws
        self._issue = issue
        self._authority = authority
        self._made = AwsDescription()
        self._vpc = ""
        self._arns: dict[tuple[type, str], str] = {}
        self._listeners: dict[tuple[str, int], str] = {}  # by load balancer's name and port
        self._rules: dict[tuple[str, int, int], str] = {}
        self._web_acls = WebAcls(aws)
        self._zones = HostedZones(aws, REGION)
        self._addresses: dict[str, tuple[str, ...]] = {}  # of load balancers by name
        self._parts: dict[tuple[type, str], TargetGroup | LoadBalancer] = {}  # as they are in AWS, for what is theirs

    async def update(self, front: FrontManifest | None) -> tuple[list[Problem], list[str]]:
        """Make, change and delete until AWS is as `front` says. Returns the problems and what was done, a line each.

        What AWS refuses is a problem at the place in the file that it is about; all that doesn't need it is made.
        """
        wanted = front.description if front else AwsDescription()
        return await _Pass(self, wanted, front).run()

    def forget_listener(self, key: tuple[str, int]) -> None:
        """A listener is gone, and its rules with it."""
        del self._listeners[key]
        for rule in [rule for rule in self._rules if rule[:2] == key]:
            del self._rules[rule]


class _Pass:
    """One update."""

    def __init__(self, maker: FrontProvisioner, wanted: AwsDescription, front: FrontManifest | None) -> None:
        self._maker = maker
        self._aws = maker._aws
        self._arns = maker._arns
        self._wanted = wanted
        self._front = front
        self._problems: list[Problem] = []
        self._done: list[str] = []
        self._refused = False

    async def run(self) -> tuple[list[Problem], list[str]]:
        made, wanted = self._maker._made, self._wanted
        if made == wanted:
            return [], []
        await self._each("buckets", made.buckets, wanted.buckets, self._bucket)
        await self._each("hostedZones", made.hosted_zones, wanted.hosted_zones, self._hosted_zone)
        await self._each("targetGroups", made.target_groups, wanted.target_groups, self._target_group)
        await self._each("webAcls", made.web_acls, wanted.web_acls, self._web_acl)
        # Before their certificates, which are for their addresses as well.
        await self._each("loadBalancers", made.load_balancers, wanted.load_balancers, self._load_balancer)
        await self._each(
            "certificates",
            # A load balancer that came or went changes the addresses.
            made.certificates if made.load_balancers == wanted.load_balancers else (),
            wanted.certificates,
            self._certificate,
        )
        before = {balancer.name: balancer for balancer in made.load_balancers}
        for index, balancer in enumerate(wanted.load_balancers):
            if balancer != before.get(balancer.name) and (LoadBalancer, balancer.name) in self._arns:
                await self._balance(f"aws.loadBalancers[{index}]", balancer, before.get(balancer.name))
        await self._remove(wanted)
        # After a refusal all is tried again with the next edit.
        self._maker._made = AwsDescription() if self._refused else wanted
        return self._problems, self._done

    async def _each(self, field: str, made: tuple[P, ...], wanted: tuple[P, ...], make: Callable[..., Any]) -> None:
        before = {part.name: part for part in made}
        for index, part in enumerate(wanted):
            if part != before.get(part.name):
                await self._try(f"aws.{field}[{index}]", make, part)

    async def _try(self, field: str, make: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await make(*arguments)
        except AwsError as error:
            self._refused = True
            where = self._front.where(field) if self._front else ""
            self._problems.append(Problem(where, field, str(error)))
            return None

    def _say(self, text: str) -> None:
        self._done.append(text)

    # --- one part each ------------------------------------------------------------------------------------------------

    async def _bucket(self, bucket: Bucket) -> None:
        there = await self._aws.call("s3", "list_buckets")
        if bucket.name not in {found["Name"] for found in there["Buckets"]}:
            await self._aws.call("s3", "create_bucket", Bucket=bucket.name)
            self._say(f"S3 bucket {bucket.name} created")
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": _LOG_DELIVERY},
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{bucket.name}/*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        await self._aws.call("s3", "put_bucket_policy", Bucket=bucket.name, Policy=policy)

    async def _hosted_zone(self, zone: HostedZone) -> None:
        key = (HostedZone, zone.name)
        if key in self._arns:  # it has become another kind of zone
            await self._maker._zones.delete(self._arns.pop(key))
        self._arns[key] = await self._maker._zones.create(zone, await self._vpc())
        self._say(f"{'private ' if zone.private else ''}hosted zone {zone.name} created")

    async def _certificate(self, certificate: CertificateRequest) -> None:
        addresses = [
            address
            for balancer in self._wanted.load_balancers
            if any(certificate.name in listener.certificates for listener in balancer.listeners)
            for address in self._maker._addresses.get(balancer.name, ())
        ]
        # Where the system doesn't have its addresses, a load balancer listens at 127.0.0.1.
        here = ("localhost", "127.0.0.1") if addresses else ()
        try:
            pair = self._maker._issue([*certificate.domains, *addresses, *here])
        except ValueError as error:
            raise AwsError("InvalidDomain", str(error), "acm:ImportCertificate") from None
        known = self._arns.get((CertificateRequest, certificate.name))
        answer = await self._aws.call(
            "acm",
            "import_certificate",
            Certificate=pair.chain,
            PrivateKey=pair.private_key,
            CertificateChain=self._maker._authority,
            **({"CertificateArn": known} if known else {"Tags": [{"Key": "Name", "Value": certificate.name}]}),
        )
        self._arns[CertificateRequest, certificate.name] = answer["CertificateArn"]
        self._say(f"certificate {certificate.name} for {', '.join(certificate.domains)} imported into ACM")

    async def _web_acl(self, acl: WebAcl) -> None:
        known = self._arns.get((WebAcl, acl.name))
        self._arns[WebAcl, acl.name] = await self._maker._web_acls.put(acl, known)
        self._say(f"web ACL {acl.name} {'changed' if known else 'created'}")

    async def _target_group(self, group: TargetGroup) -> None:
        check = group.health_check.parameters(grpc=group.protocol_version == "GRPC")
        arn = self._arns.get((TargetGroup, group.name))
        if arn:
            await self._keep(arn, group, "protocol", "port", "target_type", "protocol_version")
        if arn is None:
            answer = await self._aws.call(
                "elbv2",
                "create_target_group",
                Name=group.name,
                Protocol=group.protocol,
                Port=group.port,
                VpcId=await self._vpc(),
                TargetType=group.target_type,
                **({"ProtocolVersion": group.protocol_version} if group.protocol_version else {}),
                **({"Tags": key_values(group.tags)} if group.tags else {}),
                **check,
            )
            arn = self._arns[TargetGroup, group.name] = str(answer["TargetGroups"][0]["TargetGroupArn"])
            self._maker._parts[TargetGroup, group.name] = group
            self._say(f"target group {group.name} created")
        elif check:
            await self._aws.call("elbv2", "modify_target_group", TargetGroupArn=arn, **check)
            self._say(f"target group {group.name} changed")
        if group.attributes:
            await self._aws.call(
                "elbv2", "modify_target_group_attributes", TargetGroupArn=arn, Attributes=key_values(group.attributes)
            )

    async def _vpc(self) -> str:
        if not self._maker._vpc:
            subnets = await self._subnets("internal") or await self._subnets("internet-facing")
            self._maker._vpc = subnets[0]["VpcId"]
        return self._maker._vpc

    async def _subnets(self, scheme: str) -> list[dict[str, Any]]:
        """One subnet of each zone, as the AWS Load Balancer Controller finds them: by the tag of their role."""
        answer = await self._aws.call(
            "ec2", "describe_subnets", Filters=[{"Name": f"tag:{_ROLES[scheme]}", "Values": ["1", ""]}]
        )
        by_zone = {subnet["AvailabilityZone"]: subnet for subnet in reversed(answer["Subnets"])}
        return [by_zone[zone] for zone in sorted(by_zone)]

    async def _keep(self, arn: str, part: TargetGroup | LoadBalancer, *fixed: str) -> None:
        """Bring the tags of what is there to what is described, and refuse what AWS can't change in place."""
        key = (type(part), part.name)
        before = self._maker._parts[key]
        for field in fixed:
            was, wanted = getattr(before, field), getattr(part, field)
            if was != wanted:
                word = _WORDS[type(part)]
                message = (
                    f"{word} {part.name} has {field.replace('_', ' ')} {was}, which can't become {wanted} in place"
                )
                raise AwsError("Immutable", f"{message}; give the {word} another name", "elbv2:Modify")
        gone = before.tags.keys() - part.tags.keys()
        if gone:
            await self._aws.call("elbv2", "remove_tags", ResourceArns=[arn], TagKeys=sorted(gone))
        if part.tags and part.tags != before.tags:
            await self._aws.call("elbv2", "add_tags", ResourceArns=[arn], Tags=key_values(part.tags))
        self._maker._parts[key] = part

    async def _load_balancer(self, balancer: LoadBalancer) -> None:
        arn = self._arns.get((LoadBalancer, balancer.name))
        if arn:
            await self._keep(arn, balancer, "type", "scheme")
            return
        subnets = await self._subnets(balancer.scheme)
        answer = await self._aws.call(
            "elbv2",
            "create_load_balancer",
            Name=balancer.name,
            Type=balancer.type,
            Scheme=balancer.scheme,
            Subnets=[subnet["SubnetId"] for subnet in subnets],
            **({"Tags": key_values(balancer.tags)} if balancer.tags else {}),
        )
        made = read_load_balancer(answer["LoadBalancers"][0])
        self._arns[LoadBalancer, balancer.name] = made.arn
        self._maker._parts[LoadBalancer, balancer.name] = balancer
        interfaces = await network_interfaces(self._aws, made)
        self._maker._addresses[balancer.name] = tuple(sorted(interface.address for interface in interfaces))
        kind = "ALB" if balancer.type == "application" else "NLB"
        addresses = ", ".join(self._maker._addresses[balancer.name])
        self._say(f"{kind} {balancer.name} created at {addresses}: {made.dns_name}")

    # --- what is on a load balancer -----------------------------------------------------------------------------------

    async def _balance(self, field: str, balancer: LoadBalancer, before: LoadBalancer | None) -> None:
        arn = self._arns[LoadBalancer, balancer.name]
        if balancer.attributes and (before is None or before.attributes != balancer.attributes):
            await self._try(f"{field}.attributes", self._modify_attributes, "load_balancer", arn, balancer.attributes)
        if balancer.web_acl != (before.web_acl if before else None):
            await self._try(f"{field}.webAcl", self._associate, arn, balancer.web_acl)
        known = {listener.port: listener for listener in before.listeners} if before else {}
        ports = {listener.port for listener in balancer.listeners}
        for key in [key for key in self._maker._listeners if key[0] == balancer.name and key[1] not in ports]:
            await self._try(f"{field}.listeners", self._delete_listener, key)
        for index, listener in enumerate(balancer.listeners):
            if listener != known.get(listener.port):
                await self._try(f"{field}.listeners[{index}]", self._listener, arn, balancer.name, listener)
                await self._rules(f"{field}.listeners[{index}]", balancer.name, listener, known.get(listener.port))

    async def _modify_attributes(self, kind: str, arn: str, attributes: Mapping[str, str]) -> None:
        parameter = {"load_balancer": "LoadBalancerArn", "listener": "ListenerArn"}[kind]
        await self._aws.call(
            "elbv2", f"modify_{kind}_attributes", **{parameter: arn, "Attributes": key_values(attributes)}
        )

    async def _associate(self, arn: str, acl: str | None) -> None:
        if acl is None:
            await self._aws.call("wafv2", "disassociate_web_acl", ResourceArn=arn)
        elif (WebAcl, acl) in self._arns:
            await self._aws.call("wafv2", "associate_web_acl", ResourceArn=arn, WebACLArn=self._arns[WebAcl, acl])

    async def _delete_listener(self, key: tuple[str, int]) -> None:
        await self._aws.call("elbv2", "delete_listener", ListenerArn=self._maker._listeners[key])
        self._maker.forget_listener(key)
        self._say(f"listener {key[0]}:{key[1]} deleted")

    async def _listener(self, balancer_arn: str, balancer: str, listener: Listener) -> None:
        action = listener.default_action
        certificates = [self._arns.get((CertificateRequest, name)) for name in listener.certificates]
        if None in certificates or (action.forward and (TargetGroup, action.forward) not in self._arns):
            return  # which has been said already
        parameters: dict[str, Any] = {
            "Port": listener.port,
            "Protocol": listener.protocol,
            "DefaultActions": action.parameters(self._groups()),
        }
        if certificates:
            parameters["Certificates"] = [{"CertificateArn": certificates[0]}]
        if listener.ssl_policy:
            parameters["SslPolicy"] = listener.ssl_policy
        if listener.alpn_policy:
            parameters["AlpnPolicy"] = [listener.alpn_policy]
        key = (balancer, listener.port)
        arn = self._maker._listeners.get(key)
        if arn is None:
            answer = await self._aws.call("elbv2", "create_listener", LoadBalancerArn=balancer_arn, **parameters)
            arn = self._maker._listeners[key] = str(answer["Listeners"][0]["ListenerArn"])
            self._say(f"listener {balancer}:{listener.port} created")
        else:
            await self._aws.call("elbv2", "modify_listener", ListenerArn=arn, **parameters)
            self._say(f"listener {balancer}:{listener.port} changed")
        if certificates[1:]:
            more = [{"CertificateArn": certificate} for certificate in certificates[1:]]
            await self._aws.call("elbv2", "add_listener_certificates", ListenerArn=arn, Certificates=more)
        if listener.attributes:
            await self._modify_attributes("listener", arn, listener.attributes)

    async def _rules(self, field: str, balancer: str, listener: Listener, before: Listener | None) -> None:
        arn = self._maker._listeners.get((balancer, listener.port))
        if arn is None:
            return
        known = {rule.priority: rule for rule in before.rules} if before else {}
        priorities = {rule.priority for rule in listener.rules}
        for key in [key for key in self._maker._rules if key[:2] == (balancer, listener.port)]:
            if key[2] not in priorities:
                await self._try(f"{field}.rules", self._delete_rule, key)
        for index, rule in enumerate(listener.rules):
            if rule != known.get(rule.priority):
                key = (balancer, listener.port, rule.priority)
                await self._try(f"{field}.rules[{index}]", self._rule, arn, key, rule)

    async def _delete_rule(self, key: tuple[str, int, int]) -> None:
        await self._aws.call("elbv2", "delete_rule", RuleArn=self._maker._rules[key])
        del self._maker._rules[key]

    async def _rule(self, listener: str, key: tuple[str, int, int], rule: Rule) -> None:
        if rule.action.forward and (TargetGroup, rule.action.forward) not in self._arns:
            return
        parameters: dict[str, Any] = {
            "Conditions": list(rule.conditions),
            "Actions": rule.action.parameters(self._groups()),
        }
        if rule.transforms:
            parameters["Transforms"] = list(rule.transforms)
        arn = self._maker._rules.get(key)
        if arn is None:
            answer = await self._aws.call(
                "elbv2", "create_rule", ListenerArn=listener, Priority=rule.priority, **parameters
            )
            self._maker._rules[key] = answer["Rules"][0]["RuleArn"]
            return
        if not rule.transforms:
            parameters["ResetTransforms"] = True
        await self._aws.call("elbv2", "modify_rule", RuleArn=arn, **parameters)

    def _groups(self) -> dict[str, str]:
        return {name: arn for (kind, name), arn in self._arns.items() if kind is TargetGroup}

    # --- what is described no longer ----------------------------------------------------------------------------------

    async def _remove(self, wanted: AwsDescription) -> None:
        for name in self._gone(LoadBalancer, wanted.load_balancers):
            await self._try("", self._delete, LoadBalancer, name, "elbv2", "delete_load_balancer", "LoadBalancerArn")
            for key in [key for key in self._maker._listeners if key[0] == name]:
                self._maker.forget_listener(key)
        for name in self._gone(TargetGroup, wanted.target_groups):
            await self._try("", self._delete, TargetGroup, name, "elbv2", "delete_target_group", "TargetGroupArn")
        for name in self._gone(CertificateRequest, wanted.certificates):
            await self._try("", self._delete, CertificateRequest, name, "acm", "delete_certificate", "CertificateArn")
        for name in self._gone(WebAcl, wanted.web_acls):
            await self._try("", self._delete_web_acl, name)
        for name in self._gone(HostedZone, wanted.hosted_zones):
            await self._try("", self._delete_hosted_zone, name)

    def _gone(self, kind: type[P], wanted: Iterable[P]) -> list[str]:
        kept = {part.name for part in wanted}
        return [name for made, name in self._arns if made is kind and name not in kept]

    async def _delete(self, kind: type, name: str, service: str, operation: str, parameter: str) -> None:
        arn = self._arns.get((kind, name))
        if arn:
            await self._aws.call(service, operation, **{parameter: arn})
            del self._arns[kind, name]
            self._say(f"{_WORDS[kind]} {name} deleted")

    async def _delete_web_acl(self, name: str) -> None:
        arn = self._arns.get((WebAcl, name))
        if arn:
            await self._maker._web_acls.delete(name, arn)
            del self._arns[WebAcl, name]
            self._say(f"web ACL {name} deleted")

    async def _delete_hosted_zone(self, name: str) -> None:
        zone = self._arns.get((HostedZone, name))
        if zone:
            await self._maker._zones.delete(zone)
            del self._arns[HostedZone, name]
            self._say(f"hosted zone {name} deleted")
