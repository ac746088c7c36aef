"""What a cluster waits for is answered, even when nobody wants the cluster any more.

Envoy acknowledges no cluster while one of them waits for its endpoints or secrets; without an answer that is 15
seconds, which are more here so that nobody takes the one for the other.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from envoy.service.discovery.v3 import discovery_pb2

from gatewright.envoy.ads import AdsServer
from gatewright.envoy.bootstrap import bootstrap
from gatewright.envoy.clusters import ADS, new_http_cluster
from gatewright.envoy.delivery import Delivery, Observer
from gatewright.envoy.process import EnvoyProcess, private_directory
from gatewright.envoy.resources import CLUSTER, ENDPOINTS, SECRET, TYPES, Ref, Resource, resource
from gatewright.flow import Flow, Source


@pytest.mark.parametrize("awaited", [ENDPOINTS, SECRET])
def test_what_a_cluster_asks_for_too_late_is_said_to_be_gone_once(awaited: str) -> None:
    flow = Flow()
    wanted: dict[str, Source[str, Resource]] = {url: flow.source(url) for url in TYPES}
    delivery = Delivery(wanted, Observer())

    def say(url: str, **fields: Any) -> list[discovery_pb2.DeltaDiscoveryResponse]:
        delivery.request(discovery_pb2.DeltaDiscoveryRequest(type_url=url, **fields))
        return delivery.responses()

    wanted[CLUSTER].set("a", resource("a", b"cluster"))
    wanted[awaited].set("a", resource("a", b"awaited", within=(Ref(CLUSTER, "a"),)))
    delivery.edited(CLUSTER, ["a"])
    delivery.edited(awaited, ["a"])
    delivery.connect()
    (sent,) = say(CLUSTER)
    for url in (CLUSTER, awaited):
        wanted[url].delete("a")
        delivery.edited(url, ["a"])
    (answer,) = say(awaited, resource_names_subscribe=["a"])
    assert (answer.type_url, list(answer.resources), list(answer.removed_resources)) == (awaited, [], ["a"])
    assert say(awaited, response_nonce=answer.nonce) == []
    (removal,) = say(CLUSTER, response_nonce=sent.nonce)
    assert list(removal.removed_resources) == ["a"]
    say(awaited, resource_names_unsubscribe=["a"])
    say(CLUSTER, response_nonce=removal.nonce)
    assert delivery.settled()


def _cluster(name: str, secret: str | None = None) -> Resource:
    message = new_http_cluster(name, http2=False)
    message.eds_cluster_config.eds_config.initial_fetch_timeout.seconds = 3600
    if secret:
        context = tls_pb2.UpstreamTlsContext()
        wanted = context.common_tls_context.tls_certificate_sds_secret_configs.add(name=secret).sds_config
        wanted.CopyFrom(ADS)
        wanted.initial_fetch_timeout.seconds = 3600
        message.transport_socket.name = "tls"
        message.transport_socket.typed_config.Pack(context)
    return resource(name, message.SerializeToString())


def _endpoints(name: str) -> Resource:
    message = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    return resource(name, message.SerializeToString(), within=(Ref(CLUSTER, name),))


@pytest.mark.parametrize("unanswerable", ["endpoints", "secret"])
async def test_a_cluster_that_waits_in_vain_holds_up_no_other(unanswerable: str) -> None:
    flow = Flow()
    wanted: dict[str, Source[str, Resource]] = {url: flow.source(url) for url in TYPES}

    async def add(name: str) -> None:
        with flow.batch():
            wanted[CLUSTER].set(name, _cluster(name))
            wanted[ENDPOINTS].set(name, _endpoints(name))
        async with asyncio.timeout(60):
            while not server.delivery.holds(Ref(ENDPOINTS, name)):
                await server.stirred()
            await server.settled()

    async with AsyncExitStack() as stack:
        directory = stack.enter_context(private_directory())
        server = await stack.enter_async_context(AdsServer(directory / "ads.sock", wanted))
        await stack.enter_async_context(
            EnvoyProcess(directory, bootstrap("test", server.socket, directory / "admin.sock"))
        )
        await add("first")  # what Envoy waits for when it starts holds up nothing
        with flow.batch():
            wanted[CLUSTER].set("in vain", _cluster("in vain", "none" if unanswerable == "secret" else None))
            if unanswerable == "secret":
                wanted[ENDPOINTS].set("in vain", _endpoints("in vain"))
        await add("second")
        await add("third")
