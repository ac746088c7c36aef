"""Names, resource IDs and tags of what is made, as the AWS Load Balancer Controller gives them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from gatewright.aws.stack.desired import OWNERSHIP, StackKey
from gatewright.model.meta import Key

LOAD_BALANCER = "LoadBalancer"
SECURITY_GROUP = "ManagedLBSecurityGroup"

MOST_TAGS = 50
"""On a thing (ELBv2 API, AddTags; so with EC2 and ACM)."""

ASKED_TAGS = MOST_TAGS - 4
"""How many of them users may have; the others say whose it is, and what."""

_TAG_VALUE = 256  # characters (ELBv2 API, Tag)


def load_balancer_name(stack: StackKey, owner: Key, uid: str, scheme: str) -> str:
    """At most 32 characters. An Ingress group that has a name of its own has no namespace."""
    if stack.kind == "ingress":
        return _short(owner, stack.cluster, str(owner), scheme)
    return _short(owner, stack.cluster, uid, scheme)


def security_group_name(stack: StackKey, owner: Key, uid: str) -> str:
    """At most 32 characters."""
    if stack.kind == "ingress":
        return _short(owner, stack.cluster, str(owner))
    return _short(owner, stack.cluster, owner.name, owner.namespace, uid)


def target_group_name(stack: StackKey, service: Key, parts: Iterable[str]) -> str:
    """At most 32 characters. `parts` are the resource ID and all that can't be changed in a target group that exists.

    So one that has to be another gets another name, and both can stand side by side for a while.
    """
    return _short(service, stack.cluster, stack.kind, stack.id, *parts)


def trust_store_name(stack: StackKey, owner: Key, resource: str) -> str:
    """At most 32 characters."""
    return _short(owner, stack.cluster, stack.kind, stack.id, resource)


def backend_group_name(cluster: str) -> str:
    """The name of the security group that the load balancers of a cluster share."""
    digest = hashlib.sha256(cluster.encode()).hexdigest()
    return f"k8s-traffic-{_alphanumeric(cluster)[:232]}-{digest[:10]}"


def resource_id(*parts: str) -> str:
    """A resource ID of these parts, which a tag has room for."""
    text = ":".join(parts)
    if len(text) <= _TAG_VALUE:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:32]
    return f"{text[: _TAG_VALUE - len(digest) - 1]}-{digest}"


class Tags:
    """The tags of one stack's things: those that were asked for, which can't replace those of ownership.

    AWS takes `MOST_TAGS` on a thing. Of more the first ones count: of what everything gets, then by name.
    """

    def __init__(self, stack: StackKey, given: Mapping[str, str], defaults: Mapping[str, str]) -> None:
        self.stack = stack
        self._given = {**allowed(given), **allowed(defaults)}
        self._first = allowed(defaults).keys()

    def of(self, resource: str, further: Mapping[str, str] | None = None) -> dict[str, str]:
        """All tags of the thing with this resource ID."""
        own = {**self.stack.tags, self.stack.resource_tag: resource}
        return dict(sorted({**self._fitting(further or {}), **own}.items()))

    def plain(self, further: Mapping[str, str]) -> dict[str, str]:
        """The tags of a thing that is a part of another and has no resource ID, a rule."""
        return dict(sorted({**self._fitting(further), **self.stack.tags}.items()))

    @property
    def too_many(self) -> tuple[str, ...]:
        """The tags that were asked for and for which there is no room, on whatever is made."""
        return tuple(sorted(self._given.keys() - self._fitting({}).keys()))

    def _fitting(self, further: Mapping[str, str]) -> dict[str, str]:
        every = {**self._given, **allowed(further)}
        order = sorted(every, key=lambda key: (key not in self._first, key not in further, key))
        return {key: every[key] for key in order[:ASKED_TAGS]}


def allowed(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags without those that are AWS's (`aws:...`) or the controller's own."""
    barred = reserved(tags)
    return {key: value for key, value in tags.items() if key not in barred}


def reserved(tags: Mapping[str, str]) -> list[str]:
    """Those of the tags that nobody else may set: by tags of any kind of stack a thing could pass for another's."""
    return sorted(key for key in tags if key.startswith(OWNERSHIP) or key.lower().startswith("aws:"))


def _short(key: Key, *told_apart: str) -> str:
    digest = hashlib.sha256("".join(told_apart).encode()).hexdigest()[:10]
    if not key.namespace:
        return f"k8s-{_alphanumeric(key.name)[:17]}-{digest}"
    return f"k8s-{_alphanumeric(key.namespace)[:8]}-{_alphanumeric(key.name)[:8]}-{digest}"


def _alphanumeric(text: str) -> str:
    return re.sub("[^A-Za-z0-9]", "", text)
