"""Which hostnames are to lead where."""

from __future__ import annotations

from tests.aws_records.exposed import DNS_NAME, PUBLIC, Exposed, gateway, obj, route

from gatewright.aws.records.annotations import PREFIX
from gatewright.aws.records.records import AliasTarget, Place, Record
from gatewright.model.meta import Key

ALIAS = AliasTarget(DNS_NAME, "Z35SXDOTRQ7X7K", True)
INTERNAL = Place("internal-k8s-infra-inside-1.us-east-1.elb.amazonaws.com", "Z35SXDOTRQ7X7K", "internal", True)


def test_a_routes_hostname_leads_to_the_load_balancer_of_its_gateway() -> None:
    cluster = Exposed(gateway(), route("shop.example.com"))
    cluster.at(PUBLIC)
    wish = cluster.wishes["shop.example.com"]
    assert wish.records == (Record("shop.example.com", "A", alias=ALIAS),)
    assert (wish.visibility, wish.resources) == ("everywhere", ("httproute/apps/shop",))
    assert wish.asked_by == (("HTTPRoute", Key("apps", "shop")),)


def test_until_there_is_a_load_balancer_nothing_is_known() -> None:
    cluster = Exposed(gateway(), route("shop.example.com"))
    assert cluster.wishes["shop.example.com"].records == ()


def test_a_dualstack_load_balancer_has_both_records_and_an_internal_one_is_for_the_vpc() -> None:
    cluster = Exposed(gateway(), route("shop.example.com"))
    cluster.at(INTERNAL)
    wish = cluster.wishes["shop.example.com"]
    assert [record.type for record in wish.records] == ["A", "AAAA"]
    assert wish.visibility == "private"


def test_what_a_listener_takes_of_a_routes_hostnames_counts() -> None:
    listener = {"name": "http", "port": 80, "protocol": "HTTP", "hostname": "*.example.com"}
    cluster = Exposed(gateway(listener), route("*.com", "shop.example.com", "other.org"))
    assert set(cluster.wishes) == {"*.example.com", "shop.example.com"}


def test_a_listeners_own_hostname_counts_where_it_is_exact() -> None:
    exact = {"name": "one", "port": 80, "protocol": "HTTP", "hostname": "one.example.com"}
    wide = {"name": "wide", "port": 80, "protocol": "HTTP", "hostname": "*.example.com"}
    cluster = Exposed(gateway(exact, wide))
    assert {name: wish.asked_by for name, wish in cluster.wishes.items()} == {
        "one.example.com": (("Gateway", Key("infra", "edge")),)
    }


def test_a_route_that_is_not_attached_exposes_nothing() -> None:
    cluster = Exposed(gateway(), route("shop.example.com", parent="elsewhere"), route("api.example.com", name="api"))
    assert set(cluster.wishes) == {"api.example.com"}
    cluster.inputs.http_routes.delete(Key("apps", "api"))
    assert not cluster.wishes


def test_of_two_gateways_the_older_has_the_name_and_the_other_is_told() -> None:
    young = gateway(name="young", creationTimestamp="2026-02-01T00:00:00Z")
    cluster = Exposed(
        gateway(creationTimestamp="2026-01-01T00:00:00Z"),
        young,
        route("shop.example.com"),
        route("shop.example.com", name="again", parent="young"),
    )
    cluster.at(PUBLIC)
    cluster.at(INTERNAL, "young")
    wish = cluster.wishes["shop.example.com"]
    assert wish.records == (Record("shop.example.com", "A", alias=ALIAS),)
    assert [(kind, str(key)) for (kind, key), _ in wish.remarks] == [("Gateway", "infra/young")]
    cluster.inputs.gateways.delete(Key("infra", "edge"))
    assert cluster.wishes["shop.example.com"].visibility == "private"


