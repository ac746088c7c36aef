"""The calls of AWS's API that an operation is (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from msgspec import Struct, structs

from gatewright.aws.stack import documents, rule_documents
from gatewright.aws.stack import operations as op
from gatewright.aws.stack.desired import Action, DesiredListener, DesiredTrustStore
from gatewright.aws.stack.holdings import PROTECTION_NAME
from gatewright.aws.stack.references import References
from gatewright.aws.views import key_values

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\s*", re.DOTALL)


class Call(Struct, frozen=True):
    """A call by boto3's names. Its parameters may hold secrets."""

    service: str
    operation: str
    parameters: dict[str, Any]

    def __repr__(self) -> str:
        return f"{self.service}:{self.operation}"


def calls_of(operation: op.Operation, names: References) -> list[Call]:
    """The calls, in order. The first one makes or changes the thing."""
    match operation:
        case op.ImportCertificate(certificate, tags, arn):
            leaf, *others = _CERTIFICATE.findall(certificate.chain) or [certificate.chain]
            parameters: dict[str, Any] = {"Certificate": leaf, "PrivateKey": certificate.private_key}
            if others:
                parameters["CertificateChain"] = b"".join(others)
            # ACM takes no tags with what replaces a certificate.
            return [
                Call(
                    "acm",
                    "import_certificate",
                    {**parameters, **({"CertificateArn": arn} if arn else {"Tags": key_values(tags)})},
                )
            ]
        case op.DeleteCertificate(arn):
            return [Call("acm", "delete_certificate", {"CertificateArn": arn})]
        case op.PutBundle(store):
            where = {"Bucket": store.bucket, "Key": store.key}
            return [Call("s3", "put_object", {**where, "Body": store.bundle, "ContentType": "application/x-pem-file"})]
        case op.CreateTrustStore(store, tags):
            return [_elb("create_trust_store", Name=store.name, **_bundle(store), Tags=key_values(tags))]
        case op.ModifyTrustStore(arn, store):
            return [_elb("modify_trust_store", TrustStoreArn=arn, **_bundle(store))]
        case op.DeleteTrustStore(arn):
            return [_elb("delete_trust_store", TrustStoreArn=arn)]
        case op.DeleteBundle(bucket, key):
            return [Call("s3", "delete_object", {"Bucket": bucket, "Key": key})]
        case op.CreateSecurityGroup(_, name, description, vpc, tags):
            specifications = [{"ResourceType": "security-group", "Tags": key_values(tags)}]
            parameters = {"GroupName": name, "Description": description, "VpcId": vpc}
            return [Call("ec2", "create_security_group", {**parameters, "TagSpecifications": specifications})]
        case op.AuthorizeIngress(group, rules) | op.RevokeIngress(group, rules):
            verb = "authorize" if isinstance(operation, op.AuthorizeIngress) else "revoke"
            permissions = documents.permission_documents(map(names.security_rule, rules))
            parameters = {"GroupId": names.security_group(group), "IpPermissions": permissions}
            return [Call("ec2", f"{verb}_security_group_ingress", parameters)]
        case op.DeleteSecurityGroup(group):
            return [Call("ec2", "delete_security_group", {"GroupId": group})]
        case op.SetTags():
            return _tag_calls(operation)
        case op.CreateTargetGroup(name, group, tags):
            parameters = {
                "Name": name,
                "Protocol": group.protocol,
                "Port": group.port,
                "VpcId": group.vpc,
                "TargetType": group.target_type,
                **documents.health_check_document(group.health_check, group.protocol_version),
                "Tags": key_values(tags),
            }
            if group.protocol_version:
                parameters["ProtocolVersion"] = group.protocol_version
            if group.ip_address_type != "ipv4":
                parameters["IpAddressType"] = group.ip_address_type
            if group.control_port is not None:
                parameters["TargetControlPort"] = group.control_port
            return [Call("elbv2", "create_target_group", parameters)]
        case op.SetHealthCheck(group, check, version):
            document = documents.health_check_document(check, version)
            return [_elb("modify_target_group", TargetGroupArn=names.target_group(group), **document)]
        case op.SetTargetGroupAttributes(group, attributes):
            arn = names.target_group(group)
            return [_elb("modify_target_group_attributes", TargetGroupArn=arn, Attributes=key_values(attributes))]
        case op.RegisterTargets(group, targets) | op.DeregisterTargets(group, targets):
            verb = "register" if isinstance(operation, op.RegisterTargets) else "deregister"
            listed = documents.target_documents(targets)
            return [_elb(f"{verb}_targets", TargetGroupArn=names.target_group(group), Targets=listed)]
        case op.DeleteTargetGroup(arn):
            return [_elb("delete_target_group", TargetGroupArn=arn)]
        case (
            op.CreateListener()
            | op.ModifyListener()
            | op.AddListenerCertificates()
            | op.RemoveListenerCertificates()
            | op.SetListenerAttributes()
            | op.DeleteListener()
        ):
            return [_listener_call(operation, names)]
        case op.CreateRule() | op.ModifyRule() | op.SetRulePriorities() | op.DeleteRule():
            return [_rule_call(operation, names)]
        case _:
            return [_balancer_call(operation, names)]


