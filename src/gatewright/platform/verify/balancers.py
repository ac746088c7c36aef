"""Checks of load balancers and target groups: made, active, in zones, with healthy targets, logged, guarded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

from gatewright.aws.views import TargetGroup, TargetHealth, load_balancer_attributes
from gatewright.edge.front import Front, FrontBalancer
from gatewright.model.core import Service
from gatewright.model.gateway import Gateway
from gatewright.model.meta import Key
from gatewright.platform.report import Check
from gatewright.platform.verify.advice import advise
from gatewright.platform.verify.doors import Door
from gatewright.platform.verify.endpoints import doors_of
from gatewright.platform.verify.findings import CannotLookError, failed, passed
from gatewright.platform.verify.view import Obj, View

GATEWAY_LABEL: Final = "gateway.networking.k8s.io/gateway-name"
_ZONES: Final = 2


async def load_balancers(view: View) -> list[Check]:
    """Each Gateway has a load balancer, active and in two zones or more; so has each door."""
    snapshot, known = await asyncio.gather(view.cluster(), doors_of(view))
    with_aws = view.surroundings.aws is not None
    front = await view.front() if with_aws else Front()
    balanced = {key for resolution in snapshot.balanced for key in resolution.gateways}
    ours = sorted({*snapshot.resolution.gateways, *balanced})
    if not ours and view.surroundings.outputs:
        expected, text = "exists, with a load balancer", "there is no Gateway of a class that is accepted"
        return [failed("load-balancer", "the shared Gateway", expected, text, advise("load-balancer", "no-gateway"))]
    if not ours:
        raise CannotLookError("no Gateway is of a class that is known here")
    checks = []
    for key in ours:
        if key in balanced:
            own = next((each for each in front.balancers if each.gateway == str(key)), None)
            checks.append(_own(key, own) if with_aws else _told(snapshot.inputs.gateways[key]))
            continue
        services = [
            each
            for each in snapshot.inputs.services.values()
            if each.namespace == key.namespace
            and each.metadata.labels.get(GATEWAY_LABEL) == key.name
            and each.spec.type == "LoadBalancer"
        ]
        if not services:
            checks.append(_without_service(key))
        for service in services:
            events = await view.events("Service", str(service.key))
            checks.append(_of_service(key, service, front if with_aws else None, events))
    for door in sorted({*known.values()}, key=lambda each: each.name):
        found = next((each for each in front.balancers if door.arn and each.balancer.arn == door.arn), None)
        if found and not found.gateway:
            checks.append(_standing(f"{door.name}, in front", found))
    outputs = view.surroundings.outputs
    if outputs and outputs.alb_arn and outputs.alb_arn not in {each.balancer.arn for each in front.balancers}:
        subject, expected = f"ALB {outputs.alb_arn}", "exists and is active"
        if with_aws:
            checks.append(failed("load-balancer", subject, expected, "is gone", advise("load-balancer", "gone")))
    return checks


def _of_service(gateway: Key, service: Service, front: Front | None, events: Iterable[Obj]) -> Check:
    subject, expected = (
        f"Gateway {gateway}, Service {service.key}",
        f"an active load balancer in {_ZONES} zones or more",
    )
    names = {"gateway": str(gateway), "namespace": service.namespace, "service": service.name}
    addresses = [each.hostname or each.ip for each in service.status.load_balancer.ingress]
    told = [*events]
    trouble = next((each for each in reversed(told) if each.get("type") == "Warning"), None)
    if not addresses:
        if trouble is None:
            return failed("load-balancer", subject, expected, "has none", advise("load-balancer", "silent", **names))
        found = f"has none; {trouble.get('reason')}: {trouble.get('message')}"
        return failed("load-balancer", subject, expected, found, advise("load-balancer", _why(trouble), **names))
    if front is None:
        return passed("load-balancer", subject, "an address of a load balancer", ", ".join(map(str, addresses)))
    own = next((each for each in front.balancers if each.service == str(service.key)), None)
    if own is None:
        own = next((each for each in front.balancers if each.balancer.dns_name in addresses), None)
    if own is None:
        text = f"its status says {', '.join(map(str, addresses))}, but AWS has no such load balancer"
        if trouble is None or trouble is not told[-1]:
            return failed("load-balancer", subject, expected, text, advise("load-balancer", "gone"))
        # Its controller has seen that, too, and couldn't make another one.
        text += f"; {trouble.get('reason')}: {trouble.get('message')}"
        return failed("load-balancer", subject, expected, text, advise("load-balancer", _why(trouble), **names))
    return _standing(subject, own)


def _why(event: Mapping[str, Any]) -> str:
    """The reason of the advice for an event that tells why a load balancer isn't made."""
    text = str(event.get("message", "")).lower()
    if any(word in text for word in ("accessdenied", "not authorized", "unauthorizedoperation", "forbidden")):
        return "denied"
    if "subnet" in text:
        return "subnets"
    if any(word in text for word in ("toomany", "limitexceeded", "quota")):
        return "quota"
    return "FailedBuildModel" if event.get("reason") == "FailedBuildModel" else "FailedDeployModel"


