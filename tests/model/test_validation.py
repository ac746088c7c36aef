"""The schema engine: laws as properties, wording as examples."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.model import constraints, gateway, kinds
from gatewright.model.causes import go_number
from gatewright.model.schema import openapi_schema
from gatewright.model.validation import InvalidPattern, apply_defaults, drop_nulls, prune, unknown_fields, validate

NAMES = st.sampled_from(["a", "b", "c", "spec"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.floats(-2, 2), st.sampled_from(["", "x", "yy", "a\n"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=12,
)


@st.composite
def schemas(draw: st.DrawFn, depth: int = 3) -> dict[str, Any]:
    kinds_here = ["string", "integer", "boolean", "int-or-string", "any"] + (
        ["object", "map", "array"] if depth else []
    )
    kind = draw(st.sampled_from(kinds_here))
    schema: dict[str, Any] = {}
    nullable: bool = draw(st.booleans())
    if nullable and kind != "any":
        schema["nullable"] = True
    if kind == "string":
        schema |= {
            "type": "string",
            **draw(st.sampled_from([{}, {"maxLength": 1}, {"pattern": "^[a-z]*$"}, {"enum": ["x"]}])),
        }
        if draw(st.booleans()):
            schema["default"] = "x"
    elif kind == "integer":
        schema |= {"type": "integer", **draw(st.sampled_from([{}, {"minimum": 0}, {"format": "int32", "maximum": 3}]))}
        if draw(st.booleans()):
            schema["default"] = 1
    elif kind == "boolean":
        schema["type"] = "boolean"
    elif kind == "int-or-string":
        schema["x-kubernetes-int-or-string"] = True
    elif kind == "any":
        schema["x-kubernetes-preserve-unknown-fields"] = True
    elif kind == "array":
        schema |= {"type": "array", "items": draw(schemas(depth=depth - 1))}
        if draw(st.booleans()):
            schema["x-kubernetes-list-type"] = "atomic"
    elif kind == "map":
        schema |= {"type": "object", "additionalProperties": draw(schemas(depth=depth - 1))}
    else:
        properties = draw(st.dictionaries(NAMES, schemas(depth=depth - 1), max_size=3))
        schema |= {"type": "object", "properties": properties}
        needs_one: bool = draw(st.booleans())
        if properties and needs_one:
            schema["required"] = [draw(st.sampled_from(sorted(properties)))]
        if draw(st.integers(0, 3)) == 0:
            schema["x-kubernetes-preserve-unknown-fields"] = True
        if draw(st.booleans()):
            schema["default"] = {}
    return schema


@given(schemas(), VALUES)
def test_defaults_are_filled_in_once_and_for_all(schema: dict[str, Any], value: Any) -> None:
    before = copy.deepcopy(value)
    filled = apply_defaults(schema, value)
    assert value == before
    assert apply_defaults(schema, filled) == filled
    assert validate(schema, filled) == validate(schema, apply_defaults(schema, filled))


@given(schemas(), VALUES)
def test_prune_removes_exactly_the_unknown_fields(schema: dict[str, Any], value: Any) -> None:
    before = copy.deepcopy(value)
    pruned = prune(schema, value)
    assert value == before
    assert unknown_fields(schema, pruned) == []
    expected = copy.deepcopy(value)
    for field in unknown_fields(schema, value):
        remove(expected, field)
    assert pruned == expected
    if not unknown_fields(schema, value):
        assert pruned is value


@given(schemas(), VALUES)
def test_nulls_go_where_they_can_not_be_held(schema: dict[str, Any], value: Any) -> None:
    before = copy.deepcopy(value)
    kept = drop_nulls(schema, value)
    assert value == before
    assert drop_nulls(schema, kept) is kept
    if not validate(schema, value) and validate(schema, kept):
        # Only a field that is required can be missed: a null in it was no null to the schema.
        assert {cause.reason for cause in validate(schema, kept)} == {"FieldValueRequired"}


def test_nulls_of_a_gateway() -> None:
    schema = openapi_schema(gateway.Gateway)
    spec = {"addresses": None, "listeners": [{"name": "a", "hostname": None, "tls": {"options": {"a": None}}}, None]}
    assert drop_nulls(schema, {"spec": spec}) == {"spec": {"listeners": [{"name": "a", "tls": {"options": {}}}, None]}}
    with_default = {"spec": {"listeners": [{"allowedRoutes": None}]}}
    assert drop_nulls(schema, with_default) is with_default
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    of_crd = {"properties": {"spec": {"properties": {"free": free, "held": {"type": "string", "nullable": True}}}}}
    nulls = {"spec": {"held": None, "unknown": None, "free": {"x": None}}}
    assert drop_nulls(of_crd, nulls) is nulls
    assert drop_nulls(of_crd, {"spec": {"free": None}}) == {"spec": {}}


def remove(value: Any, field: str) -> None:
    *steps, last = field.replace("[", ".[").strip(".").split(".")
    for step in steps:
        value = value[int(step[1:-1])] if step.startswith("[") else value[step]
    del value[last]


@given(schemas(), VALUES)
def test_what_is_valid_stays_valid_when_pruned(schema: dict[str, Any], value: Any) -> None:
    if not validate(schema, value):
        assert validate(schema, prune(schema, value)) == []


@pytest.mark.parametrize("kind", [k for k in kinds.KINDS if k.group == gateway.GROUP], ids=str)
@given(spec=VALUES, status=VALUES)
def test_any_value_gets_an_answer(kind: kinds.Kind, spec: Any, status: Any) -> None:
    assert kind.type is not None
    schema = openapi_schema(kind.type)
    filled = apply_defaults(schema, {"spec": spec, "status": status})
    validate(schema, filled)
    assert unknown_fields(schema, prune(schema, filled)) == []


def said(schema: dict[str, Any], value: Any) -> list[str]:
    return [f"{cause.reason} {cause}" for cause in validate(schema, value)]


def field(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"f": schema}}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (
            {"type": "integer"},
            "80",
            'FieldValueTypeInvalid f: Invalid value: "string": f in body must be of type integer: "string"',
        ),
        (
            {"type": "string"},
            None,
            'FieldValueTypeInvalid f: Invalid value: "null": f in body must be of type string: "null"',
        ),
        (
            {"type": "integer"},
            True,
            'FieldValueTypeInvalid f: Invalid value: "boolean": f in body must be of type integer: "boolean"',
        ),
        (
            {"type": "integer", "maximum": 65535},
            70000,
            "FieldValueInvalid f: Invalid value: 70000: f in body should be less than or equal to 65535",
        ),
        (
            {"type": "integer", "maximum": 1000000},
            2000000,
            "FieldValueInvalid f: Invalid value: 2000000: f in body should be less than or equal to 1e+06",
        ),
        (
            {"type": "integer", "minimum": 1},
            0,
            "FieldValueInvalid f: Invalid value: 0: f in body should be greater than or equal to 1",
        ),
        (
            {"type": "number", "minimum": 0.5, "exclusiveMinimum": True},
            0.5,
            "FieldValueInvalid f: Invalid value: 0.5: f in body should be greater than 0.5",
        ),
        (
            {"type": "integer", "multipleOf": 2},
            3,
            "FieldValueInvalid f: Invalid value: 3: f in body should be a multiple of 2",
        ),
        ({"type": "string", "maxLength": 2}, "abc", "FieldValueTooLong f: Too long: may not be more than 2 bytes"),
        (
            {"type": "string", "minLength": 1},
            "",
            'FieldValueInvalid f: Invalid value: "": f in body should be at least 1 chars long',
        ),
        (
            {"type": "string", "pattern": "^a$"},
            "a\n",
            "FieldValueInvalid f: Invalid value: \"a\\n\": f in body should match '^a$'",
        ),
        (
            {"type": "string", "enum": ["A", "B"]},
            "C",
            'FieldValueNotSupported f: Unsupported value: "C": supported values: "A", "B"',
        ),
        (
            {"type": "integer", "enum": [301, 302]},
            1,
            'FieldValueNotSupported f: Unsupported value: 1: supported values: "301", "302"',
        ),
        (
            {"type": "string", "format": "date-time"},
            "now",
            'FieldValueTypeInvalid f: Invalid value: "now": f in body must be of type date-time: "now"',
        ),
        (
            {"type": "array", "minItems": 1},
            [],
            "FieldValueInvalid f: Invalid value: 0: f in body should have at least 1 items",
        ),
        ({"type": "array", "maxItems": 1}, [1, 2], "FieldValueTooMany f: Too many: 2: must have at most 1 items"),
        (
            {"type": "object", "maxProperties": 1},
            {"a": 1, "b": 2},
            "FieldValueTooMany f: Too many: 2: must have at most 1 items",
        ),
        (
            {"type": "array", "x-kubernetes-list-type": "set"},
            ["a", "b", "a"],
            'FieldValueDuplicate f[2]: Duplicate value: "a"',
        ),
        (
            {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"]},
            [{"n": "a", "x": 1}, {"n": "a", "x": 2}],
            'FieldValueDuplicate f[1]: Duplicate value: map[string]interface {}{"n":"a"}',
        ),
        ({"type": "object", "required": ["g"]}, {}, "FieldValueRequired f.g: Required value"),
        (
            {"x-kubernetes-int-or-string": True},
            True,
            'FieldValueTypeInvalid f: Invalid value: "boolean": f in body must be of type integer,string: "boolean"',
        ),
        (
            {"type": "string", "not": {"enum": ["x"]}},
            "x",
            'FieldValueInvalid <nil>: Invalid value: "": "f" must not validate the schema (not)',
        ),
    ],
)
def test_wording(schema: dict[str, Any], value: Any, expected: str) -> None:
    assert said(field(schema), {"f": value}) == [expected]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (100000, "100000"),
        (1000000, "1e+06"),
        (1234567, "1.234567e+06"),
        (2147483647, "2.147483647e+09"),
        (-0.25, "-0.25"),
        (0.00001, "1e-05"),
    ],
)
def test_bounds_read_as_go_prints_them(value: float, text: str) -> None:
    assert go_number(value) == text


def test_combinations() -> None:
    either = field({"anyOf": [{"type": "integer"}, {"pattern": "^a$"}]})
    assert said(either, {"f": 1}) == []
    assert said(either, {"f": "a"}) == []
    assert said(either, {"f": "b"})[0] == (
        'FieldValueInvalid <nil>: Invalid value: "": "f" must validate at least one schema (anyOf)'
    )
    one = field({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]})
    one["properties"]["f"]["oneOf"] = [{"type": "object", "required": ["a"]}, {"type": "object", "required": ["b"]}]
    assert said(one, {"f": {"a": 1}}) == []
    assert said(one, {"f": {"a": 1, "b": 1}}) == [
        'FieldValueInvalid <nil>: Invalid value: "": "f" must validate one and only one schema (oneOf). '
        "Found 2 valid alternatives"
    ]
    every = field({"allOf": [{"minimum": 1}, {"maximum": 3}]})
    assert said(every, {"f": 2}) == []
    assert len(said(every, {"f": 4})) == 2


def test_all_causes_come_in_one_pass() -> None:
    listeners = [{"name": "a", "port": 0, "protocol": "HTTP"}, {"name": "B", "port": "x"}]
    causes = validate(openapi_schema(gateway.Gateway), {"spec": {"listeners": listeners}})
    assert sorted(cause.field for cause in causes) == [
        "spec.gatewayClassName",
        "spec.listeners[0].port",
        "spec.listeners[1].name",
        "spec.listeners[1].port",
        "spec.listeners[1].protocol",
    ]


def test_defaults_of_a_route() -> None:
    schema = openapi_schema(gateway.HTTPRoute)
    filled = apply_defaults(schema, {"spec": {"parentRefs": [{"name": "gw", "group": None}]}})
    assert filled == {
        "spec": {
            "parentRefs": [{"name": "gw", "group": "gateway.networking.k8s.io", "kind": "Gateway"}],
            "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}],
        }
    }
    filled["spec"]["rules"].append("mine")
    assert len(apply_defaults(schema, {"spec": {}})["spec"]["rules"]) == 1


def test_unknown_fields_of_a_route_and_its_metadata() -> None:
    route = {
        "apiVersion": "v1",
        "metadata": {"name": "a", "labels": {"x": "y"}, "nmae": 1, "managedFields": [{"fieldsV1": {"f:a": {}}}]},
        "spec": {"rulez": [], "rules": [{"backendRefs": [{"name": "a", "prot": 1}]}]},
    }
    schema = openapi_schema(gateway.HTTPRoute)
    assert unknown_fields(schema, route) == ["metadata.nmae", "spec.rulez", "spec.rules[0].backendRefs[0].prot"]
    assert prune(schema, route)["spec"] == {"rules": [{"backendRefs": [{"name": "a"}]}]}


def test_a_crd_need_not_spell_out_what_every_object_has() -> None:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"a": {"type": "string"}}}}}
    obj = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x", "extra": 1}, "spec": {"a": "b", "c": 1}, "d": 1}
    assert sorted(unknown_fields(schema, obj)) == ["d", "metadata.extra", "spec.c"]
    assert said(schema, {**obj, "metadata": {"name": 3}}) == [
        'FieldValueTypeInvalid metadata.name: Invalid value: "integer": '
        'metadata.name in body must be of type string: "integer"'
    ]


def test_an_embedded_resource_keeps_what_every_object_has() -> None:
    embedded = {"type": "object", "x-kubernetes-embedded-resource": True}
    value = {"f": {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "other": 1}}
    assert unknown_fields(field(embedded), value) == ["f.other"]


def test_a_built_in_kind() -> None:
    from lightkube.models import apps_v1

    schema = openapi_schema(apps_v1.Deployment)
    container: dict[str, Any] = {"name": "c", "image": "i", "ports": [{"containerPort": "80"}], "imagePullPolicy": None}
    container["resources"] = {"limits": {"cpu": 0.5, "memory": "1Gi"}, "requests": {"cpu": "lots"}}
    probe = {"httpGet": {"port": "web", "pth": "/"}}
    spec = {
        "template": {"spec": {"containers": [{**container, "readinessProbe": probe}]}},
        "selector": {"matchLabels": {"a": 1}},
    }
    obj = {"metadata": {"labels": None, "creationTimestamp": None}, "spec": spec}
    assert {cause.field for cause in validate(schema, obj)} - {"<nil>"} == {
        "spec.template.spec.containers[0].ports[0].containerPort",
        "spec.template.spec.containers[0].resources.requests.cpu",
        "spec.selector.matchLabels.a",
    }
    assert unknown_fields(schema, obj) == ["spec.template.spec.containers[0].readinessProbe.httpGet.pth"]


def test_a_foreign_pattern_takes_linear_time_and_re2s_syntax() -> None:
    schema = field({"type": "string", "pattern": r"^(a+)+$"})
    assert len(said(schema, {"f": "a" * 5000 + "!"})) == 1
    assert said(field({"type": "string", "pattern": r"^[[:alpha:]]+$"}), {"f": "abc"}) == []
    with pytest.raises(InvalidPattern):
        validate(field({"type": "string", "pattern": "(?=a)"}), {"f": "a"})


def test_python_patterns_end_where_re2s_do() -> None:
    assert constraints.python_pattern(r"^a$|[$]\$[]$]$") == r"^a\Z|[$]\$[]$]\Z"
    assert constraints.python_pattern(r"a\z") == r"a\Z"


@given(st.text(alphabet="a \t~!\n\x7f", max_size=12))
def test_our_header_value_pattern_is_the_official_one(value: str) -> None:
    import re

    official = r"^[!-~]+([\t ]?[!-~]+)*$"
    assert bool(constraints.matcher(official)(value)) == bool(re.search(constraints.python_pattern(official), value))


def test_a_long_bad_header_value_is_refused_at_once() -> None:
    assert not constraints.matcher(r"^[!-~]+([\t ]?[!-~]+)*$")("a" * 4000 + "\n")


def test_a_multiple_of_nothing_limits_nothing() -> None:
    assert validate({"f": 3}, {"type": "object", "properties": {"f": {"type": "integer", "multipleOf": 0}}}) == []
