"""The gateway controller: watches a cluster, resolves it and writes the statuses; targets attach to its topology."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from gatewright.cluster import Client, Reflector
from gatewright.controller.statuses import StatusWriter
from gatewright.flow import Source
from gatewright.model.core import ConfigMap, Namespace, Secret, Service
from gatewright.model.discovery import EndpointSlice
from gatewright.model.gateway import Gateway, GatewayClass, HTTPRoute, ReferenceGrant
from gatewright.resolve import Inputs, Resolution


@asynccontextmanager
async def gateway_controller(
    client: Client, inputs: Inputs, resolution: Resolution, controllers: Iterable[str]
) -> AsyncIterator[StatusWriter]:
    """Keep `inputs` equal to the cluster, and the cluster's statuses equal to `resolution`, within the context.

    Entered once every kind has been listed, so that nothing is judged by half of the objects.
    """
    watched: list[tuple[type[Any], Source[Any, Any]]] = [
        (GatewayClass, inputs.gateway_classes),
        (Gateway, inputs.gateways),
        (HTTPRoute, inputs.http_routes),
        (ReferenceGrant, inputs.reference_grants),
        (Service, inputs.services),
        (EndpointSlice, inputs.endpoint_slices),
        (Secret, inputs.secrets),
        (ConfigMap, inputs.config_maps),
        (Namespace, inputs.namespaces),
    ]
    async with AsyncExitStack() as stack:
        reflectors = [await stack.enter_async_context(Reflector(client, type_, source)) for type_, source in watched]
        await asyncio.gather(*(reflector.synced() for reflector in reflectors))
        yield await stack.enter_async_context(StatusWriter(client, inputs, resolution, frozenset(controllers)))
