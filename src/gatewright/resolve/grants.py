"""ReferenceGrant: whether an object may refer to one of another namespace (Gateway API, ReferenceGrant)."""

from __future__ import annotations

from gatewright.flow import Context
from gatewright.model.gateway.shared import GROUP
from gatewright.model.meta import Key
from gatewright.resolve.inputs import Inputs


def permitted(ctx: Context, inputs: Inputs, kind: str, namespace: str, to_group: str, to_kind: str, to: Key) -> bool:
    """Whether a Gateway API `kind` of `namespace` may refer to the object `to`: its own namespace's, or granted."""
    if namespace == to.namespace:
        return True
    return any(
        any(f.group == GROUP and f.kind == kind and f.namespace == namespace for f in grant.spec.from_)
        and any(t.group == to_group and t.kind == to_kind and t.name in (None, "", to.name) for t in grant.spec.to)
        for grant in ctx.lookup(inputs.grants_by_namespace, to.namespace)
    )


def missing_grant(kind: str, namespace: str, to_group: str, to_kind: str, to: Key) -> str:
    """Says which grant a refused reference lacks."""
    target = f"{to_kind}.{to_group}" if to_group else to_kind
    who = f"{kind}s of namespace {namespace}"
    return f"no ReferenceGrant in namespace {to.namespace} lets {who} refer to {target} {to.name}"
