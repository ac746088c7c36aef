"""Operations on listeners and their certificates."""

from __future__ import annotations

from typing import Any, NamedTuple

from moto.moto_api._internal import mock_random

from gatewright.local.aws.elbv2 import actions, attributes, certificates, forwarding, paging, policies, quotas, tags
from gatewright.local.aws.elbv2.backend import Backend
from gatewright.local.aws.elbv2.errors import Refusal, invalid, misconfigured
from gatewright.local.aws.elbv2.models import Document, Listener, LoadBalancer, Rule

_PROTOCOLS = {"application": ("HTTPS", "HTTP"), "network": ("UDP", "TCP", "TLS", "TCP_UDP")}
_SECURE = ("HTTPS", "TLS")
_ALPN = ("HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred", "None")


class _Settings(NamedTuple):
    """What a listener shall be, checked and complete."""

    protocol: str
    port: int
    actions: list[Document]
    certificate: str
    ssl_policy: str
    alpn_policy: list[str]
    mutual_authentication: Document | None


def create_listener(elb: Backend, request: Document) -> Document:
    """CreateListener."""
    load_balancer = elb.load_balancer(request["LoadBalancerArn"])
    asked = tags.checked(request.get("Tags"))
    if "Port" not in request:
        raise invalid("A listener port must be specified")
    if "Protocol" not in request:
        raise invalid("A listener protocol must be specified")
    settings = _settings(elb, load_balancer, request)
    existing = _at(load_balancer, settings.port)
    if existing:
        if _of(existing) == settings:
            return {"Listeners": [existing.document()]}
        raise _duplicate(load_balancer)
    if len(load_balancer.listeners) >= quotas.LISTENERS:
        raise Refusal(
            "TooManyListeners",
            f"The maximum number of listeners '{quotas.LISTENERS}' has been reached on load balancer "
            f"'{load_balancer.arn}'",
        )
    forwarding.check(elb, load_balancer, settings.protocol, actions.groups(settings.actions))
    arn = f"{load_balancer.arn.replace(':loadbalancer/', ':listener/')}/{mock_random.get_random_hex(16)}"
    default = Rule(
        f"{arn.replace(':listener/', ':listener-rule/')}/{mock_random.get_random_hex(16)}",
        arn,
        "default",
        [],
        settings.actions,
        [],
    )
    listener = Listener(
        arn,
        load_balancer.arn,
        settings.protocol,
        settings.port,
        default,
        [settings.certificate] if settings.certificate else [],
        settings.ssl_policy,
        settings.alpn_policy,
        settings.mutual_authentication,
        attributes.defaults(attributes.of_listener(settings.protocol)),
    )
    load_balancer.listeners[arn] = listener
    certificates.mark(elb, listener.certificates)
    tags.set_tags(elb, arn, asked)
    return {"Listeners": [listener.document()]}


def modify_listener(elb: Backend, request: Document) -> Document:
    """ModifyListener: what isn't given stays."""
    listener = elb.listener(request["ListenerArn"])
    load_balancer = elb.load_balancers[listener.load_balancer_arn]
    before = _of(listener)
    protocol = request.get("Protocol", before.protocol)
    after: Document = {"Port": before.port, "DefaultActions": before.actions}
    if (protocol in _SECURE) and (before.protocol in _SECURE):
        after |= {"Certificates": [{"CertificateArn": before.certificate}], "SslPolicy": before.ssl_policy}
    if protocol == before.protocol == "TLS":
        after["AlpnPolicy"] = before.alpn_policy
    if protocol == before.protocol == "HTTPS":
        after["MutualAuthentication"] = before.mutual_authentication
    settings = _settings(elb, load_balancer, {**after, **request, "Protocol": protocol}, before.certificate)
    if _at(load_balancer, settings.port) not in (None, listener):
        raise _duplicate(load_balancer)
    arns = list(actions.groups(settings.actions))
    if protocol != before.protocol:
        arns += [arn for rule in listener.other_rules.values() for arn in actions.groups(rule.actions)]
    forwarding.check(elb, load_balancer, protocol, arns, instead_of=listener.default_rule)
    used = list(listener.certificates)
    listener.protocol, listener.port = settings.protocol, settings.port
    listener.default_rule.actions = settings.actions
    listener.ssl_policy, listener.alpn_policy = settings.ssl_policy, settings.alpn_policy
    listener.mutual_authentication = settings.mutual_authentication
    others = [arn for arn in listener.certificates[1:] if arn != settings.certificate]
    listener.certificates = [settings.certificate, *others] if settings.certificate else []
    known = attributes.of_listener(protocol)
    kept = {key: value for key, value in listener.attributes.items() if key in known}
    listener.attributes = {**attributes.defaults(known), **kept}
    certificates.mark(elb, [*used, *listener.certificates])
    return {"Listeners": [listener.document()]}


