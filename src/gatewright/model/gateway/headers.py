"""Filters and matches on headers, and mirroring: what HTTPRoute and GRPCRoute share."""

from __future__ import annotations

from typing import Annotated

from gatewright.model.constraints import integer, items
from gatewright.model.gateway.shared import BackendObjectReference, HeaderName, HeaderValue
from gatewright.model.meta import Model


class HTTPHeader(Model):
    """A header and its value."""

    name: HeaderName
    value: HeaderValue


class HTTPHeaderFilter(Model):
    """Changes headers: `set` overwrites, `add` appends, `remove` deletes. Names are compared without case."""

    set: Annotated[tuple[HTTPHeader, ...], items(at_most=16, keys=("name",))] = ()
    add: Annotated[tuple[HTTPHeader, ...], items(at_most=16, keys=("name",))] = ()
    remove: Annotated[tuple[str, ...], items(at_most=16, kind="set")] = ()


class Fraction(Model):
    """A share of the requests: `numerator` of `denominator`."""

    numerator: Annotated[int, integer(ge=0)]
    denominator: Annotated[int, integer(ge=1)] = 100


class HTTPRequestMirrorFilter(Model):
    """Sends a copy of requests to another backend: all, or a percentage, or a fraction of them."""

    backend_ref: BackendObjectReference
    percent: Annotated[int, integer(ge=0, le=100)] | None = None
    fraction: Fraction | None = None