def _without_service(gateway: Key) -> Check:
    subject, expected = f"Gateway {gateway}", "a Service of type LoadBalancer"
    return failed(
        "load-balancer", subject, expected, "has none", advise("load-balancer", "no-service", gateway=str(gateway))
    )


def _own(gateway: Key, found: FrontBalancer | None) -> Check:
    subject = f"Gateway {gateway}"
    if found is None:
        expected = f"is an active load balancer in {_ZONES} zones or more"
        names = {"gateway": str(gateway), "namespace": gateway.namespace, "service": gateway.name}
        return failed("load-balancer", subject, expected, "is none", advise("load-balancer", "none", **names))
    return _standing(f"{subject}, {found.balancer.type} load balancer {found.balancer.name}", found)


def _told(gateway: Gateway) -> Check:
    subject, expected = f"Gateway {gateway.key}", "an address of a load balancer"
    addresses = ", ".join(each.value for each in gateway.status.addresses)
    if not addresses:
        names = {"gateway": str(gateway.key), "namespace": gateway.namespace, "service": gateway.name}
        return failed("load-balancer", subject, expected, "has none", advise("load-balancer", "none", **names))
    return passed("load-balancer", subject, expected, addresses)


def _standing(subject: str, each: FrontBalancer) -> Check:
    balancer = each.balancer
    expected = f"an active load balancer in {_ZONES} zones or more"
    zones = ", ".join(zone.name for zone in balancer.zones)
    text = f"{balancer.name} is {balancer.state}, {balancer.scheme}, in {zones}"
    if balancer.state != "active":
        advice = advise(
            "load-balancer", balancer.state if balancer.state == "failed" else "provisioning", name=balancer.name
        )
        return failed("load-balancer", subject, expected, text, advice)
    if len(balancer.zones) < _ZONES:
        return failed("load-balancer", subject, expected, text, advise("load-balancer", "zones", name=balancer.name))
    if not each.listeners:
        return failed(
            "load-balancer",
            subject,
            expected,
            f"{text}, without a listener",
            advise("load-balancer", "listeners", name=balancer.name),
        )
    return passed("load-balancer", subject, expected, text)


# --- targets ---------------------------------------------------------------------------------------------------------


async def targets(view: View) -> list[Check]:
    """Every target of every target group in the chain is healthy; every group that is forwarded to has one."""
    front, known = await asyncio.gather(view.front(), doors_of(view))
    reached = chain_of(front, {door.arn for door in known.values()})
    outputs = view.surroundings.outputs
    arns = [arn for each in reached for listener in each.listeners for arn in listener.groups]
    arns += [outputs.target_group_arn] if outputs and outputs.target_group_arn else []
    checks: list[Check] = []
    for arn in dict.fromkeys(arns):
        group = front.groups.get(arn)
        name = group.name if group else arn.rpartition(":targetgroup/")[2]
        if group is None:
            text = advise("target", "group-gone", group=name)
            checks.append(failed("target-health", f"target group {name}", "exists", "is gone", text))
            continue
        checks += _targets(group, front.health.get(arn, ()))
    if not checks:
        raise CannotLookError("no load balancer in front forwards to a target group")
    return checks