def _elb(operation: str, **parameters: Any) -> Call:
    return Call("elbv2", operation, parameters)


def _bundle(store: DesiredTrustStore) -> dict[str, str]:
    return {"CaCertificatesBundleS3Bucket": store.bucket, "CaCertificatesBundleS3Key": store.key}


def _tag_calls(operation: op.SetTags) -> list[Call]:
    thing, add, remove = operation.thing, key_values(operation.add), list(operation.remove)
    if thing.startswith("sg-"):
        some = [Call("ec2", "create_tags", {"Resources": [thing], "Tags": add})] if add else []
        gone = [{"Key": key} for key in remove]
        return [*some, *([Call("ec2", "delete_tags", {"Resources": [thing], "Tags": gone})] if gone else [])]
    if ":acm:" in thing:
        some = [Call("acm", "add_tags_to_certificate", {"CertificateArn": thing, "Tags": add})] if add else []
        gone = [{"Key": key} for key in remove]
        less = Call("acm", "remove_tags_from_certificate", {"CertificateArn": thing, "Tags": gone})
        return [*some, *([less] if gone else [])]
    some = [_elb("add_tags", ResourceArns=[thing], Tags=add)] if add else []
    return [*some, *([_elb("remove_tags", ResourceArns=[thing], TagKeys=remove)] if remove else [])]


def _balancer_call(operation: op.Operation, names: References) -> Call:
    match operation:
        case op.CreateLoadBalancer(name, wanted, tags):
            parameters: dict[str, Any] = {
                "Name": name,
                "Type": wanted.type,
                "Scheme": wanted.scheme,
                "IpAddressType": wanted.ip_address_type,
                "SubnetMappings": [documents.mapping_document(mapping) for mapping in wanted.subnets],
                "Tags": key_values(tags),
            }
            if wanted.security_groups:
                parameters["SecurityGroups"] = list(map(names.security_group, wanted.security_groups))
            if wanted.customer_owned_pool:
                parameters["CustomerOwnedIpv4Pool"] = wanted.customer_owned_pool
            if wanted.ipam_pool:
                parameters["IpamPools"] = {"Ipv4IpamPoolId": wanted.ipam_pool}
            if any(mapping.source_nat_prefix for mapping in wanted.subnets):
                parameters["EnablePrefixForIpv6SourceNat"] = "on"
            return Call("elbv2", "create_load_balancer", parameters)
        case op.SetLoadBalancerAttributes(reference, attributes):
            arn = names.load_balancer(reference)
            return _elb("modify_load_balancer_attributes", LoadBalancerArn=arn, Attributes=key_values(attributes))
        case op.SetSubnets(reference, subnets):
            mappings = [documents.mapping_document(mapping) for mapping in subnets]
            return _elb("set_subnets", LoadBalancerArn=names.load_balancer(reference), SubnetMappings=mappings)
        case op.SetSecurityGroups(reference, groups, inbound):
            parameters = {
                "LoadBalancerArn": names.load_balancer(reference),
                "SecurityGroups": list(map(names.security_group, groups)),
            }
            if inbound:
                parameters["EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"] = inbound
            return Call("elbv2", "set_security_groups", parameters)
        case op.SetIpAddressType(reference, kind):
            return _elb("set_ip_address_type", LoadBalancerArn=names.load_balancer(reference), IpAddressType=kind)
        case op.SetIpamPool(reference, pool):
            pools: dict[str, Any] = {"IpamPools": {"Ipv4IpamPoolId": pool}} if pool else {"RemoveIpamPools": ["ipv4"]}
            return _elb("modify_ip_pools", LoadBalancerArn=names.load_balancer(reference), **pools)
        case op.SetCapacity(reference, units):
            capacity: dict[str, Any] = {"ResetCapacityReservation": True}
            if units:
                capacity = {"MinimumLoadBalancerCapacity": {"CapacityUnits": units}}
            return _elb("modify_capacity_reservation", LoadBalancerArn=names.load_balancer(reference), **capacity)
        case op.SetWebAcl(reference, web_acl):
            resource = {"ResourceArn": names.load_balancer(reference)}
            if not web_acl:
                return Call("wafv2", "disassociate_web_acl", resource)
            return Call("wafv2", "associate_web_acl", {"WebACLArn": web_acl, **resource})
        case op.ProtectWithShield(reference):
            resource = {"ResourceArn": names.load_balancer(reference)}
            return Call("shield", "create_protection", {"Name": PROTECTION_NAME, **resource})
        case op.UnprotectFromShield(_, protection):
            return Call("shield", "delete_protection", {"ProtectionId": protection})
        case op.DeleteLoadBalancer(arn):
            return _elb("delete_load_balancer", LoadBalancerArn=arn)
    raise AssertionError(f"{type(operation).__name__} isn't about a load balancer")