def _of(listener: Listener) -> _Settings:
    return _Settings(
        listener.protocol,
        listener.port,
        listener.default_rule.actions,
        listener.certificates[0] if listener.certificates else "",
        listener.ssl_policy,
        listener.alpn_policy,
        listener.mutual_authentication,
    )


def _at(load_balancer: LoadBalancer, port: int) -> Listener | None:
    return next((one for one in load_balancer.listeners.values() if one.port == port), None)


def _duplicate(load_balancer: LoadBalancer) -> Refusal:
    return Refusal(
        "DuplicateListener", f"A listener already exists on this port for this load balancer '{load_balancer.arn}'"
    )


def _settings(elb: Backend, load_balancer: LoadBalancer, request: Document, certificate: str = "") -> _Settings:
    """`certificate` is the listener's already: it is taken even if it has expired since."""
    protocol, port = request["Protocol"], request["Port"]
    if protocol in ("QUIC", "TCP_QUIC"):
        raise Refusal("UnsupportedProtocol", f"Listener protocol '{protocol}' is not emulated")
    allowed = _PROTOCOLS[load_balancer.type]
    if protocol not in allowed:
        raise invalid(f"Listener protocol '{protocol}' must be one of '{', '.join(allowed)}'")
    if protocol in ("UDP", "TCP_UDP") and load_balancer.ip_address_type != "ipv4":
        raise misconfigured(f"Listener protocol '{protocol}' is not supported with a dual-stack load balancer")
    place = actions.Place(load_balancer.type, protocol, port)
    return _Settings(
        protocol,
        port,
        actions.checked(request.get("DefaultActions", []), place),
        _certificate(protocol, request.get("Certificates"), certificate),
        _ssl_policy(protocol, request.get("SslPolicy")),
        _alpn_policy(protocol, request.get("AlpnPolicy")),
        _mutual_authentication(elb, protocol, request.get("MutualAuthentication")),
    )


def _certificate(protocol: str, asked: list[Document] | None, before: str) -> str:
    if protocol not in _SECURE:
        if asked:
            raise invalid(f"A certificate cannot be specified for {protocol} listeners")
        return ""
    if not asked:
        raise invalid(f"A certificate must be specified for {protocol} listeners")
    if len(asked) > 1:
        raise invalid("You must specify exactly one certificate; add others with AddListenerCertificates")
    if "IsDefault" in asked[0]:
        raise invalid("You cannot specify 'IsDefault' for the certificate of a listener")
    arn = asked[0].get("CertificateArn", "")
    if arn != before:
        certificates.check(arn)
    return str(arn)


def _ssl_policy(protocol: str, asked: str | None) -> str:
    if protocol not in _SECURE:
        if asked:
            raise invalid(f"An SSL policy cannot be specified for {protocol} listeners")
        return ""
    if asked is None:
        return policies.DEFAULT
    policies.check(asked)
    return asked


def _alpn_policy(protocol: str, asked: list[str] | None) -> list[str]:
    if protocol != "TLS":
        if asked:
            raise invalid(f"An ALPN policy cannot be specified for {protocol} listeners")
        return []
    if asked and len(asked) > 1:
        raise invalid("You can specify only one ALPN policy")
    if asked and asked[0] not in _ALPN:
        raise Refusal("ALPNPolicyNotFound", f"ALPN policy '{asked[0]}' not found")
    return asked or ["None"]


def _mutual_authentication(elb: Backend, protocol: str, asked: Document | None) -> Document | None:
    if protocol != "HTTPS":
        if asked:
            raise invalid(f"Mutual authentication cannot be specified for {protocol} listeners")
        return None
    asked = asked or {"Mode": "off"}
    mode = asked.get("Mode", "off")
    if mode not in ("off", "passthrough", "verify"):
        raise invalid(f"Mutual authentication mode '{mode}' must be one of '[off, passthrough, verify]'")
    store = asked.get("TrustStoreArn")
    if mode == "verify":
        if not store:
            raise misconfigured("A trust store must be specified with mutual authentication mode 'verify'")
        elb.trust_store(store)
        found = {"Mode": mode, "TrustStoreArn": store}
        found["IgnoreClientCertificateExpiry"] = bool(asked.get("IgnoreClientCertificateExpiry", False))
        found["AdvertiseTrustStoreCaNames"] = asked.get("AdvertiseTrustStoreCaNames") or "off"
        return found
    if store or "IgnoreClientCertificateExpiry" in asked or "AdvertiseTrustStoreCaNames" in asked:
        raise misconfigured(f"With mutual authentication mode '{mode}', no trust store's settings can be specified")
    return {"Mode": mode}


