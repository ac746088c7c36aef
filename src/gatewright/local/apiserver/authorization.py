"""Who may do what: what a request asks for, and what RBAC says to it (Kubernetes docs, "Using RBAC Authorization").

Pure: a request's attributes and the cluster's roles and bindings go in, a decision comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gatewright.local.apiserver.errors import StatusError
from gatewright.local.apiserver.store import Json

MASTERS = "system:masters"
"""The group that no rule is asked for."""
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
ACCOUNT = "system:serviceaccount:"
ACCOUNTS = "system:serviceaccounts"

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True)
class User:
    """Who sends a request."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, list[str]] = field(default_factory=dict, hash=False)

    @property
    def info(self) -> Json:
        """The `UserInfo` of reviews."""
        found: Json = {"username": self.name}
        if self.uid:
            found["uid"] = self.uid
        if self.groups:
            found["groups"] = list(self.groups)
        if self.extra:
            found["extra"] = self.extra
        return found


def service_account(namespace: str, name: str, uid: str = "", extra: dict[str, list[str]] | None = None) -> User:
    """A ServiceAccount as a user."""
    groups = (ACCOUNTS, f"{ACCOUNTS}:{namespace}", AUTHENTICATED)
    return User(f"{ACCOUNT}{namespace}:{name}", groups, uid, extra or {})


class Attributes(NamedTuple):
    """What a request asks for. Either a resource, or (with `path`) something else that the API serves."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    """Empty for all namespaces, and for what is in none."""
    name: str = ""
    path: str = ""

    @property
    def whole(self) -> str:
        """The resource with its subresource, as rules name it."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Decision(NamedTuple):
    """Whether a request is allowed, and why in words (may be empty where it isn't)."""

    allowed: bool
    reason: str = ""
    granted: tuple[str, str, Json] | None = None
    """What allows it: kind and name of the role, and its rule."""


class Policy(NamedTuple):
    """The cluster's RBAC objects; each is read when it is asked for."""

    cluster_roles: Callable[[], Iterable[Json]]
    cluster_role: Callable[[str], Json | None]
    role: Callable[[str, str], Json | None]
    """By namespace and name."""
    cluster_bindings: Callable[[], Iterable[Json]]
    bindings: Callable[[str], Iterable[Json]]
    """Those of a namespace."""


def attributes(method: str, parts: Sequence[str], query: dict[str, str]) -> Attributes:
    """What a request asks for, by its method, its path's segments and its query (`RequestInfo` of the API server)."""
    if parts and parts[0] == "api" and len(parts) > 2:
        group, rest = "", list(parts[2:])
    elif parts and parts[0] == "apis" and len(parts) > 3:
        group, rest = parts[1], list(parts[3:])
    else:
        return Attributes(method.lower(), path="/" + "/".join(parts))
    watching = query.get("watch", "") in ("true", "1", "True", "t", "T")
    if rest[0] == "watch" and len(rest) > 1:
        watching, rest = True, rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        # A namespace is in itself, so that a Role in it can allow to read it.
        if len(rest) > 2 and not (not group and rest[2] in ("status", "finalize")):
            rest = rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if method in ("GET", "HEAD"):
        verb = "watch" if watching else "get" if name else "list"
    else:
        verb = _VERBS.get(method, method.lower())
        if verb == "delete" and not name:
            verb = "deletecollection"
    if not name and verb in ("list", "watch", "deletecollection"):
        name = _selected(query.get("fieldSelector", ""))
    return Attributes(verb, group, rest[0], subresource, namespace, name)


def _selected(selector: str) -> str:
    """The one name that a field selector leaves."""
    for part in selector.split(","):
        key, _, value = part.partition("=")
        if key == "metadata.name" and value.lstrip("="):
            return value.lstrip("=")
    return ""


def authorize(user: User, asked: Attributes, policy: Policy) -> Decision:
    """Whether a user may do it, by all that binds one of the user's names."""
    if MASTERS in user.groups:
        return Decision(True)
    missing = []
    for described, kind, name, rules in _rules(user, asked.namespace, policy):
        if rules is None:
            missing.append(f'{kind.lower()}.rbac.authorization.k8s.io "{name}" not found')
            continue
        for rule in rules:
            if covers(rule, asked):
                return Decision(True, f"RBAC: allowed by {described}", (kind, name, rule))
    return Decision(False, f"RBAC: {_listed(missing)}" if missing else "")


def _listed(problems: list[str]) -> str:
    return problems[0] if len(problems) == 1 else f"[{', '.join(dict.fromkeys(problems))}]"


