"""That pods can't be reached around the Gateway: tried, and by what the mesh or the network policies say."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Container, Iterable, Mapping
from typing import Any, Final

import msgspec

from gatewright.cluster import ApiError, Client, Unreachable
from gatewright.model.meta import LabelSelector
from gatewright.platform.report import Check
from gatewright.platform.verify.advice import advise
from gatewright.platform.verify.applications import server_answers
from gatewright.platform.verify.findings import CannotLookError, failed, judged, passed, skipped
from gatewright.platform.verify.placement import application_namespaces
from gatewright.platform.verify.view import Obj, View, name_of

ROOT: Final = "istio-system"
"""Istio's root namespace: policies in it are for the whole mesh."""

_SECURITY: Final = "security.istio.io/v1"
_AT_ONCE: Final = 8
_SECONDS: Final = 10.0
"""How long a pod is knocked at. The API server itself goes on for longer where packets are dropped."""
_STATUS_REASONS: Final = ("ServiceUnavailable", "InternalError", "BadGateway", "Timeout")
_TRYING: Final = "error trying to reach service"


# --- tried -----------------------------------------------------------------------------------------------------------


async def bypass(view: View) -> list[Check]:
    """Ask each application's pod through the API server, which is outside of the mesh: each has to refuse."""
    found, tenants = await asyncio.gather(view.objects("v1", "pods"), application_namespaces(view))
    wanted = [(pod, port) for pod in found if _answers(pod, tenants) for port in _ports(pod)[:1]]
    if not wanted:
        raise CannotLookError("no pod of an application is ready")
    if view.surroundings.outputs is None and not await _is_guarded(view):
        raise CannotLookError("the cluster has neither a mesh nor network policies")
    slots = asyncio.Semaphore(_AT_ONCE)

    async def tried(pod: Obj, port: int) -> Check:
        async with slots:
            return await _tried(view.surroundings.client, pod, port)

    checks = list(await asyncio.gather(*(tried(pod, port) for pod, port in wanted)))
    if any(check.outcome == "passed" for check in checks):
        why = await _no_proof(view)
        if why:
            return [_doubted(check, why) if check.outcome == "passed" else check for check in checks]
    return checks


async def _is_guarded(view: View) -> bool:
    """Whether there is anything by which somebody means to keep others from pods."""
    policies = await asyncio.gather(
        view.objects(_SECURITY, "peerauthentications"), view.objects("networking.k8s.io/v1", "networkpolicies")
    )
    return any(policies)


def _answers(pod: Obj, tenants: Container[str]) -> bool:
    metadata, status = pod.get("metadata") or {}, pod.get("status") or {}
    ready = any(each.get("type") == "Ready" and each.get("status") == "True" for each in status.get("conditions") or ())
    return ready and metadata.get("namespace") in tenants and not metadata.get("deletionTimestamp")


def _ports(pod: Obj) -> list[int]:
    containers = (pod.get("spec") or {}).get("containers") or ()
    return [
        int(port["containerPort"])
        for container in containers
        for port in container.get("ports") or ()
        if port.get("protocol", "TCP") == "TCP"
    ]


async def _tried(client: Client, pod: Obj, port: int) -> Check:
    namespace, _, name = name_of(pod).rpartition("/")
    subject, expected = f"Pod {namespace}/{name}:{port}", "refuses what doesn't come through the Gateway"
    reached = advise("isolation", "reached", namespace=namespace, name=name)
    try:
        async with asyncio.timeout(_SECONDS):
            await client.request("GET", f"/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy/")
    except TimeoutError:
        return passed("isolation", subject, expected, f"the API server gets no connection within {_SECONDS:g} s")
    except Unreachable as error:
        return skipped("isolation", subject, expected, f"the API server gave no answer: {error}")
    except ApiError as error:
        text = str(error)
        if _TRYING in text or (error.reason in _STATUS_REASONS and error.status >= 500):
            return passed("isolation", subject, expected, f"the API server's connection is refused: {text}")
        if error.status in (401, 403) and error.reason in ("Forbidden", "Unauthorized"):
            return skipped("isolation", subject, expected, f"not permitted to try: {text}")
        if error.reason or error.status in (405, 501):  # the API server's own words
            return skipped("isolation", subject, expected, f"the API server can't be asked to connect: {text}")
        text = f"it answers the API server {error.status}, around the Gateway"
        return failed("isolation", subject, expected, text, reached)
    return failed("isolation", subject, expected, "it answers the API server, around the Gateway", reached)


async def _no_proof(view: View) -> str:
    """Why a refusal proves nothing: the API server can't connect to a pod outside of the mesh either."""
    try:
        await server_answers(view)
    except ApiError as error:
        if not error.reason:  # it is argocd-server's own answer, whichever
            return ""
        return f"refused, but the API server can't connect to argocd-server either, which isn't in the mesh: {error}"
    except Unreachable as error:
        return f"refused, but the API server gave no answer for argocd-server: {error}"
    return ""