def describe_listeners(elb: Backend, request: Document) -> Document:
    """DescribeListeners."""
    arn, arns = request.get("LoadBalancerArn"), request.get("ListenerArns") or []
    if arn and arns:
        raise invalid("Listener ARNs and a load balancer ARN cannot be specified at the same time")
    if not arn and not arns:
        raise invalid("You must specify either listener ARNs or a load balancer ARN")
    paging.check_count(arns, "listeners")
    found = list(elb.load_balancer(arn).listeners.values()) if arn else [elb.listener(one) for one in arns]
    return paging.page(found, request, "Listeners", Listener.document, lambda one: str(one.arn))


def delete_listener(elb: Backend, request: Document) -> Document:
    """DeleteListener."""
    listener = elb.listener(request["ListenerArn"])
    load_balancer = elb.load_balancers[listener.load_balancer_arn]
    if any((load_balancer.arn, listener.port) in group.targets for group in elb.target_groups.values()):
        raise Refusal(
            "ResourceInUse",
            f"Listener '{listener.arn}' cannot be deleted because its load balancer is registered as a target on port "
            f"'{listener.port}'",
        )
    del load_balancer.listeners[listener.arn]
    certificates.mark(elb, listener.certificates)
    for gone in (listener.arn, *listener.rules):
        tags.forget(elb, gone)
    return {}


def _secure(elb: Backend, arn: str) -> Listener:
    listener = elb.listener(arn)
    if listener.protocol not in _SECURE:
        raise invalid(f"A certificate cannot be specified for {listener.protocol} listeners")
    return listener


def add_listener_certificates(elb: Backend, request: Document) -> Document:
    """AddListenerCertificates."""
    listener = _secure(elb, request["ListenerArn"])
    load_balancer = elb.load_balancers[listener.load_balancer_arn]
    arns = [str(one.get("CertificateArn", "")) for one in request["Certificates"]]
    for arn in arns:
        certificates.check(arn)
    fresh = [arn for arn in dict.fromkeys(arns) if arn not in listener.certificates]
    others = {arn for one in load_balancer.listeners.values() for arn in one.certificates[1:]}
    if len(others | set(fresh)) > quotas.CERTIFICATES:
        raise Refusal(
            "TooManyCertificates",
            f"The maximum number of certificates per load balancer '{quotas.CERTIFICATES}' has been reached on load "
            f"balancer '{load_balancer.arn}'",
        )
    listener.certificates = [*listener.certificates, *fresh]
    certificates.mark(elb, fresh)
    return {"Certificates": [_certificate_document(listener, arn) for arn in dict.fromkeys(arns)]}


def remove_listener_certificates(elb: Backend, request: Document) -> Document:
    """RemoveListenerCertificates."""
    listener = _secure(elb, request["ListenerArn"])
    gone = [str(one.get("CertificateArn", "")) for one in request["Certificates"]]
    if listener.certificates[0] in gone:
        raise Refusal(
            "OperationNotPermitted",
            f"Default certificate '{listener.certificates[0]}' cannot be removed",
        )
    listener.certificates = [arn for arn in listener.certificates if arn not in gone]
    certificates.mark(elb, gone)
    return {}


def _certificate_document(listener: Listener, arn: str) -> Document:
    return {"CertificateArn": arn, "IsDefault": arn == listener.certificates[0]}


def describe_listener_certificates(elb: Backend, request: Document) -> Document:
    """DescribeListenerCertificates: the default one first."""
    listener = elb.listener(request["ListenerArn"])

    def show(arn: str) -> Any:
        return _certificate_document(listener, arn)

    return paging.page(listener.certificates, request, "Certificates", show, str)


def describe_listener_attributes(elb: Backend, request: Document) -> Document:
    """DescribeListenerAttributes."""
    listener = elb.listener(request["ListenerArn"])
    return attributes.document(listener.attributes)


def modify_listener_attributes(elb: Backend, request: Document) -> Document:
    """ModifyListenerAttributes."""
    listener = elb.listener(request["ListenerArn"])
    values = attributes.wanted(request["Attributes"])
    attributes.check_listener(listener.protocol, values)
    listener.attributes = {**listener.attributes, **values}
    return describe_listener_attributes(elb, request)


def place(elb: Backend, listener: Listener) -> actions.Place:
    """Where the actions of a listener's rules are."""
    load_balancer = elb.load_balancers[listener.load_balancer_arn]
    return actions.Place(load_balancer.type, listener.protocol, listener.port)