def _actions(actions: Iterable[Action], names: References, *, tell_secret: bool = True) -> list[dict[str, Any]]:
    told = actions if tell_secret else rule_documents.keeping_secret(actions)
    return rule_documents.action_documents(rule_documents.refer(told, names.target_group))


def _listener_call(operation: op.Operation, names: References) -> Call:
    match operation:
        case op.CreateListener(balancer, wanted, tags):
            arn = names.load_balancer(balancer)
            parameters = _listener(wanted, names, tell_secret=True)
            return _elb("create_listener", LoadBalancerArn=arn, **parameters, Tags=key_values(tags))
        case op.ModifyListener(reference, wanted, tell_secret):
            parameters = _listener(wanted, names, tell_secret=tell_secret)
            return _elb("modify_listener", ListenerArn=names.listener(reference), **parameters)
        case op.AddListenerCertificates(reference, certificates):
            listed = [{"CertificateArn": names.certificate(each)} for each in certificates]
            arn = names.listener(reference)
            return _elb("add_listener_certificates", ListenerArn=arn, Certificates=listed)
        case op.RemoveListenerCertificates(reference, certificates):
            listed = [{"CertificateArn": each} for each in certificates]
            return _elb("remove_listener_certificates", ListenerArn=names.listener(reference), Certificates=listed)
        case op.SetListenerAttributes(reference, attributes):
            arn = names.listener(reference)
            return _elb("modify_listener_attributes", ListenerArn=arn, Attributes=key_values(attributes))
        case op.DeleteListener(arn):
            return _elb("delete_listener", ListenerArn=arn)
    raise AssertionError(f"{type(operation).__name__} isn't about a listener")


def _listener(wanted: DesiredListener, names: References, *, tell_secret: bool) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "Protocol": wanted.protocol,
        "Port": wanted.port,
        "DefaultActions": _actions(wanted.default, names, tell_secret=tell_secret),
    }
    if wanted.protocol in ("HTTPS", "TLS"):
        listed = wanted.certificates[:1]
        parameters["Certificates"] = [{"CertificateArn": names.certificate(each)} for each in listed]
        if wanted.ssl_policy:
            parameters["SslPolicy"] = wanted.ssl_policy
    if wanted.protocol == "TLS":
        parameters["AlpnPolicy"] = [wanted.alpn_policy or "None"]
    if wanted.protocol == "HTTPS":
        parameters["MutualAuthentication"] = {"Mode": "off"}
        if asked := wanted.mutual_authentication:
            asked = structs.replace(asked, trust_store=names.trust_store(asked.trust_store))
            parameters["MutualAuthentication"] = documents.mutual_authentication_document(asked)
    return parameters


def _rule_call(operation: op.Operation, names: References) -> Call:
    match operation:
        case op.CreateRule(listener, _, priority, rule, tags):
            parameters: dict[str, Any] = {
                "ListenerArn": names.listener(listener),
                "Priority": priority,
                "Conditions": [rule_documents.condition_document(each) for each in rule.conditions],
                "Actions": _actions(rule.actions, names),
                "Tags": key_values(tags),
            }
            if rule.transforms:
                parameters["Transforms"] = [rule_documents.transform_document(each) for each in rule.transforms]
            return Call("elbv2", "create_rule", parameters)
        case op.ModifyRule(arn, _, rule, tell_secret):
            transforms = [rule_documents.transform_document(each) for each in rule.transforms]
            return _elb(
                "modify_rule",
                RuleArn=arn,
                Conditions=[rule_documents.condition_document(each) for each in rule.conditions],
                Actions=_actions(rule.actions, names, tell_secret=tell_secret),
                **({"Transforms": transforms} if transforms else {"ResetTransforms": True}),
            )
        case op.SetRulePriorities(_, _, priorities):
            listed = [{"RuleArn": arn, "Priority": priority} for arn, priority in sorted(priorities.items())]
            return _elb("set_rule_priorities", RulePriorities=listed)
        case op.DeleteRule(arn, _):
            return _elb("delete_rule", RuleArn=arn)
    raise AssertionError(f"{type(operation).__name__} isn't about a rule")
