"""Ingresses of several tenants: in one group, and beside Gateways and each other."""

from __future__ import annotations

from typing import Any

from tests.edge_gateways.gateway_world import World, app, endpoints, gateway, obj, route, service, until

from gatewright.aws import views
from gatewright.aws.stack.desired import OWNERSHIP
from gatewright.model.core import Event

CLASS = obj("networking.k8s.io/v1", "IngressClass", "alb", "", spec={"controller": "ingress.k8s.aws/alb"})


def ingress(name: str, namespace: str = "infra", path: str = "/", **annotations: str) -> dict[str, Any]:
    """An Ingress to the Service of its name; annotations with _ for -, and __ for a dot."""
    given = {"target_type": "ip", **annotations}
    written = {
        f"alb.ingress.kubernetes.io/{key.replace('__', '.').replace('_', '-')}": value for key, value in given.items()
    }
    backend = {"service": {"name": name, "port": {"number": 80}}}
    paths = [{"path": path, "pathType": "Prefix", "backend": backend}]
    spec = {"ingressClassName": "alb", "rules": [{"http": {"paths": paths}}]}
    return obj("networking.k8s.io/v1", "Ingress", name, namespace, metadata={"annotations": written}, spec=spec)


async def told(world: World, name: str, namespace: str = "infra") -> str:
    found = await world.client.list(Event, namespace)
    return "\n".join(each.message for each in found if each.involved_object.name == name)


async def test_tags_cant_make_a_thing_pass_for_another_owners(world: World) -> None:
    """By these tags the controller finds what it has made: it would take one's load balancer for the other's."""
    stolen = "gateway.k8s.aws.alb/stack=infra/shared,gateway.k8s.aws.alb/resource=LoadBalancer"
    shared = "elbv2.k8s.aws/resource=backend-sg,gatewright.dev/certificate=request,team=web"
    await world.apply(CLASS, gateway(), route(), *app())
    async with world.controller() as controller:
        await world.settled(controller)
        before = await world.load_balancer()
        await world.apply(*app("10.9.9.8", name="evil"), ingress("evil", tags=f"{stolen},{shared}"))
        await world.settled(controller)
        await controller.look_again()
        await world.settled(controller)
        found = {each.arn: each for each in await views.load_balancers(world.aws)}
        assert before.arn in found
        assert len(found) == 2
        own = {key for tags in (await views.tags_of(world.aws, [*found])).values() for key in tags}
        assert {key for key in own if key.startswith(OWNERSHIP)} == {
            "elbv2.k8s.aws/cluster",
            "gateway.k8s.aws.alb/stack",
            "gateway.k8s.aws.alb/resource",
            "ingress.k8s.aws/stack",
            "ingress.k8s.aws/resource",
        }
        assert "team" in own
        assert "gateway.k8s.aws.alb/stack" in await told(world, "evil")


async def test_a_newcomer_cant_stop_the_group_that_it_joins(world: World) -> None:
    await world.apply(CLASS, obj("v1", "Namespace", "other", ""), *app(), ingress("web", group__name="shop"))
    await world.apply(service("evil", "other"), endpoints("10.9.9.8", name="evil", namespace="other"))
    async with world.controller() as controller:
        await world.settled(controller)
        before = await world.load_balancer()
        for broken in ({"inbound_cidrs": "everybody"}, {"wafv2_acl_name": "none"}, {"ssl_redirect": "443"}):
            await world.apply(ingress("evil", "other", "/evil", group__name="shop", **broken))
            await world.apply(endpoints("10.9.9.10", name="web"))
            await world.settled(controller)
            assert (await world.targets()).get("10.9.9.10:8080") in ("initial", "unhealthy")
            assert "the other Ingresses of the group are" in await told(world, "evil", "other")
            await world.apply(endpoints("10.9.9.11", name="web"))
        await world.apply(ingress("evil", "other", "/evil", group__name="shop"))
        await world.settled(controller)
        assert (await world.load_balancer()).arn == before.arn
        assert {each for each, state in (await world.targets()).items() if state != "draining"} == {
            "10.9.9.11:8080",
            "10.9.9.8:8080",
        }


async def test_a_target_group_of_somebody_else_cant_be_forwarded_to(world: World) -> None:
    """While its load balancer is replaced, say, it is free for any other in AWS."""
    (subnet, *_) = await world.aws.pages("ec2", "describe_subnets", "Subnets")
    marks = {"theirs": "gateway.k8s.aws.alb/stack=other/edge", "apart": "gatewright.dev/namespaces=shop", "free": "a=b"}
    arns = {}
    for name, tag in marks.items():
        key, _, value = tag.partition("=")
        made = await world.aws.call(
            "elbv2",
            "create_target_group",
            Name=name,
            Protocol="HTTP",
            Port=80,
            VpcId=subnet["VpcId"],
            TargetType="ip",
            Tags=[{"Key": key, "Value": value}],
        )
        arns[name] = made["TargetGroups"][0]["TargetGroupArn"]
    await world.apply(CLASS)
    async with world.controller() as controller:
        for name, arn in arns.items():
            action = f'{{"type":"forward","targetGroupARN":"{arn}"}}'
            made = ingress(name, path=f"/{name}", actions__go=action, group__name="all")
            made["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"] = {
                "name": "go",
                "port": {"name": "use-annotation"},
            }
            await world.apply(made)
        await until(lambda: _says(world, "theirs", "belongs to Gateway other/edge"))
        await until(lambda: _says(world, "apart", "may be used from the namespaces shop only"))
        await world.settled(controller)
        forwarded = [
            action["TargetGroupArn"]
            for each in await world.rules()
            for action in each["Actions"]
            if action["Type"] == "forward"
        ]
        assert forwarded == [arns["free"]]


async def _says(world: World, name: str, text: str) -> bool:
    return text in await told(world, name)