def test_annotations_name_hosts_as_far_as_the_listener_takes_them() -> None:
    listener = {"name": "http", "port": 80, "protocol": "HTTP", "hostname": "*.example.com"}
    hosts = {f"{PREFIX}hostname": "more.example.com, bank.com", f"{PREFIX}gateway-hostname-source": "annotation-only"}
    cluster = Exposed(gateway(listener), route("shop.example.com", annotations=hosts))
    assert set(cluster.wishes) == {"more.example.com"}


def test_a_tcp_route_has_names_by_annotation() -> None:
    listener = {"name": "db", "port": 5432, "protocol": "TCP"}
    named = route(kind="TCPRoute", annotations={f"{PREFIX}hostname": "db.example.com"})
    cluster = Exposed(gateway(listener, class_="nlb"), named)
    assert cluster.wishes["db.example.com"].resources == ("tcproute/apps/shop",)


def test_a_gateways_target_and_a_routes_ttl() -> None:
    target = {f"{PREFIX}target": "192.0.2.1,2001:db8::1"}
    cluster = Exposed(gateway(annotations=target), route("shop.example.com", annotations={f"{PREFIX}ttl": "1m"}))
    cluster.at(PUBLIC)
    assert list(cluster.wishes["shop.example.com"].records) == [
        Record("shop.example.com", "A", ("192.0.2.1",), 60),
        Record("shop.example.com", "AAAA", ("2001:db8::1",), 60),
    ]
    cluster.apply(gateway(annotations={f"{PREFIX}target": "cdn.example.net"}))
    made = Record("shop.example.com", "CNAME", ("cdn.example.net.",), 60)
    assert list(cluster.wishes["shop.example.com"].records) == [made]
    cluster.apply(gateway(annotations={f"{PREFIX}target": DNS_NAME.upper()}))
    assert list(cluster.wishes["shop.example.com"].records) == [Record("shop.example.com", "A", alias=ALIAS)]


def test_what_another_controller_is_named_for_is_left_to_it() -> None:
    other = {f"{PREFIX}controller": "somebody"}
    cluster = Exposed(gateway(), route("shop.example.com", annotations=other), route("api.example.com", name="api"))
    assert set(cluster.wishes) == {"api.example.com"}
    cluster.apply(gateway(annotations=other))
    assert not cluster.wishes


def test_annotations_without_effect_are_told() -> None:
    asked = {f"{PREFIX}set-identifier": "blue", f"{PREFIX}aws-weight": "10", f"{PREFIX}ttl": "soon"}
    cluster = Exposed(gateway(), route("shop.example.com", annotations=asked))
    remarks = [(id_[0], reason) for id_, (reason, _) in cluster.wishes["shop.example.com"].remarks]
    assert remarks == [
        ("HTTPRoute", "InvalidAnnotation"),
        ("HTTPRoute", "UnsupportedAnnotation"),
        ("HTTPRoute", "UnsupportedAnnotation"),
    ]


def test_a_gateway_behind_a_load_balancer_leads_there_and_any_other_proxy_nowhere() -> None:
    cluster = Exposed(gateway(class_="proxy"), route("shop.example.com"))
    assert not cluster.wishes
    cluster.places.set(DNS_NAME, PUBLIC)
    cluster.fronts.set(Key("infra", "edge"), (DNS_NAME,))
    assert cluster.wishes["shop.example.com"].records == (Record("shop.example.com", "A", alias=ALIAS),)


def test_a_listener_sets_listener_speaks_for_itself() -> None:
    allowed = gateway()
    allowed["spec"]["allowedListeners"] = {"namespaces": {"from": "All"}}
    extra = {"name": "more", "port": 80, "protocol": "HTTP", "hostname": "more.example.com"}
    parent = {"name": "edge", "namespace": "infra"}
    added = obj("ListenerSet", "team", {"parentRef": parent, "listeners": [extra]}, "apps")
    cluster = Exposed(allowed, added)
    assert cluster.wishes["more.example.com"].asked_by == (("ListenerSet", Key("apps", "team")),)