def _doubted(check: Check, why: str) -> Check:
    return skipped(check.id, check.subject, check.expected, why)


# --- the mesh --------------------------------------------------------------------------------------------------------


async def mesh(view: View) -> list[Check]:
    """Each application's namespace is in the mesh, takes only mutual TLS, and lets only those in whom it names."""
    namespaces, peers, policies, tenants = await asyncio.gather(
        view.objects("v1", "namespaces"),
        view.listed(_SECURITY, "peerauthentications"),
        view.listed(_SECURITY, "authorizationpolicies"),
        application_namespaces(view),
    )
    if not tenants:
        raise CannotLookError("no route leads to a Service")
    if peers is None or policies is None:
        if view.surroundings.outputs is None:
            raise CannotLookError("the cluster doesn't know Istio's policies")
        text = "the cluster doesn't know PeerAuthentication and AuthorizationPolicy"
        return [failed("mutual-tls", "the mesh", "Istio is installed", text, advise("mesh", "none"))]
    labels = {name_of(each): (each.get("metadata") or {}).get("labels") or {} for each in namespaces}
    checks = []
    for namespace in sorted(tenants):
        checks.append(_in_mesh(namespace, labels.get(namespace, {})))
        checks.append(_mutual_tls(namespace, peers))
        checks.append(_authorized(namespace, policies))
    return sorted(checks, key=lambda check: ("mesh", "mutual-tls", "authorization").index(check.id))


def _in_mesh(namespace: str, labels: Mapping[str, str]) -> Check:
    mode = labels.get("istio.io/dataplane-mode", "")
    subject, expected = f"Namespace {namespace}", "in the ambient mesh"
    text = f"istio.io/dataplane-mode: {mode}" if mode else "has no label istio.io/dataplane-mode"
    problem = "" if mode == "ambient" else text
    return judged("mesh", subject, expected, text, problem, advise("mesh", "outside", namespace=namespace))


def _mutual_tls(namespace: str, peers: Iterable[Obj]) -> Check:
    subject, expected = f"Namespace {namespace}", "PeerAuthentication STRICT"
    mode, by = effective_mode(namespace, peers)
    weak = weaker(namespace, peers)
    text = f"{mode} by {by}" if by else f"{mode}, since no PeerAuthentication says otherwise"
    problem = text if mode != "STRICT" else f"{text}, but {', '.join(weak)} lets plain text in" if weak else ""
    return judged("mutual-tls", subject, expected, text, problem, advise("mesh", "not-strict", namespace=namespace))


def effective_mode(namespace: str, peers: Iterable[Obj]) -> tuple[str, str]:
    """The mode of mutual TLS in a namespace and the PeerAuthentication that says so: its own, else the mesh's.

    Istio's reference, PeerAuthentication: without any it is PERMISSIVE; of several, the oldest counts.
    """
    whole = [each for each in peers if not _selects(each)]
    for place in (namespace, ROOT):
        own = [each for each in whole if (each.get("metadata") or {}).get("namespace") == place]
        for each in sorted(own, key=lambda each: str((each.get("metadata") or {}).get("creationTimestamp") or "")):
            mode = ((each.get("spec") or {}).get("mtls") or {}).get("mode") or "UNSET"
            if mode != "UNSET":
                return str(mode), name_of(each)
    return "PERMISSIVE", ""


def weaker(namespace: str, peers: Iterable[Obj]) -> list[str]:
    """The PeerAuthentications of a namespace that make an exception for some pods or ports."""
    found = []
    for each in peers:
        if (each.get("metadata") or {}).get("namespace") != namespace:
            continue
        spec = each.get("spec") or {}
        modes = [((spec.get("mtls") or {}).get("mode"))] if _selects(each) else []
        modes += [(port or {}).get("mode") for port in (spec.get("portLevelMtls") or {}).values()]
        if any(mode in ("PERMISSIVE", "DISABLE") for mode in modes):
            found.append(f"PeerAuthentication {name_of(each)}")
    return found


def _selects(obj: Obj) -> bool:
    """Whether it is for some pods of its namespace only."""
    selector = (obj.get("spec") or {}).get("selector") or {}
    return bool(selector.get("matchLabels"))


def _authorized(namespace: str, policies: Iterable[Obj]) -> Check:
    subject, expected = f"Namespace {namespace}", "an AuthorizationPolicy that lets only named principals in"
    own = [each for each in policies if (each.get("metadata") or {}).get("namespace") == namespace]
    rooted = [each for each in policies if (each.get("metadata") or {}).get("namespace") == ROOT]
    open_ = [name_of(each) for each in (*own, *rooted) if _lets_anybody_in(each)]
    limiting = [name_of(each) for each in (*own, *rooted) if not _selects(each) and _allows(each)]
    if open_:
        text = f"AuthorizationPolicy {', '.join(open_)} lets anybody in"
        return failed("authorization", subject, expected, text, advise("mesh", "open", namespace=namespace))
    if not limiting:
        return failed(
            "authorization", subject, expected, "there is none", advise("mesh", "no-policy", namespace=namespace)
        )
    if not any((each.get("spec") or {}).get("rules") for each in own if _allows(each)):
        text = f"{', '.join(limiting)} lets nobody in"
        return failed("authorization", subject, expected, text, advise("mesh", "nobody", namespace=namespace))
    return passed(
        "authorization", subject, expected, f"{', '.join(limiting)}: {', '.join(principals(own)) or 'by namespace'}"
    )


