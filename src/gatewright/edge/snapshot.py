"""A cluster as it is at one moment, resolved: for commands that look once."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from gatewright.aws.configuration.sources import Configurations
from gatewright.aws.configuration.verdicts import verdicts
from gatewright.aws.dialects import ALB, ALB_CONTROLLER, NLB, NLB_CONTROLLER
from gatewright.cluster import Client, NotFound
from gatewright.edge.gateways.mirrors import mirror
from gatewright.flow import Flow
from gatewright.model.gateway import GatewayClass
from gatewright.model.meta import Object
from gatewright.resolve import Inputs, Resolution, resolve

_BALANCED = {ALB_CONTROLLER: ALB, NLB_CONTROLLER: NLB}


class Snapshot(NamedTuple):
    """A cluster. `balanced` are the Gateways that are load balancers of AWS, `resolution` has all others."""

    inputs: Inputs
    resolution: Resolution
    balanced: tuple[Resolution, ...]


async def read_cluster(client: Client) -> Snapshot:
    """Everything that resolution reads, and what follows from it for the Gateways of every class. Raises ClusterError.

    A kind that the cluster doesn't have is one without objects.
    """
    inputs = Inputs(Flow())

    async def found(type_: type[Object]) -> list[Any]:
        try:
            return await client.list(type_)
        except NotFound:
            return []

    # Gateways and routes name objects of these, and what comes of that depends on whether they can be used.
    configurations = Configurations(inputs.flow)
    kinds = [*inputs.by_type.items(), *configurations.by_type.items()]
    objects = await asyncio.gather(*(found(type_) for type_, _ in kinds))
    classes: list[GatewayClass] = [obj for each in objects for obj in each if isinstance(obj, GatewayClass)]
    with inputs.flow.batch():
        for (_, source), each in zip(kinds, objects, strict=True):
            source.replace({obj.key: obj for obj in each})
    mirror(verdicts(inputs, configurations), inputs.verdicts)
    controllers = frozenset(each.spec.controller_name for each in classes)
    return Snapshot(
        inputs,
        resolve(inputs, controllers - _BALANCED.keys()),
        tuple(resolve(inputs, {name}, dialect) for name, dialect in _BALANCED.items() if name in controllers),
    )
