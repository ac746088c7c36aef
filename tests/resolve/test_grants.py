"""ReferenceGrant: who may refer to what of another namespace."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from gatewright.flow import Collection, Flow
from gatewright.model.gateway import ReferenceGrant
from gatewright.model.gateway.referencegrant import ReferenceGrantFrom, ReferenceGrantSpec, ReferenceGrantTo
from gatewright.model.gateway.shared import GROUP
from gatewright.model.meta import Key, ObjectMeta
from gatewright.resolve import Inputs
from gatewright.resolve.grants import missing_grant, permitted

ROUTES = ReferenceGrantFrom(group=GROUP, kind="HTTPRoute", namespace="apps")
SERVICES = ReferenceGrantTo(group="", kind="Service")


def grant(
    from_: Iterable[ReferenceGrantFrom] = (ROUTES,),
    to: Iterable[ReferenceGrantTo] = (SERVICES,),
    namespace: str = "web",
) -> ReferenceGrant:
    spec = ReferenceGrantSpec(from_=tuple(from_), to=tuple(to))
    return ReferenceGrant(metadata=ObjectMeta(namespace=namespace, name="grant"), spec=spec)


class Question:
    """Whether HTTPRoutes of apps may refer to a Service, asked once and kept up to date."""

    def __init__(self, to: Key) -> None:
        self.inputs = Inputs(Flow())
        self.asked = self.inputs.flow.source("asked")
        self.asked.set(to, to)
        self.answers: Collection[Key, bool] = self.inputs.flow.derive(
            "answers",
            self.asked,
            lambda ctx, key, _: permitted(ctx, self.inputs, "HTTPRoute", "apps", "", "Service", key),
        )
        self.to = to

    @property
    def answer(self) -> bool:
        return self.answers[self.to]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (grant(), True),
        (grant(to=[ReferenceGrantTo(group="", kind="Service", name="site")]), True),
        (grant(to=[ReferenceGrantTo(group="", kind="Service", name="other")]), False),
        (grant(to=[ReferenceGrantTo(group="", kind="Secret"), SERVICES]), True),
        (grant(to=[ReferenceGrantTo(group="", kind="Secret")]), False),
        (grant(to=[ReferenceGrantTo(group="example.com", kind="Service")]), False),
        (grant([ReferenceGrantFrom(group=GROUP, kind="Gateway", namespace="apps"), ROUTES]), True),
        (grant([ReferenceGrantFrom(group=GROUP, kind="Gateway", namespace="apps")]), False),
        (grant([ReferenceGrantFrom(group=GROUP, kind="HTTPRoute", namespace="infra")]), False),
        (grant([ReferenceGrantFrom(group="example.com", kind="HTTPRoute", namespace="apps")]), False),
        (grant(namespace="apps"), False),
    ],
)
def test_a_grant_counts_where_it_names_both_sides(given: ReferenceGrant, *, expected: bool) -> None:
    question = Question(Key("web", "site"))
    assert not question.answer
    question.inputs.reference_grants.set(given.key, given)
    assert question.answer is expected
    question.inputs.reference_grants.delete(given.key)
    assert not question.answer, "a grant that is taken back holds no more"


def test_the_own_namespace_needs_no_grant() -> None:
    assert Question(Key("apps", "one")).answer


def test_half_of_one_grant_and_half_of_another_are_no_grant() -> None:
    question = Question(Key("web", "site"))
    wrong_to = grant(to=[ReferenceGrantTo(group="", kind="Secret")])
    wrong_from = grant([ReferenceGrantFrom(group=GROUP, kind="Gateway", namespace="apps")])
    question.inputs.reference_grants.replace({Key("web", "a"): wrong_to, Key("web", "b"): wrong_from})
    assert not question.answer


def test_the_missing_grant_is_described() -> None:
    assert missing_grant("HTTPRoute", "apps", "", "Service", Key("web", "site")) == (
        "no ReferenceGrant in namespace web lets HTTPRoutes of namespace apps refer to Service site"
    )