def _allows(policy: Obj) -> bool:
    spec = policy.get("spec") or {}
    return spec.get("action", "ALLOW") == "ALLOW" and not spec.get("targetRefs")


def _lets_anybody_in(policy: Obj) -> bool:
    """Whether some rule of it takes any source (Istio's reference, Rule.from: none is any)."""
    if not _allows(policy):
        return False
    for rule in (policy.get("spec") or {}).get("rules") or ():
        sources = [(each or {}).get("source") or {} for each in (rule or {}).get("from") or ()]
        if not sources or any(not _named(source) for source in sources):
            return True
    return False


def _named(source: Mapping[str, Any]) -> bool:
    kinds = ("principals", "namespaces", "serviceAccounts", "ipBlocks")
    names = [name for kind in kinds for name in source.get(kind) or ()]
    return bool(names) and "*" not in names


def principals(policies: Iterable[Obj]) -> list[str]:
    """Whom policies name as sources."""
    return sorted(
        {
            str(name)
            for policy in policies
            for rule in (policy.get("spec") or {}).get("rules") or ()
            for each in (rule or {}).get("from") or ()
            for kind in ("principals", "serviceAccounts")
            for name in ((each or {}).get("source") or {}).get(kind) or ()
        }
    )


# --- network policies ------------------------------------------------------------------------------------------------


async def network_policies(view: View) -> list[Check]:
    """Each application's pods let in only what comes from where the load balancer is."""
    policies, pods, tenants = await asyncio.gather(
        view.objects("networking.k8s.io/v1", "networkpolicies"),
        view.objects("v1", "pods"),
        application_namespaces(view),
    )
    if not tenants:
        raise CannotLookError("no route leads to a Service")
    outputs = view.surroundings.outputs
    permitted = outputs.public_subnet_cidrs if outputs else ()
    return [_guarded(namespace, policies, pods, permitted) for namespace in sorted(tenants)]


def _guarded(namespace: str, policies: Iterable[Obj], pods: Iterable[Obj], permitted: Iterable[str]) -> Check:
    subject, expected = f"Namespace {namespace}", "NetworkPolicies that let only the load balancer's subnets in"
    own = [each for each in policies if _is_for_ingress(each, namespace)]
    running = [pod for pod in pods if (pod.get("metadata") or {}).get("namespace") == namespace]
    bare = [name_of(pod) for pod in running if not any(_is_for(each, pod) for each in own)]
    names = {"namespace": namespace}
    if not own or bare:
        text = f"no NetworkPolicy is for {', '.join(bare[:3]) or 'its pods'}"
        return failed("network-policy", subject, expected, text, advise("network-policy", "none", **names))
    wide = [f"{name_of(each)} lets {what} in" for each in own for what in too_much(each, permitted)]
    if wide:
        return failed("network-policy", subject, expected, "; ".join(wide), advise("network-policy", "wide", **names))
    return passed("network-policy", subject, expected, ", ".join(name_of(each) for each in own))


def _is_for_ingress(policy: Obj, namespace: str) -> bool:
    spec = policy.get("spec") or {}
    here = (policy.get("metadata") or {}).get("namespace") == namespace
    return here and "Ingress" in (spec.get("policyTypes") or ["Ingress"])


def _is_for(policy: Obj, pod: Obj) -> bool:
    selector = msgspec.convert((policy.get("spec") or {}).get("podSelector") or {}, LabelSelector)
    return selector.matches(dict((pod.get("metadata") or {}).get("labels") or {}))


def too_much(policy: Obj, permitted: Iterable[str]) -> list[str]:
    """What a NetworkPolicy lets in that is neither of its own namespace's pods nor within the permitted subnets.

    Without permitted ones, anything but everybody is taken for narrow enough.
    """
    within = [ipaddress.ip_network(each) for each in permitted]
    found = []
    for rule in (policy.get("spec") or {}).get("ingress") or ():
        sources = (rule or {}).get("from") or ()
        if not sources:
            found.append("anybody")
        for source in sources:
            block = (source.get("ipBlock") or {}).get("cidr")
            if block:
                network = ipaddress.ip_network(block, strict=False)
                if network.prefixlen == 0 or (within and not any(_inside(network, each) for each in within)):
                    found.append(block)
            elif source.get("namespaceSelector") == {}:
                found.append("pods of every namespace")
    return found


def _inside(network: Any, other: Any) -> bool:
    return network.version == other.version and bool(network.subnet_of(other))
