"""The verbs as HTTP requests: what each answers, stores and refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MAPS = "/api/v1/namespaces/default/configmaps"
ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes"
SERVICES = "/api/v1/namespaces/default/services"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
MERGE = "application/merge-patch+json"


def config_map(name: str = "a", **data: str) -> Any:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def route(name: str = "web", **spec: Any) -> Any:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name},
        "spec": spec,
    }


def deployment(**spec: Any) -> Any:
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec},
    }


async def test_create_get_update_delete(api: Any) -> None:
    code, made = await api("POST", MAPS, config_map(x="1"))
    assert code == 201
    assert made["metadata"].keys() >= {"uid", "creationTimestamp", "resourceVersion", "namespace", "managedFields"}
    assert await api("GET", f"{MAPS}/a") == (200, made)
    code, changed = await api("PUT", f"{MAPS}/a", {**made, "data": {"x": "2"}})
    assert code == 200
    assert int(changed["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    assert changed["metadata"]["uid"] == made["metadata"]["uid"]
    code, status = await api("DELETE", f"{MAPS}/a")
    assert (code, status["status"]) == (200, "Success")
    code, status = await api("GET", f"{MAPS}/a")
    assert (code, status["reason"], status["message"]) == (404, "NotFound", 'configmaps "a" not found')
    assert status["details"] == {"name": "a", "kind": "configmaps"}


async def test_a_write_that_changes_nothing_is_none(api: Any) -> None:
    _, made = await api("POST", MAPS, config_map(x="1"))
    _, same = await api("PUT", f"{MAPS}/a", made)
    assert same == made


async def test_optimistic_concurrency(api: Any) -> None:
    _, first = await api("POST", MAPS, config_map(x="1"))
    await api("PUT", f"{MAPS}/a", {**first, "data": {"x": "2"}})
    code, status = await api("PUT", f"{MAPS}/a", {**first, "data": {"x": "3"}})
    assert (code, status["reason"]) == (409, "Conflict")
    assert "the object has been modified; please apply your changes to the latest version" in status["message"]
    code, status = await api("DELETE", f"{MAPS}/a", {"preconditions": {"uid": "other"}})
    assert code == 409
    _, made = await api("POST", ROUTES, route())
    del made["metadata"]["resourceVersion"]
    code, status = await api("PUT", f"{ROUTES}/web", made)
    assert (code, status["details"]["causes"][0]["field"]) == (422, "metadata.resourceVersion")


async def test_names_are_taken_or_generated(api: Any) -> None:
    await api("POST", MAPS, config_map())
    code, status = await api("POST", MAPS, config_map())
    assert (code, status["reason"], status["message"]) == (409, "AlreadyExists", 'configmaps "a" already exists')
    generated = {**config_map(), "metadata": {"generateName": "a-"}}
    names = {(await api("POST", MAPS, generated))[1]["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("a-") for name in names)
    code, status = await api("POST", MAPS, {**config_map(), "metadata": {}})
    assert (
        status["message"] == 'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required'
    )


async def test_dry_run_stores_nothing(api: Any) -> None:
    code, made = await api("POST", f"{MAPS}?dryRun=All", config_map())
    assert (code, made["metadata"]["name"]) == (201, "a")
    assert (await api("GET", f"{MAPS}/a"))[0] == 404
    await api("POST", MAPS, config_map(x="1"))
    before = api.store.revision
    _, changed = await api("PATCH", f"{MAPS}/a?dryRun=All", {"data": {"x": "2"}}, content_type=MERGE)
    assert changed["data"] == {"x": "2"}
    await api("DELETE", f"{MAPS}/a?dryRun=All")
    assert api.store.revision == before
    assert (await api("DELETE", f"{MAPS}/a?dryRun=Some"))[0] == 400


async def test_generation_counts_changes_of_the_specification(api: Any) -> None:
    _, made = await api("POST", ROUTES, {**route(), "status": {"parents": []}})
    assert made["metadata"]["generation"] == 1
    assert "status" not in made
    patch = {"metadata": {"labels": {"a": "b"}}, "status": {"parents": []}}
    _, labelled = await api("PATCH", f"{ROUTES}/web", patch, content_type=MERGE)
    assert labelled["metadata"]["generation"] == 1
    assert "status" not in labelled
    _, changed = await api("PATCH", f"{ROUTES}/web", {"spec": {"hostnames": ["a.b"]}}, content_type=MERGE)
    assert changed["metadata"]["generation"] == 2
    patch = {"spec": {"hostnames": ["c.d"]}, "status": {"parents": []}}
    _, with_status = await api("PATCH", f"{ROUTES}/web/status", patch, content_type=MERGE)
    assert with_status["spec"]["hostnames"] == ["a.b"]
    assert with_status["status"] == {"parents": []}
    assert with_status["metadata"]["generation"] == 2


async def test_a_null_that_a_field_can_not_hold_is_left_out(api: Any) -> None:
    code, made = await api("POST", ROUTES, {**route(), "spec": {**route()["spec"], "hostnames": None, "rules": None}})
    assert code == 201
    assert "hostnames" not in made["spec"]
    assert made["spec"]["rules"] == [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}]
    code, same = await api("PUT", f"{ROUTES}/web", {**made, "spec": {**made["spec"], "hostnames": None}})
    assert (code, same) == (200, made)


async def test_lists_select_and_page(api: Any) -> None:
    for index in range(7):
        obj = config_map(f"m{index}")
        obj["metadata"]["labels"] = {"odd": str(index % 2)}
        await api("POST", MAPS, obj)
    _, odd = await api("GET", f"{MAPS}?labelSelector=odd%3D1")
    assert [item["metadata"]["name"] for item in odd["items"]] == ["m1", "m3", "m5"]
    _, named = await api("GET", "/api/v1/configmaps?fieldSelector=metadata.name%3Dm2")
    assert [item["metadata"]["name"] for item in named["items"]] == ["m2"]
    assert (await api("GET", f"{MAPS}?fieldSelector=spec.x%3D2"))[0] == 400
    _, page = await api("GET", f"{MAPS}?limit=3")
    assert page["metadata"]["remainingItemCount"] == 4
    await api("DELETE", f"{MAPS}/m6")
    seen = [item["metadata"]["name"] for item in page["items"]]
    while "continue" in page["metadata"]:
        _, page = await api("GET", f"{MAPS}?limit=3&continue={page['metadata']['continue']}")
        seen += [item["metadata"]["name"] for item in page["items"]]
    # All pages show the state of the first one.
    assert seen == [f"m{index}" for index in range(7)]
    code, status = await api("GET", f"{MAPS}?limit=3&continue=WyJ4IiwzXQ")
    assert (code, status["reason"]) == (410, "Expired")
    assert (await api("GET", f"{MAPS}?continue=nonsense"))[0] == 400
    code, status = await api("GET", f"{MAPS}?resourceVersion=99999")
    assert (code, status["details"]["causes"][0]["reason"]) == (504, "ResourceVersionTooLarge")


async def test_delete_collection(api: Any) -> None:
    for name in ("a", "b", "c"):
        obj = config_map(name)
        obj["metadata"]["labels"] = {"name": name}
        await api("POST", MAPS, obj)
    _, deleted = await api("DELETE", f"{MAPS}?labelSelector=name+in+(a,b)")
    assert len(deleted["items"]) == 2
    _, left = await api("GET", MAPS)
    assert [item["metadata"]["name"] for item in left["items"]] == ["c"]


async def test_gateway_api_versions_are_one_storage(api: Any) -> None:
    await api("POST", ROUTES, route())
    old = ROUTES.replace("/v1/", "/v1beta1/")
    _, seen = await api("GET", f"{old}/web")
    assert seen["apiVersion"] == "gateway.networking.k8s.io/v1beta1"
    _, changed = await api("PATCH", f"{old}/web", {"spec": {"hostnames": ["a.b"]}}, content_type=MERGE)
    assert changed["apiVersion"] == "gateway.networking.k8s.io/v1beta1"
    _, seen = await api("GET", f"{ROUTES}/web")
    assert (seen["apiVersion"], seen["spec"]["hostnames"]) == ("gateway.networking.k8s.io/v1", ["a.b"])


async def test_events_are_one_storage_behind_two_apis(api: Any) -> None:
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "regarding": {"kind": "Pod", "name": "p"},
        "note": "hello",
        "reason": "R",
        "action": "A",
        "type": "Normal",
        "reportingController": "x/y",
        "reportingInstance": "z",
    }
    code, made = await api("POST", "/apis/events.k8s.io/v1/namespaces/default/events", event)
    assert (code, made["note"]) == (201, "hello")
    _, core = await api("GET", "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dp")
    assert core["items"][0]["message"] == "hello"
    assert core["items"][0]["reportingComponent"] == "x/y"


async def test_services_get_addresses_and_ports_and_keep_them(api: Any) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
    _, made = await api("POST", SERVICES, service)
    assert made["spec"]["clusterIP"].startswith("10.")
    assert made["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    _, balanced = await api("PATCH", f"{SERVICES}/s", {"spec": {"type": "LoadBalancer"}}, content_type=MERGE)
    assert 30000 <= balanced["spec"]["ports"][0]["nodePort"] <= 32767
    replaced = {**service, "spec": {"ports": [{"port": 80}], "type": "LoadBalancer"}}
    _, after = await api("PUT", f"{SERVICES}/s", replaced)
    assert after["spec"]["clusterIP"] == made["spec"]["clusterIP"]
    assert after["spec"]["ports"] == balanced["spec"]["ports"]
    code, status = await api("PATCH", f"{SERVICES}/s", {"spec": {"clusterIP": "10.96.0.99"}}, content_type=MERGE)
    assert (code, status["details"]["causes"][0]["field"]) == (422, "spec.clusterIPs[0]")


@pytest.mark.parametrize(
    ("path", "obj", "message"),
    [
        (
            SERVICES,
            {"kind": "Service", "metadata": {"name": "S"}, "spec": {"type": "Odd"}},
            'spec.type: Unsupported value: "Odd": supported values: "ClusterIP", "ExternalName", "LoadBalancer", ',
        ),
        (
            SERVICES,
            {"kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 0}]}},
            'Service "s" is invalid: [spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive, ',
        ),
        (
            DEPLOYMENTS,
            deployment(template={"spec": {"containers": [{"name": "a"}]}}),
            "spec.template.spec.containers[0].image: Required value",
        ),
        (DEPLOYMENTS, deployment(selector=None), "spec.selector: Required value"),
        (
            MAPS,
            {"kind": "ConfigMap", "metadata": {"name": "a", "labels": {"a b": "c"}}},
            'metadata.labels: Invalid value: "a b": name part must consist of alphanumeric characters',
        ),
        (
            ROUTES,
            route(parentRefs=[{"name": "x", "port": 70000}]),
            "spec.parentRefs[0].port: Invalid value: 70000: spec.parentRefs[0].port in body should be less than or "
            "equal to 65535",
        ),
        (
            ROUTES,
            route(rules=[{"matches": [{"path": {"type": "PathPrefix", "value": "a//b"}}]}]),
            "value must be an absolute path and start with '/'",
        ),
        (
            "/api/v1/namespaces/default/secrets",
            {"kind": "Secret", "metadata": {"name": "s"}, "type": "kubernetes.io/tls", "data": {}},
            "data[tls.crt]: Required value",
        ),
    ],
)
async def test_invalid_objects_are_refused_with_causes(api: Any, path: str, obj: Any, message: str) -> None:
    code, status = await api("POST", path, obj)
    assert (code, status["reason"]) == (422, "Invalid")
    assert message in status["message"]
    assert status["details"]["causes"]


@pytest.mark.parametrize(
    ("type_", "address", "problem"),
    [
        ("IPv4", "127.64.128.1", ""),
        ("IPv6", "::1", ""),
        ("IPv4", "::1", "must be a valid IPv4 address"),
        ("IPv6", "127.0.0.1", "must be a valid IPv6 address"),
        ("IPv6", "fe80::1%lo", "must be a valid IPv6 address"),
        ("IPv4", "0.0.0.0", "may not be unspecified"),
        ("IPv4", "169.254.169.254", "may not be in the link-local range"),
        ("IPv4", "224.0.0.1", "may not be in the link-local multicast range"),
    ],
)
async def test_addresses_that_no_endpoint_can_have(api: Any, type_: str, address: str, problem: str) -> None:
    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    body = {"metadata": {"name": "x"}, "addressType": type_, "endpoints": [{"addresses": [address]}], "ports": []}
    code, answer = await api("POST", slices, body)
    assert code == (422 if problem else 201)
    assert problem in answer.get("message", "")


async def test_immutable_fields(api: Any) -> None:
    await api("POST", DEPLOYMENTS, deployment())
    changed = deployment()
    changed["spec"]["selector"]["matchLabels"] = {"app": "web", "x": "y"}
    changed["spec"]["template"]["metadata"]["labels"] = {"app": "web", "x": "y"}
    code, status = await api("PUT", f"{DEPLOYMENTS}/web", changed)
    assert code == 422
    assert status["details"]["causes"][0]["message"].endswith("field is immutable")


async def test_unknown_fields(api: Any) -> None:
    strange = {**config_map(), "oops": 1}
    code, status = await api("POST", f"{MAPS}?fieldValidation=Strict", strange)
    assert code == 400
    assert status["message"].endswith('strict decoding error: unknown field "oops"')
    code, made = await api("POST", MAPS, strange)
    assert code == 201
    assert api.headers["warning"] == '299 - "unknown field \\"oops\\""'
    assert "oops" not in made
    code, made = await api("POST", f"{ROUTES}?fieldValidation=Ignore", route(hostname="x"))
    assert (code, "warning" in api.headers, made["spec"]) == (201, False, {**made["spec"]})
    assert "hostname" not in made["spec"]


async def test_a_table_a_metadata_list_and_what_is_not_spoken(api: Any) -> None:
    await api("POST", MAPS, config_map(x="1"))
    table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    _, shown = await api("GET", MAPS, accept=table)
    assert (shown["kind"], shown["rows"][0]["cells"][:2]) == ("Table", ["a", 1])
    assert shown["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    metadata = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    _, shown = await api("GET", MAPS, accept=metadata)
    assert (shown["kind"], shown["items"][0].keys()) == (
        "PartialObjectMetadataList",
        {"kind", "apiVersion", "metadata"},
    )
    protobuf_first = "application/vnd.kubernetes.protobuf,application/json"
    assert (await api("GET", MAPS, accept=protobuf_first))[1]["kind"] == "ConfigMapList"
    assert (await api("GET", MAPS, accept="text/html"))[0] == 406


async def test_only_the_token_opens_it(api: Any) -> None:
    code, status = await api("GET", MAPS, token="wrong")
    assert (code, status["reason"]) == (401, "Unauthorized")
    assert (await api("GET", "/readyz", token=""))[0] == 200
    assert (await api("GET", "/version", token=""))[1]["major"] == "1"


@pytest.mark.parametrize(
    ("method", "path", "body", "content_type", "code"),
    [
        ("GET", "/apis/nothing/v1/things", None, "", 404),
        ("GET", "/nothing", None, "", 404),
        ("GET", "/api/v1/namespaces/default/namespaces", None, "", 404),
        ("GET", f"{MAPS}/a/status", None, "", 404),
        ("POST", MAPS, b"{", "application/json", 400),
        ("POST", MAPS, b"[]", "application/json", 400),
        ("POST", MAPS, b"a: [", "application/yaml", 400),
        ("POST", MAPS, b"a: 2026-01-01", "application/yaml", 422),
        ("POST", MAPS, b"data: &a {x: y}\nbinaryData: *a", "application/yaml", 400),
        ("POST", MAPS, b'{"data":' + b"[" * 5000 + b"]" * 5000 + b"}", "application/json", 400),
        ("POST", MAPS, b'{"data":{"a":1e999}}', "application/json", 400),
        ("POST", MAPS, b"", "application/json", 400),
        ("POST", MAPS, b"x" * (3 * 1024 * 1024 + 1), "application/json", 413),
        ("POST", MAPS, b"{}", "text/plain", 415),
        ("POST", MAPS, b"k8s\0\x0a\x04", "application/vnd.kubernetes.protobuf", 400),
        ("POST", MAPS, b"nonsense", "application/vnd.kubernetes.protobuf", 400),
        ("POST", MAPS, b'{"kind":"Secret"}', "application/json", 400),
        ("POST", MAPS, b'{"apiVersion":"v2"}', "application/json", 400),
        ("POST", MAPS, b'{"metadata":{"name":"a","namespace":"other"}}', "application/json", 400),
        ("POST", MAPS, b'{"metadata":{"name":1}}', "application/json", 400),
        ("POST", MAPS, b'{"metadata":[]}', "application/json", 400),
        ("POST", MAPS, b'{"data":{"a":1}}', "application/json", 400),
        ("POST", ROUTES, b'{"metadata":{"name":"a"},"spec":[]}', "application/json", 422),
        ("PUT", f"{MAPS}/missing", b"{}", "application/json", 404),
        ("PATCH", f"{MAPS}/missing", b"{}", MERGE, 404),
        ("PATCH", f"{MAPS}/missing", b"{}", "application/json", 415),
        ("PATCH", f"{ROUTES}/missing", b"{}", "application/strategic-merge-patch+json", 415),
        ("PATCH", f"{MAPS}/x", b"{}", "application/apply-patch+yaml", 400),
        ("PUT", MAPS, b"{}", "application/json", 405),
        ("TRACE", MAPS, None, "", 405),
        ("POST", f"{MAPS}/x", b"{}", "application/json", 405),
        ("DELETE", f"{MAPS}/x?propagationPolicy=Sideways", None, "", 400),
        ("GET", f"{MAPS}?labelSelector=a+b", None, "", 400),
        ("GET", f"{MAPS}?limit=x", None, "", 400),
        ("GET", f"{MAPS}?watch=1&resourceVersion=x", None, "", 400),
    ],
)
async def test_bad_requests(api: Any, method: str, path: str, body: Any, content_type: str, code: int) -> None:
    found, status = await api(method, path, body, content_type=content_type)
    assert found == code, status
    assert status["kind"] == "Status"
    assert status["message"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
FIELDS = {
    SERVICES: ["spec", "metadata", "status"],
    DEPLOYMENTS: ["spec", "metadata"],
    "/api/v1/namespaces/default/pods": ["spec", "metadata", "status"],
    ROUTES: ["spec", "metadata", "status"],
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices": ["endpoints", "ports", "addressType"],
    "/apis/networking.k8s.io/v1/namespaces/default/ingresses": ["spec"],
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions": ["spec", "metadata"],
    "/api/v1/nodes": ["spec", "status"],
}


INNER = ["spec", "metadata", "ports", "template", "selector", "rules", "containers", "names", "versions", "group"]
INNER += ["matchLabels", "labels", "strategy", "rollingUpdate", "endpoints", "taints", "clusterIP", "clusterIPs"]
INNER += ["finalizers", "ownerReferences", "http", "paths"]


def mangled(obj: Any, path: list[Any], value: Any) -> Any:
    if not path:
        return value
    key, *rest = path
    if isinstance(obj, dict):
        return {**obj, key: mangled(obj.get(key, {}), rest, value)}
    return value


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    path=st.sampled_from(sorted(FIELDS)),
    field=st.lists(
        st.sampled_from(INNER),
        min_size=1,
        max_size=3,
    ),
    value=json_values,
)
async def test_no_body_makes_the_server_fail(api: Any, path: str, field: list[str], value: Any) -> None:
    base = deployment() if path == DEPLOYMENTS else {"metadata": {"name": "x"}, "spec": {}}
    code, status = await api("POST", path, mangled(base, field, value))
    assert code < 500, status
    if code == 201 and "/default/" in path:
        await api("DELETE", f"{path}/{status['metadata']['name']}")
