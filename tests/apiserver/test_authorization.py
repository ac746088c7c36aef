"""RBAC as Kubernetes documents it ("Using RBAC Authorization"): who is bound to what, and what rules cover."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.local.apiserver.authorization import (
    Attributes,
    Policy,
    User,
    attributes,
    authorize,
    covers,
    denied,
    rules_of,
    service_account,
)

Json = dict[str, Any]


def named(name: str, namespace: str = "", **fields: Any) -> Json:
    metadata: Json = {"name": name, "labels": fields.pop("labels", {})}
    return {"metadata": metadata | ({"namespace": namespace} if namespace else {}), **fields}


def binding(name: str, role: str, *subjects: Json, namespace: str = "", kind: str = "ClusterRole") -> Json:
    return named(name, namespace, roleRef={"kind": kind, "name": role}, subjects=list(subjects))


def rule(verbs: str, resources: str, groups: str = "", names: str = "") -> Json:
    made: Json = {"verbs": verbs.split(), "resources": resources.split(), "apiGroups": groups.split() or [""]}
    return made | ({"resourceNames": names.split()} if names else {})


def policy(*, cluster_roles: Any = (), roles: Any = (), cluster_bindings: Any = (), bindings: Any = ()) -> Policy:
    def within(objects: Any, namespace: str) -> list[Json]:
        return [each for each in objects if each["metadata"].get("namespace") == namespace]

    def find(objects: Any, name: str) -> Json | None:
        return next((each for each in objects if each["metadata"]["name"] == name), None)

    return Policy(
        cluster_roles=lambda: cluster_roles,
        cluster_role=lambda name: find(cluster_roles, name),
        role=lambda namespace, name: find(within(roles, namespace), name),
        cluster_bindings=lambda: cluster_bindings,
        bindings=lambda namespace: within(bindings, namespace),
    )


ADA = service_account("shop", "ada")
AS_ADA = {"kind": "ServiceAccount", "name": "ada", "namespace": "shop"}


@pytest.mark.parametrize(
    ("method", "path", "query", "asked"),
    [
        ("GET", "api/v1/services", {}, Attributes("list", "", "services")),
        ("GET", "api/v1/services", {"watch": "true"}, Attributes("watch", "", "services")),
        ("GET", "api/v1/watch/services", {}, Attributes("watch", "", "services")),
        ("HEAD", "api/v1/namespaces/a/pods/b", {}, Attributes("get", "", "pods", "", "a", "b")),
        ("GET", "api/v1/namespaces/a", {}, Attributes("get", "", "namespaces", "", "a", "a")),
        ("PUT", "api/v1/namespaces/a/finalize", {}, Attributes("update", "", "namespaces", "finalize", "a", "a")),
        ("GET", "api/v1/namespaces", {}, Attributes("list", "", "namespaces")),
        ("PATCH", "api/v1/namespaces/a/pods/b/status", {}, Attributes("patch", "", "pods", "status", "a", "b")),
        ("GET", "api/v1/namespaces/a/pods/b/proxy/x/y", {}, Attributes("get", "", "pods", "proxy", "a", "b")),
        ("POST", "apis/x.io/v1/namespaces/a/bs", {}, Attributes("create", "x.io", "bs", "", "a")),
        ("DELETE", "apis/x.io/v1/namespaces/a/bs/c", {}, Attributes("delete", "x.io", "bs", "", "a", "c")),
        ("DELETE", "apis/x.io/v1/namespaces/a/bs", {}, Attributes("deletecollection", "x.io", "bs", "", "a")),
        (
            "GET",
            "api/v1/namespaces/a/secrets",
            {"fieldSelector": "metadata.name=one", "watch": "1"},
            Attributes("watch", "", "secrets", "", "a", "one"),
        ),
        ("GET", "version", {}, Attributes("get", path="/version")),
        ("GET", "apis/x.io/v1", {}, Attributes("get", path="/apis/x.io/v1")),
        ("POST", "nowhere/at/all", {}, Attributes("post", path="/nowhere/at/all")),
        ("GET", "", {}, Attributes("get", path="/")),
    ],
)
def test_what_a_request_asks_for(method: str, path: str, query: dict[str, str], asked: Attributes) -> None:
    assert attributes(method, [part for part in path.split("/") if part], query) == asked


PODS = Attributes("get", "", "pods", "", "shop", "web")


@pytest.mark.parametrize(
    ("given_rule", "asked", "allowed"),
    [
        (rule("get", "pods"), PODS, True),
        (rule("*", "*", "*"), PODS, True),
        (rule("list watch", "pods"), PODS, False),
        (rule("get", "pods", "apps"), PODS, False),
        (rule("get", "services"), PODS, False),
        (rule("get", "pods", names="web other"), PODS, True),
        (rule("get", "pods", names="other"), PODS, False),
        # A name never matches a request that names nothing.
        (rule("list", "pods", names="web"), Attributes("list", "", "pods", "", "shop"), False),
        (rule("create", "pods", names="web"), Attributes("create", "", "pods", "", "shop"), False),
        # A resource is not its subresources, nor the other way round.
        (rule("get", "pods"), PODS._replace(subresource="log"), False),
        (rule("get", "pods/log"), PODS._replace(subresource="log"), True),
        (rule("get", "pods/log"), PODS, False),
        (rule("get", "*/log"), PODS._replace(subresource="log"), True),
        (rule("get", "pods/*"), PODS._replace(subresource="log"), False),
        (rule("get", "*"), PODS._replace(subresource="log"), True),
        # Paths that are no resources.
        (rule("*", "*", "*"), Attributes("get", path="/metrics"), False),
        ({"verbs": ["get"], "nonResourceURLs": ["/metrics"]}, Attributes("get", path="/metrics"), True),
        ({"verbs": ["get"], "nonResourceURLs": ["/metrics"]}, Attributes("get", path="/metrics/x"), False),
        ({"verbs": ["get"], "nonResourceURLs": ["/apis/*"]}, Attributes("get", path="/apis/x.io/v1"), True),
        ({"verbs": ["get"], "nonResourceURLs": ["/apis/*"]}, Attributes("post", path="/apis/x.io/v1"), False),
        ({"verbs": ["get"], "nonResourceURLs": ["*"]}, PODS, False),
    ],
)
def test_what_a_rule_covers(given_rule: Json, asked: Attributes, allowed: bool) -> None:
    assert covers(given_rule, asked) is allowed


READER = named("reader", rules=[rule("get", "pods")])


@pytest.mark.parametrize(
    "subject",
    [
        AS_ADA,
        {"kind": "User", "name": "system:serviceaccount:shop:ada"},
        {"kind": "Group", "name": "system:serviceaccounts"},
        {"kind": "Group", "name": "system:serviceaccounts:shop"},
        {"kind": "Group", "name": "system:authenticated"},
    ],
)
def test_a_service_account_is_bound_by_its_name_and_its_groups(subject: Json) -> None:
    known = policy(cluster_roles=[READER], cluster_bindings=[binding("all", "reader", subject)])
    assert authorize(ADA, PODS, known).allowed
    assert not authorize(service_account("kitchen", "bob"), PODS, known).allowed or subject["name"] in (
        "system:serviceaccounts",
        "system:authenticated",
    )


def test_a_binding_in_a_namespace_gives_a_cluster_role_there_only() -> None:
    known = policy(cluster_roles=[READER], bindings=[binding("here", "reader", AS_ADA, namespace="shop")])
    assert authorize(ADA, PODS, known).allowed
    assert not authorize(ADA, PODS._replace(namespace="kitchen"), known).allowed
    assert not authorize(ADA, PODS._replace(namespace=""), known).allowed


def test_a_role_is_of_its_namespace_and_a_cluster_binding_has_none() -> None:
    role = named("reader", "shop", rules=[rule("get", "pods")])
    bound = binding("here", "reader", {**AS_ADA, "namespace": "shop"}, namespace="shop", kind="Role")
    assert authorize(ADA, PODS, policy(roles=[role], bindings=[bound])).allowed
    everywhere = binding("all", "reader", AS_ADA, kind="Role")
    assert not authorize(ADA, PODS, policy(roles=[role], cluster_bindings=[everywhere])).allowed


def test_a_missing_role_is_named() -> None:
    known = policy(cluster_bindings=[binding("all", "gone", AS_ADA)])
    decision = authorize(ADA, PODS, known)
    assert not decision.allowed
    assert denied(ADA, PODS, decision.reason).message == (
        'pods "web" is forbidden: User "system:serviceaccount:shop:ada" cannot get resource "pods" in API group "" in '
        'the namespace "shop": RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found'
    )


def test_a_refusal_in_an_api_servers_words() -> None:
    status = Attributes("patch", "gateway.networking.k8s.io", "gateways", "status", "edge", "a")
    assert denied(User("eve"), status, "").status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'gateways.gateway.networking.k8s.io "a" is forbidden: User "eve" cannot patch resource '
        '"gateways/status" in API group "gateway.networking.k8s.io" in the namespace "edge"',
        "reason": "Forbidden",
        "details": {"name": "a", "group": "gateway.networking.k8s.io", "kind": "gateways"},
        "code": 403,
    }
    everywhere = denied(User("eve"), Attributes("list", "", "nodes"), "")
    assert everywhere.message == (
        'nodes is forbidden: User "eve" cannot list resource "nodes" in API group "" at the cluster scope'
    )
    path = denied(User("eve"), Attributes("get", path="/metrics"), "")
    assert path.message == 'forbidden: User "eve" cannot get path "/metrics"'


def test_an_aggregated_role_has_the_rules_of_those_that_it_selects() -> None:
    selects = [{"matchLabels": {"to": "view"}}, {"matchExpressions": [{"key": "also", "operator": "Exists"}]}]
    view = named("view", aggregationRule={"clusterRoleSelectors": selects}, rules=[rule("delete", "pods")])
    again = named(
        "again", labels={"to": "view"}, aggregationRule={"clusterRoleSelectors": [{"matchLabels": {"to": "view"}}]}
    )
    parts = [
        view,
        again,
        named("a", labels={"to": "view"}, rules=[rule("get", "pods")]),
        named("b", labels={"also": "yes"}, rules=[rule("get", "services")]),
        named("c", labels={"to": "edit"}, rules=[rule("get", "secrets")]),
    ]
    known = policy(cluster_roles=parts, cluster_bindings=[binding("all", "view", AS_ADA)])
    assert authorize(ADA, PODS, known).allowed
    assert authorize(ADA, PODS._replace(resource="services"), known).allowed
    assert not authorize(ADA, PODS._replace(resource="secrets"), known).allowed
    assert not authorize(ADA, PODS._replace(verb="delete"), known).allowed  # its own rules don't count


def test_masters_are_asked_for_nothing() -> None:
    assert authorize(User("root", ("system:masters",)), PODS, policy()).allowed


WORD = st.sampled_from(["a", "b", "*"])
PLAIN = st.sampled_from(["a", "b"])
RULES = st.builds(
    lambda verbs, groups, resources, names: {
        "verbs": verbs,
        "apiGroups": groups,
        "resources": resources,
        "resourceNames": names,
    },
    st.lists(WORD, max_size=2),
    st.lists(WORD, max_size=2),
    st.lists(st.sampled_from(["a", "b", "*", "a/s", "*/s", "b/*"]), max_size=2),
    st.lists(PLAIN, max_size=1),
)
ASKED = st.builds(
    Attributes,
    PLAIN,
    PLAIN,
    PLAIN,
    st.sampled_from(["", "s", "t"]),
    st.sampled_from(["", "shop", "kitchen"]),
    st.sampled_from(["", "a", "b"]),
)
SUBJECT = st.sampled_from([AS_ADA, {"kind": "User", "name": "eve"}, {"kind": "Group", "name": "system:authenticated"}])


@st.composite
def policies(draw: st.DrawFn) -> dict[str, list[Json]]:
    where = st.sampled_from(["shop", "kitchen"])
    return {
        "cluster_roles": [named(name, rules=draw(st.lists(RULES, max_size=2))) for name in ("one", "two")],
        "roles": [named("one", draw(where), rules=draw(st.lists(RULES, max_size=2)))],
        "cluster_bindings": draw(
            st.lists(st.builds(lambda role, who: binding("x", role, who), PLAIN_ROLE, SUBJECT), max_size=2)
        ),
        "bindings": draw(
            st.lists(
                st.builds(
                    lambda role, who, at, kind: binding("y", role, who, namespace=at, kind=kind),
                    PLAIN_ROLE,
                    SUBJECT,
                    where,
                    st.sampled_from(["Role", "ClusterRole"]),
                ),
                max_size=2,
            )
        ),
    }


PLAIN_ROLE = st.sampled_from(["one", "two", "gone"])


@given(policies(), ASKED)
def test_allowed_is_what_some_rule_of_the_user_covers(objects: dict[str, list[Json]], asked: Attributes) -> None:
    known = policy(**objects)
    assert authorize(ADA, asked, known).allowed == any(
        covers(each, asked) for each in rules_of(ADA, asked.namespace, known)
    )


@given(policies(), policies(), ASKED)
def test_rights_only_add_up(objects: dict[str, list[Json]], more: dict[str, list[Json]], asked: Attributes) -> None:
    """RBAC has no rule that denies: what is allowed stays so, whoever is bound to more."""
    extended = {kind: objects[kind] + (more[kind] if "bindings" in kind else []) for kind in objects}
    if authorize(ADA, asked, policy(**objects)).allowed:
        assert authorize(ADA, asked, policy(**extended)).allowed


@given(policies(), ASKED, st.sampled_from(["shop", "kitchen"]))
def test_what_is_allowed_everywhere_is_allowed_in_each_namespace(
    objects: dict[str, list[Json]], asked: Attributes, namespace: str
) -> None:
    if authorize(ADA, asked._replace(namespace=""), policy(**objects)).allowed:
        assert authorize(ADA, asked._replace(namespace=namespace), policy(**objects)).allowed