def rules_of(user: User, namespace: str, policy: Policy) -> list[Json]:
    """All rules that a user has in a namespace."""
    if MASTERS in user.groups:
        everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
        return [everything, {"verbs": ["*"], "nonResourceURLs": ["*"]}]
    return [rule for *_, rules in _rules(user, namespace, policy) for rule in rules or ()]


_Found = tuple[str, str, str, list[Json] | None]


def _rules(user: User, namespace: str, policy: Policy) -> Iterator[_Found]:
    """How a binding is described, its role's kind and name, and the role's rules; None for a role that isn't there."""
    for binding in policy.cluster_bindings():
        if _bound(binding, user, ""):
            yield _resolved("ClusterRoleBinding", binding, "", policy)
    if namespace:
        for binding in policy.bindings(namespace):
            if _bound(binding, user, namespace):
                yield _resolved("RoleBinding", binding, namespace, policy)


def _resolved(kind: str, binding: Json, namespace: str, policy: Policy) -> _Found:
    reference = binding.get("roleRef") or {}
    role_kind, role_name = reference.get("kind", ""), reference.get("name", "")
    rules: list[Json] | None = None
    if role_kind == "ClusterRole":
        cluster_role = policy.cluster_role(role_name)
        rules = None if cluster_role is None else list(aggregated(cluster_role, policy.cluster_roles))
    elif namespace:
        role = policy.role(namespace, role_name)
        rules = None if role is None else list(role.get("rules") or ())
    name = binding["metadata"]["name"]
    qualified = f'"{name}/{namespace}"' if namespace else f'"{name}"'
    return f'{kind} {qualified} of {role_kind} "{role_name}"', role_kind, role_name, rules


def _bound(binding: Json, user: User, namespace: str) -> bool:
    return any(_is(subject, user, namespace) for subject in binding.get("subjects") or ())


def _is(subject: Json, user: User, namespace: str) -> bool:
    match subject.get("kind"):
        case "User":
            return bool(subject.get("name") == user.name)
        case "Group":
            return subject.get("name") in user.groups
        case "ServiceAccount":
            where = subject.get("namespace") or namespace
            return bool(where) and user.name == f"{ACCOUNT}{where}:{subject.get('name')}"
    return False


def aggregated(
    role: Json, cluster_roles: Callable[[], Iterable[Json]], seen: frozenset[str] = frozenset()
) -> Iterator[Json]:
    """A ClusterRole's rules: its own, or those of all that its aggregation rule selects."""
    selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors")
    if selectors is None:
        yield from role.get("rules") or ()
        return
    seen |= {role["metadata"]["name"]}
    for other in cluster_roles():
        if other["metadata"]["name"] not in seen and any(_selects(each, other) for each in selectors):
            yield from aggregated(other, cluster_roles, seen)


def _selects(selector: Json, obj: Json) -> bool:
    labels = obj["metadata"].get("labels") or {}
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for each in selector.get("matchExpressions") or ():
        value, values = labels.get(each["key"]), each.get("values") or ()
        holds = {
            "In": value in values,
            "NotIn": value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        if not holds[each["operator"]]:
            return False
    return True


def covers(rule: Json, asked: Attributes) -> bool:
    """Whether one rule allows what is asked (rbac/v1, PolicyRule)."""
    verbs = rule.get("verbs") or ()
    if "*" not in verbs and asked.verb not in verbs:
        return False
    if asked.path:
        return any(_path_matches(each, asked.path) for each in rule.get("nonResourceURLs") or ())
    groups = rule.get("apiGroups") or ()
    if "*" not in groups and asked.group not in groups:
        return False
    resources = rule.get("resources") or ()
    wanted = {"*", asked.whole}
    if asked.subresource:
        wanted.add(f"*/{asked.subresource}")
    if wanted.isdisjoint(resources):
        return False
    names = rule.get("resourceNames") or ()
    return not names or asked.name in names


def _path_matches(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1]))


def denied(user: User, asked: Attributes, reason: str) -> StatusError:
    """403, in an API server's words."""
    why = f": {reason}" if reason else ""
    if asked.path:
        return StatusError(
            403, "Forbidden", f'forbidden: User "{user.name}" cannot {asked.verb} path "{asked.path}"', {}
        )
    scope = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    told = f'User "{user.name}" cannot {asked.verb} resource "{asked.whole}" in API group "{asked.group}" {scope}{why}'
    qualified = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
    what = f'{qualified} "{asked.name}"' if asked.name else qualified
    details = {"name": asked.name} if asked.name else {}
    if asked.group:
        details["group"] = asked.group
    return StatusError(403, "Forbidden", f"{what} is forbidden: {told}", {**details, "kind": asked.resource})
