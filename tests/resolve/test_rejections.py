"""What the proxy refuses is held against the object that asked for it, as long as there is that object."""

from __future__ import annotations

from typing import Any

import pytest

from gatewright.flow import Flow
from gatewright.model.codec import decode
from gatewright.model.gateway import HTTPRoute
from gatewright.model.meta import Key
from gatewright.resolve import Inputs
from gatewright.resolve.inputs import origin
from gatewright.topology import Rejection

KEY = Key("apps", "one")
OF = ("HTTPRoute", KEY)


def route(**metadata: Any) -> HTTPRoute:
    data = {"namespace": "apps", "name": "one", "generation": 1, "resourceVersion": "7", **metadata}
    return decode(
        HTTPRoute, {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": data, "spec": {}}
    )


@pytest.fixture
def inputs() -> Inputs:
    return Inputs(Flow())


def test_a_rejection_goes_with_its_object(inputs: Inputs) -> None:
    inputs.http_routes.set(KEY, route())
    inputs.rejections.set(OF, Rejection("1", "bad"))
    assert OF in inputs.rejections
    inputs.http_routes.delete(KEY)
    assert OF not in inputs.rejections


def test_a_rejection_that_comes_too_late_is_dropped(inputs: Inputs) -> None:
    inputs.rejections.set(OF, Rejection("1", "bad"))
    assert OF not in inputs.rejections


def test_an_object_that_is_made_anew_is_another(inputs: Inputs) -> None:
    assert origin(route(uid="a")).version != origin(route(uid="b")).version
    assert origin(route(uid="a")).version == origin(route(uid="a", resourceVersion="8")).version
    assert origin(route(uid="a")).version != origin(route(uid="a", generation=2)).version
