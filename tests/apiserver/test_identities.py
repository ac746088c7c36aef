"""Who a request is from: tokens of ServiceAccounts, impersonation, and what the API tells about users."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import pytest

RBAC = "/apis/rbac.authorization.k8s.io/v1"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"
ADA = "system:serviceaccount:shop:ada"


def manifest(kind: str, name: str, api: str = "v1", **fields: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, **fields}


async def post(api: Any, path: str, body: Any, **options: Any) -> Any:
    code, answer = await api("POST", path, body, **options)
    assert code == 201, answer
    return answer


@pytest.fixture
async def shop(api: Any) -> Any:
    """An API with a namespace in which ServiceAccount ada may read pods."""
    await post(api, "/api/v1/namespaces", manifest("Namespace", "shop"))
    await post(api, "/api/v1/namespaces/shop/serviceaccounts", manifest("ServiceAccount", "ada"))
    group = "rbac.authorization.k8s.io/v1"
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "patch"]}]
    await post(api, f"{RBAC}/namespaces/shop/roles", manifest("Role", "reader", group, rules=rules))
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    subjects = [{"kind": "ServiceAccount", "name": "ada", "namespace": "shop"}]
    await post(
        api,
        f"{RBAC}/namespaces/shop/rolebindings",
        manifest("RoleBinding", "reader", group, roleRef=reference, subjects=subjects),
    )
    return api


async def token(api: Any, account: str = "ada", **spec: Any) -> str:
    body = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": spec}
    answer = await post(api, f"/api/v1/namespaces/shop/serviceaccounts/{account}/token", body)
    found: str = answer["status"]["token"]
    return found


def claims(text: str) -> Any:
    body = text.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


async def test_a_token_says_whose_it_is_and_for_how_long(shop: Any) -> None:
    found = claims(await token(shop, expirationSeconds=600))
    assert found["sub"] == ADA
    assert found["kubernetes.io"]["namespace"] == "shop"
    assert found["kubernetes.io"]["serviceaccount"]["name"] == "ada"
    assert found["exp"] - found["iat"] == 600


async def test_a_service_account_does_what_its_roles_allow_and_nothing_else(shop: Any) -> None:
    ada = await token(shop)
    assert (await shop("GET", "/api/v1/namespaces/shop/pods", token=ada))[0] == 200
    code, refused = await shop("GET", "/api/v1/namespaces/shop/secrets", token=ada)
    assert (code, refused["reason"]) == (403, "Forbidden")
    assert refused["message"] == (
        f'secrets is forbidden: User "{ADA}" cannot list resource "secrets" in API group "" in the namespace "shop"'
    )
    assert (await shop("GET", "/api/v1/pods", token=ada))[0] == 403
    assert (await shop("GET", "/api/v1/namespaces/shop/pods/x/log", token=ada))[0] == 403
    assert (await shop("GET", "/apis", token=ada))[0] == 200
    # What isn't there isn't told to those who may not see it.
    assert (await shop("GET", "/api/v1/namespaces/shop/nonsense", token=ada))[0] == 403


async def test_an_apply_that_creates_needs_the_right_to_create(shop: Any) -> None:
    ada = await token(shop)
    pod = manifest("Pod", "web", spec={"containers": [{"name": "web", "image": "web"}]})
    path, kind = "/api/v1/namespaces/shop/pods/web?fieldManager=t", "application/apply-patch+yaml"
    code, refused = await shop("PATCH", path, pod, content_type=kind, token=ada)
    assert code == 403
    assert f'User "{ADA}" cannot create resource "pods"' in refused["message"]
    assert (await shop("PATCH", path, pod, content_type=kind))[0] == 201
    assert (await shop("PATCH", path, pod, content_type=kind, token=ada))[0] == 200


@pytest.mark.parametrize(
    "spoil", [lambda text: text[:-2] + "xx", lambda _: "a.b.c", lambda _: "a.b.\udcff", lambda _: "x"]
)
async def test_nobody_is_known_by_a_token_that_is_not_ours(shop: Any, spoil: Any) -> None:
    code, refused = await shop("GET", "/api", token=spoil(await token(shop)))
    assert (code, refused["reason"]) == (401, "Unauthorized")


async def test_a_token_ends(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    ada = await token(shop, expirationSeconds=600)
    monkeypatch.setattr(time, "time", lambda: now + 599)
    assert (await shop("GET", "/api", token=ada))[0] == 200
    monkeypatch.setattr(time, "time", lambda: now + 601)
    assert (await shop("GET", "/api", token=ada))[0] == 401


async def test_a_token_goes_with_its_account_or_its_pod(shop: Any) -> None:
    spec = {"serviceAccountName": "ada", "containers": [{"name": "web", "image": "web"}]}
    pod = await post(shop, "/api/v1/namespaces/shop/pods", manifest("Pod", "web", spec=spec))
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "web", "uid": pod["metadata"]["uid"]}
    of_pod, of_account = await token(shop, boundObjectRef=bound), await token(shop)
    assert (await shop("GET", "/api", token=of_pod))[0] == 200
    await shop("DELETE", "/api/v1/namespaces/shop/pods/web")
    assert (await shop("GET", "/api", token=of_pod))[0] == 401
    await shop("DELETE", "/api/v1/namespaces/shop/serviceaccounts/ada")
    assert (await shop("GET", "/api", token=of_account))[0] == 401


async def test_token_requests_that_make_no_sense(shop: Any) -> None:
    path = "/api/v1/namespaces/shop/serviceaccounts/{}/token"
    assert (await shop("POST", path.format("bob"), {"spec": {}}))[0] == 404
    assert (await shop("POST", path.format("ada"), {"spec": {"expirationSeconds": 5}}))[0] == 422
    bound = {"kind": "Pod", "name": "gone"}
    assert (await shop("POST", path.format("ada"), {"spec": {"boundObjectRef": bound}}))[0] == 404
    for spec in ("x", {"boundObjectRef": "x"}, {"audiences": "x"}, {"audiences": [1]}):
        assert (await shop("POST", path.format("ada"), {"spec": spec}))[0] == 400


async def test_token_review(shop: Any) -> None:
    ada, other = await token(shop), await token(shop, audiences=["vault"])

    async def review(text: str, **spec: Any) -> Any:
        path = "/apis/authentication.k8s.io/v1/tokenreviews"
        return (await post(shop, path, {"spec": {"token": text, **spec}}))["status"]

    known = await review(ada)
    assert known["authenticated"]
    assert known["user"]["username"] == ADA
    assert "system:serviceaccounts:shop" in known["user"]["groups"]
    assert not (await review(other)).get("authenticated")
    assert (await review(other, audiences=["vault"]))["authenticated"]
    assert not (await review("nonsense")).get("authenticated")
    # A token for somebody else is no key to the API itself.
    assert (await shop("GET", "/api", token=other))[0] == 401


async def test_everybody_may_ask_about_themselves(shop: Any) -> None:
    ada = await token(shop)

    async def may(verb: str, resource: str, namespace: str = "shop") -> bool:
        about = {"verb": verb, "resource": resource, "namespace": namespace}
        body = {"spec": {"resourceAttributes": about}}
        answer = await post(shop, f"{AUTHORIZATION}/selfsubjectaccessreviews", body, token=ada)
        return bool(answer["status"]["allowed"])

    assert await may("get", "pods")
    assert not await may("delete", "pods")
    assert not await may("get", "pods", "default")
    rules = await post(shop, f"{AUTHORIZATION}/selfsubjectrulesreviews", {"spec": {"namespace": "shop"}}, token=ada)
    assert [each["resources"] for each in rules["status"]["resourceRules"] if "pods" in each["resources"]] == [["pods"]]
    who = await post(shop, "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, token=ada)
    assert who["status"]["userInfo"]["username"] == ADA
    # About others, only those may ask who have the right to.
    body = {"spec": {"user": ADA, "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "shop"}}}
    assert (await shop("POST", f"{AUTHORIZATION}/subjectaccessreviews", body, token=ada))[0] == 403
    assert (await post(shop, f"{AUTHORIZATION}/subjectaccessreviews", body))["status"]["allowed"]
    local = f"{AUTHORIZATION}/namespaces/shop/localsubjectaccessreviews"
    assert (await post(shop, local, body))["status"]["allowed"]


async def test_impersonation(shop: Any) -> None:
    as_ada = {"impersonate-user": ADA}
    assert (await shop("GET", "/api/v1/namespaces/shop/pods", headers=as_ada))[0] == 200
    assert (await shop("GET", "/api/v1/namespaces/shop/secrets", headers=as_ada))[0] == 403
    as_masters = {"impersonate-user": "eve", "impersonate-group": "system:masters"}
    assert (await shop("GET", "/api/v1/namespaces/shop/secrets", headers=as_masters))[0] == 200
    code, refused = await shop("GET", "/api", headers=as_masters, token=await token(shop))
    assert code == 403
    assert 'cannot impersonate resource "users" in API group "" at the cluster scope' in refused["message"]
    assert (await shop("GET", "/api", headers={"impersonate-group": "x"}))[0] == 400


async def test_each_namespace_has_a_service_account(shop: Any) -> None:
    path = "/api/v1/namespaces/shop/serviceaccounts/default"
    await asyncio.sleep(0)
    first = await shop("GET", path)
    assert first[0] == 200
    await shop("DELETE", path)
    await asyncio.sleep(0)
    again = await shop("GET", path)
    assert again[0] == 200
    assert again[1]["metadata"]["uid"] != first[1]["metadata"]["uid"]
    await shop("DELETE", "/api/v1/namespaces/shop")
    await asyncio.sleep(0)
    assert (await shop("GET", "/api/v1/namespaces/shop"))[0] == 404


def test_kubectl_asks_as_somebody_else(kubectl: Any) -> None:
    kubectl("create", "serviceaccount", "ada")
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods")
    kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={kubectl.namespace}:ada")
    account = f"system:serviceaccount:{kubectl.namespace}:ada"
    assert kubectl("auth", "can-i", "list", "pods", "--as", account).strip() == "yes"
    assert kubectl.run("auth", "can-i", "delete", "pods", "--as", account).stdout.strip() == "no"
    assert "pods" in kubectl("auth", "can-i", "--list", "--as", account)
    assert account in kubectl("auth", "whoami", "--as", account)
    text = kubectl("create", "token", "ada").strip()
    kubectl("get", "pods", "--token", text)
    assert f'User "{account}" cannot list resource "secrets"' in kubectl.fails("get", "secrets", "--token", text)
