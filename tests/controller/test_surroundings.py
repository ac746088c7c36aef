"""What no watch tells, told to resolution: against the embedded API, which has the Gateway API's definitions."""

from __future__ import annotations

from gatewright.cluster import Client
from gatewright.controller.surroundings import Surroundings
from gatewright.flow import Flow
from gatewright.local.apiserver import ApiServer, Store
from gatewright.resolve import Inputs
from gatewright.resolve.features import BUNDLE
from gatewright.resolve.inputs import NOW


async def test_the_time_and_the_versions_of_the_definitions_are_known() -> None:
    inputs = Inputs(Flow())
    async with ApiServer(Store.memory()) as server:
        client = Client.with_token(server.url, server.token, server.ca_certificate)
        async with client, Surroundings(client, inputs) as surroundings:
            now = inputs.clock[NOW]
            assert now.tzinfo is not None
            assert (now.second, now.microsecond) == (0, 0)
            await surroundings.look()
    found = dict(inputs.bundle_versions.items())
    assert len(found) == 10
    assert {version.rpartition(".")[0] for version in found.values()} == {BUNDLE}


async def test_a_definition_that_goes_is_forgotten_and_one_that_can_not_be_read_is_not() -> None:
    inputs = Inputs(Flow())
    inputs.bundle_versions.set("lost.gateway.networking.k8s.io", "v1.0.0")
    async with (
        ApiServer(Store.memory()) as server,
        Client.with_token(server.url, server.token, server.ca_certificate) as client,
    ):
        surroundings = Surroundings(client, inputs)
        surroundings._definitions = ["lost.gateway.networking.k8s.io"]
        await surroundings.look()
        assert not len(inputs.bundle_versions)
    inputs.bundle_versions.set("gateways.gateway.networking.k8s.io", "v1.6.1")
    async with Client.with_token(server.url, server.token, server.ca_certificate) as client:
        await Surroundings(client, inputs).look()  # nobody is there any more
    assert dict(inputs.bundle_versions.items()) == {"gateways.gateway.networking.k8s.io": "v1.6.1"}