def chain_of(front: Front, doors: Iterable[str]) -> list[FrontBalancer]:
    """The load balancers from the doors on: those, and the ones that are targets of theirs."""
    by_arn = {each.balancer.arn: each for each in front.balancers}
    by_address = {address: each.balancer.arn for each in front.balancers for address in each.addresses}
    found: dict[str, FrontBalancer] = {}
    left = [arn for arn in doors if arn in by_arn]
    while left:
        arn = left.pop(0)
        if arn in found:
            continue
        found[arn] = by_arn[arn]
        for listener in by_arn[arn].listeners:
            for group in listener.groups:
                ids = [health.target.id for health in front.health.get(group, ())]
                left += [by_address.get(id_, id_) for id_ in ids if by_address.get(id_, id_) in by_arn]
    # Load balancers of Gateways belong to the chain even while nothing is registered in front of them.
    for each in front.balancers:
        if each.service or each.gateway:
            found.setdefault(each.balancer.arn, each)
    return list(found.values())


def _targets(group: TargetGroup, health: Iterable[TargetHealth]) -> list[Check]:
    checks = []
    listed = [each for each in health if each.state != "draining"]
    expected = "healthy"
    names = {
        "group": group.name,
        "check": f"{group.health_check.protocol} {group.health_check.path}".strip(),
        "matcher": group.health_check.matcher or "a connection",
        "protocol": group.protocol,
    }
    if not listed:
        subject = f"target group {group.name}"
        return [
            failed("target-health", subject, "has targets", "has none", advise("target", "none", **names, target=""))
        ]
    for each in listed:
        target = f"{each.target.id.rpartition(':loadbalancer/')[2]}:{each.target.port}"
        subject = f"target {target} of {group.name}"
        if each.state in ("healthy", "unavailable"):
            checks.append(passed("target-health", subject, expected, each.state))
            continue
        words = " ".join(part for part in (each.state, each.reason) if part)
        text = f"{words}: {each.description}" if each.description else words
        checks.append(
            failed("target-health", subject, expected, text, advise("target", each.reason, **names, target=target))
        )
    return checks


# --- logs ------------------------------------------------------------------------------------------------------------


async def access_logs(view: View) -> list[Check]:
    """Each ALB in front writes access logs, into a bucket that exists."""
    return list(await asyncio.gather(*(_logs(view, door) for door in await albs(view))))


async def _logs(view: View, door: Door) -> Check:
    outputs = view.surroundings.outputs
    bucket = outputs.access_log_bucket if outputs else ""
    subject, expected = door.name, f"writes access logs to bucket {bucket}" if bucket else "writes access logs"
    attributes = await load_balancer_attributes(view.aws, door.arn)
    into = attributes.get("access_logs.s3.bucket", "")
    if attributes.get("access_logs.s3.enabled") != "true":
        return failed("access-logs", subject, expected, "they are off", advise("access-logs", "off", door=door.name))
    if bucket and into != bucket:
        advice = advise("access-logs", "elsewhere", door=door.name)
        return failed("access-logs", subject, expected, f"they go to bucket {into}", advice)
    return passed(
        "access-logs", subject, expected, f"into {into}/{attributes.get('access_logs.s3.prefix', '')}".rstrip("/")
    )


async def albs(view: View) -> list[Door]:
    """The ALBs in front. Raises CannotLookError where none is known."""
    front, known = await asyncio.gather(view.front(), doors_of(view))
    albs = {each.balancer.arn for each in front.balancers if each.balancer.type == "application"}
    found = sorted({door for door in known.values() if door.arn in albs}, key=lambda each: each.name)
    if not found:
        raise CannotLookError("no ALB in front is known")
    return found
