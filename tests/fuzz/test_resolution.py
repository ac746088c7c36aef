"""Resolution never fails and leaves no condition out, whatever set of manifests it gets: valid, broken, and in between.

`GATEWRIGHT_FUZZ=2000 pytest tests/fuzz` draws more of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import Phase, given, settings
from structlog.testing import capture_logs
from tests.fuzz.clusters import PROFILE, check, clusters, fill, read
from tests.fuzz.manifests import CONTROLLER, KINDS, Json, manifest, mended, problems, typed

from gatewright.flow import Flow
from gatewright.model.meta import Object
from gatewright.resolve import Inputs, resolve


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield


def _resolves(manifests: list[Json]) -> None:
    inputs = Inputs(Flow())
    resolution = resolve(inputs, {CONTROLLER})
    objects = read(manifests)
    half = len(objects) // 2
    fill(inputs, objects[:half])
    check(inputs, resolution)
    fill(inputs, objects[half:])
    check(inputs, resolution)
    with inputs.flow.batch():
        for obj in objects[:half]:
            inputs.by_type[type(obj)].delete(obj.key)
    check(inputs, resolution)


@PROFILE
@given(clusters(broken=True))
def test_any_set_of_manifests_is_resolved(manifests: list[Json]) -> None:
    _resolves(manifests)


@PROFILE
@given(clusters(broken=False))
def test_any_valid_set_of_manifests_is_resolved(manifests: list[Json]) -> None:
    assert [
        problem for data in manifests if data["apiVersion"].startswith("gateway") for problem in problems(data)
    ] == []
    _resolves(manifests)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_is_drawn_and_most_of_it_is_fine(kind: type[Object]) -> None:
    """The generator reaches each kind: else the tests above would prove nothing about it."""
    drawn: list[bool] = []

    @settings(PROFILE, max_examples=20, phases=[Phase.generate], database=None)
    @given(manifest(kind, wild=False))
    def draw(data: Json) -> None:
        fine = mended(data)
        drawn.append(fine is not None and type(typed(fine)) is kind)

    draw()
    assert sum(drawn) > len(drawn) / 2
