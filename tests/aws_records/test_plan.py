"""What has to be done to hosted zones."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from gatewright.aws.records.ownership import Claim, claim_text, marker_name, marker_names
from gatewright.aws.records.plan import RecordPlan, Step, ZoneRecords, batches, plan
from gatewright.aws.records.records import AliasTarget, DnsOptions, Record, Visibility, Wish, Zone
from gatewright.aws.records.zones import in_reach, zones_of
from gatewright.model.meta import Key

ZONE = Zone("Z1", "example.com")
SUB = Zone("Z2", "dev.example.com")
INSIDE = Zone("Z3", "example.com", private=True)
ALIAS = AliasTarget("edge.us-east-1.elb.amazonaws.com", "Z35SXDOTRQ7X7K")
OTHER = AliasTarget("old.us-east-1.elb.amazonaws.com", "Z35SXDOTRQ7X7K")
UPSERT_ONLY = DnsOptions(owner="us")
SYNC = DnsOptions(owner="us", policy="sync")


def wish(name: str, *records: Record, visibility: Visibility = "everywhere", shared: bool = False) -> Wish:
    given = records or (Record(name, "A", alias=ALIAS),)
    return Wish(name, given, visibility, ("httproute/apps/shop",), (("HTTPRoute", Key("apps", "shop")),), shared)


def marker(name: str, type_: str = "A", owner: str = "us") -> Record:
    return Record(marker_name(name, type_), "TXT", (claim_text(Claim(owner, "httproute/apps/shop")),), 300)


def ours(name: str, alias: AliasTarget = ALIAS) -> list[Record]:
    return [Record(name, "A", alias=alias), marker(name)]


def planned(
    wishes: Iterable[Wish], records: Iterable[Record] = (), options: DnsOptions = UPSERT_ONLY, zone: Zone = ZONE
) -> RecordPlan:
    return plan(wishes, [zone], {zone.id: ZoneRecords(records)}, options)


def brief(step: Step) -> list[str]:
    return [f"{change.action} {change.record.type} {change.record.name}" for change in step.changes]


def test_a_new_name_gets_its_record_and_a_marker_in_one_step() -> None:
    found = planned([wish("shop.example.com")])
    assert [brief(step) for step in found.steps] == [["CREATE A shop.example.com", "CREATE TXT a-shop.example.com"]]
    assert found.steps[0].verb == "create"
    assert not planned([wish("shop.example.com")], ours("shop.example.com")).steps


def test_the_marker_of_a_zones_own_name_is_within_the_zone() -> None:
    found = planned([wish("example.com")], options=SYNC)
    assert [brief(step) for step in found.steps] == [["CREATE A example.com", "CREATE TXT extdns-a.example.com"]]
    made = [change.record for change in found.steps[0].changes]
    assert not planned([wish("example.com")], made, SYNC).steps
    gone = planned([], made, SYNC)
    assert [brief(step) for step in gone.steps] == [["DELETE A example.com", "DELETE TXT extdns-a.example.com"]]
    # In the zone above it is a name like any other.
    assert marker_name("dev.example.com", "A", zone="example.com") == "a-dev.example.com"


def test_ours_is_changed() -> None:
    found = planned([wish("shop.example.com")], ours("shop.example.com", OTHER))
    assert brief(found.steps[0]) == ["UPSERT A shop.example.com"]
    assert found.steps[0].verb == "change"


def test_a_record_without_a_marker_is_never_touched() -> None:
    found = planned([wish("shop.example.com")], [Record("shop.example.com", "A", ("192.0.2.1",), 60)])
    assert not found.steps
    assert found.problems[0].reason == "ForeignRecord"
    assert "isn't marked as ours" in found.problems[0].message


def test_another_owners_record_is_never_touched() -> None:
    theirs = [Record("shop.example.com", "A", alias=ALIAS), marker("shop.example.com", owner="them")]
    found = planned([wish("shop.example.com")], theirs)
    assert not found.steps
    assert "'them'" in found.problems[0].message
    assert not planned([], theirs, SYNC).steps


def test_half_a_name_is_not_taken() -> None:
    both = wish(
        "x.example.com", Record("x.example.com", "A", alias=ALIAS), Record("x.example.com", "AAAA", alias=ALIAS)
    )
    found = planned([both], [Record("x.example.com", "AAAA", ("2001:db8::1",), 60)])
    assert not found.steps
    assert found.problems


def test_a_weighted_record_can_have_no_simple_one_beside_it() -> None:
    there = [Record("x.example.com", "A", ("192.0.2.1",), 60, set_identifier="blue"), marker("x.example.com")]
    found = planned([wish("x.example.com")], there)
    assert not found.steps
    assert "set identifier 'blue'" in found.problems[0].message


@pytest.mark.parametrize("old", ["cname-shop.example.com", "shop.example.com"])
def test_a_name_of_an_older_release_gets_a_marker_of_today_and_goes_with_all_of_them(old: str) -> None:
    there = [Record("shop.example.com", "A", alias=ALIAS), structs.replace(marker("x"), name=old)]
    found = planned([wish("shop.example.com")], there)
    assert brief(found.steps[0]) == ["CREATE TXT a-shop.example.com"]
    gone = planned([], [*there, marker("shop.example.com")], SYNC)
    assert sorted(brief(gone.steps[0])) == sorted(
        ["DELETE A shop.example.com", "DELETE TXT a-shop.example.com", f"DELETE TXT {old}"]
    )


def test_only_sync_removes() -> None:
    assert not planned([], ours("shop.example.com")).steps
    found = planned([], ours("shop.example.com"), SYNC)
    assert brief(found.steps[0]) == ["DELETE A shop.example.com", "DELETE TXT a-shop.example.com"]
    assert found.steps[0].verb == "delete"


def test_what_is_not_known_yet_stays() -> None:
    waiting = structs.replace(wish("shop.example.com"), records=())
    assert not planned([waiting], ours("shop.example.com"), SYNC).steps


def test_a_marker_without_a_record_goes() -> None:
    found = planned([], [marker("shop.example.com"), Record("note.example.com", "TXT", ('"hello"',), 60)], SYNC)
    assert [brief(step) for step in found.steps] == [["DELETE TXT a-shop.example.com"]]
    assert brief(planned([wish("shop.example.com")], [marker("shop.example.com")]).steps[0]) == [
        "CREATE A shop.example.com"
    ]


def test_a_cname_makes_room_for_an_alias() -> None:
    there = [Record("x.example.com", "CNAME", ("old.example.net.",), 60), marker("x.example.com", "CNAME")]
    found = planned([wish("x.example.com")], there)
    assert brief(found.steps[0]) == [
        "DELETE CNAME x.example.com",
        "DELETE TXT cname-x.example.com",
        "CREATE A x.example.com",
        "CREATE TXT a-x.example.com",
    ]


def test_a_cname_can_be_neither_at_the_apex_nor_beside_others() -> None:
    there = [Record("x.example.com", "MX", ("10 mail.example.com.",), 60)]
    for name, records in (("example.com", []), ("x.example.com", there)):
        found = planned([wish(name, Record(name, "CNAME", ("cdn.example.net.",), 60))], records)
        assert not found.steps
        assert found.problems[0].reason == "InvalidHostname"


def test_a_users_own_txt_record_in_the_markers_place() -> None:
    found = planned([wish("x.example.com")], [Record("a-x.example.com", "TXT", ('"mine"',), 60)])
    assert not found.steps
    assert "a-x.example.com that is no marker" in found.problems[0].message


def test_a_shared_record_may_be_anybodys() -> None:
    record = Record("_x.example.com", "CNAME", ("_y.acm-validations.aws.",), 300)
    found = planned([wish("_x.example.com", record, shared=True)], [structs.replace(record, ttl=300)])
    assert found == RecordPlan(())


def test_validation_records_stay_unless_somebody_knows_which_are_needed() -> None:
    record = Record("_x.example.com", "CNAME", ("_y.acm-validations.aws.",), 300)
    there = [record, marker("_x.example.com", "CNAME")]
    assert not planned([], there, SYNC).steps
    assert planned([], there, structs.replace(SYNC, keep_validations=False)).steps


def test_names_without_a_zone_and_names_that_no_record_can_have() -> None:
    reasons = {problem.name: problem.reason for problem in planned([wish("a.example.org"), wish("x")]).problems}
    assert reasons == {"a.example.org": "NoHostedZone", "x": "InvalidHostname"}


def test_domain_filters_leave_names_to_others() -> None:
    limited = structs.replace(SYNC, domains=("a.example.com",), excluded_domains=("x.a.example.com",))
    names = ("a.example.com", "x.a.example.com", "b.example.com")
    found = planned([wish(name) for name in names], [], limited)
    assert [step.name for step in found.steps] == ["a.example.com"]
    assert not found.problems
    there = [record for name in names for record in ours(name)]
    assert [step.name for step in planned([], there, limited).steps] == ["a.example.com"]


def test_the_most_specific_zones_of_each_kind() -> None:
    zones = [ZONE, SUB, INSIDE]
    assert zones_of("x.dev.example.com", "everywhere", zones) == [SUB, INSIDE]
    assert zones_of("x.dev.example.com", "public", zones) == [SUB]
    assert zones_of("x.dev.example.com", "private", zones) == [INSIDE]
    assert zones_of("x.example.com", "private", [ZONE]) == [ZONE]
    assert zones_of("*.example.com", "public", zones) == [ZONE]
    assert zones_of("example.org", "public", zones) == []


def test_zones_in_reach() -> None:
    zones = [ZONE, SUB, INSIDE]
    assert in_reach(zones, structs.replace(SYNC, zone_type="private")) == [INSIDE]
    assert in_reach(zones, structs.replace(SYNC, zones=("/hostedzone/Z2",))) == [SUB]
    assert in_reach(zones, structs.replace(SYNC, domains=("shop.example.com",))) == [ZONE, INSIDE]
    assert in_reach([Zone("Z9", "example.org")], structs.replace(SYNC, domains=("example.com",))) == []


def test_batches_are_of_one_zone_and_within_the_quotas() -> None:
    steps = planned([wish(f"n{number}.example.com") for number in range(1200)]).steps
    found = batches([*steps, *planned([wish("x.example.com")], zone=INSIDE).steps])
    assert [len({step.zone for step in batch}) for batch in found] == [1] * len(found)
    assert all(sum(step.weight[0] for step in batch) <= 1000 for batch in found)
    assert all(sum(step.weight[1] for step in batch) <= 32_000 for batch in found)
    assert sum(map(len, found)) == 1201


# --- laws ------------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from([*(f"{label}.example.com" for label in ("a", "b", "*", "c.d")), "example.com"])
_RECORDS = st.one_of(
    st.builds(Record, NAMES, st.just("A"), alias=st.sampled_from([ALIAS, OTHER])),
    st.builds(Record, NAMES, st.just("A"), st.just(("192.0.2.1",)), st.just(60)),
    st.builds(Record, NAMES, st.just("AAAA"), st.just(("2001:db8::1",)), st.just(60)),
    st.builds(Record, NAMES, st.just("CNAME"), st.just(("x.example.net.",)), st.just(60)),
    st.builds(Record, NAMES, st.just("MX"), st.just(("10 mail.example.com.",)), st.just(60)),
    st.builds(marker, NAMES, st.sampled_from(["A", "AAAA", "CNAME"]), st.sampled_from(["us", "us", "us", "them"])),
)


@st.composite
def _zones(draw: st.DrawFn) -> dict[tuple[str, str], Record]:
    records: dict[tuple[str, str], Record] = {}
    for record in draw(st.lists(_RECORDS, max_size=12)):
        records[record.name, record.type] = record
    return {place: record for place, record in records.items() if record.type != "CNAME" or _alone(place, records)}


def _alone(place: tuple[str, str], records: Iterable[tuple[str, str]]) -> bool:
    return place[0] != "example.com" and not any(other[0] == place[0] and other != place for other in records)


_WISHES = st.dictionaries(
    NAMES,
    st.sampled_from(["alias", "other", "both", "cname", "unknown"]),
    max_size=5,
)


def _wished(name: str, what: str) -> Wish:
    records = {
        "alias": (Record(name, "A", alias=ALIAS),),
        "other": (Record(name, "A", alias=OTHER),),
        "both": (Record(name, "A", alias=ALIAS), Record(name, "AAAA", alias=ALIAS)),
        "cname": (Record(name, "CNAME", ("cdn.example.net.",), 300),),
        "unknown": (),
    }[what]
    return structs.replace(wish(name), records=records)


def carried_out(records: dict[tuple[str, str], Record], steps: Iterable[Step]) -> dict[tuple[str, str], Record]:
    """As Route 53 does it: what there isn't can't be deleted, what there is can't be created, a CNAME stands alone."""
    left = dict(records)
    for step in steps:
        for change in step.changes:
            place = (change.record.name, change.record.type)
            if change.action == "DELETE":
                assert left.pop(place) == change.record
            else:
                assert (place in left) == (change.action == "UPSERT")
                left[place] = change.record
    for name, type_ in left:
        assert type_ != "CNAME" or _alone((name, type_), left)
    return left


def _owner(name: str, records: dict[tuple[str, str], Record], type_: str) -> str:
    record = records[name, type_]
    found = [records.get((each, "TXT")) for each in marker_names(name, type_, alias=record.alias is not None)]
    owners = [each.values[0] for each in found if each]
    return "us" if owners and "owner=us" in owners[0] else ""


@given(_zones(), _WISHES, st.sampled_from([UPSERT_ONLY, SYNC]))
@settings(max_examples=300, deadline=None)
def test_a_second_plan_is_empty_and_what_is_not_ours_stays(
    records: dict[tuple[str, str], Record], wanted: dict[str, str], options: DnsOptions
) -> None:
    wishes = [_wished(name, what) for name, what in wanted.items()]
    found = planned(wishes, records.values(), options)
    left = carried_out(records, found.steps)
    again = planned(wishes, left.values(), options)
    assert not again.steps
    assert again.problems == found.problems
    bad = {problem.name for problem in found.problems}
    for each in wishes:
        if each.name not in bad:
            assert all(left[record.name, record.type] == record for record in each.records)
    for place, record in records.items():
        name, type_ = place
        foreign = not _owner(name, records, type_) if type_ != "TXT" else "owner=us" not in record.values[0]
        if foreign:
            assert left[place] == record


@given(_zones(), _WISHES)
@settings(max_examples=150, deadline=None)
def test_what_sync_made_sync_removes(records: dict[tuple[str, str], Record], wanted: dict[str, str]) -> None:
    foreign = {
        place: record
        for place, record in records.items()
        if (record.type == "TXT" and "owner=us" not in record.values[0])
        or (record.type != "TXT" and not _owner(record.name, records, record.type))
    }
    wishes = [_wished(name, what) for name, what in wanted.items()]
    made = carried_out(foreign, planned(wishes, foreign.values(), SYNC).steps)
    assert carried_out(made, planned([], made.values(), SYNC).steps) == foreign


@given(_zones(), _WISHES, st.sets(NAMES), st.sampled_from([UPSERT_ONLY, SYNC]))
@settings(max_examples=150, deadline=None)
def test_a_plan_for_some_names_is_that_part_of_the_whole(
    records: dict[tuple[str, str], Record], wanted: dict[str, str], names: set[str], options: DnsOptions
) -> None:
    wishes = [_wished(name, what) for name, what in wanted.items()]
    whole = planned(wishes, records.values(), options)
    there = {ZONE.id: ZoneRecords(records.values())}
    part = plan([each for each in wishes if each.name in names], [ZONE], there, options, names)
    assert part.steps == tuple(step for step in whole.steps if step.name in names)
    assert part.problems == tuple(problem for problem in whole.problems if problem.name in names)


@given(_zones(), _WISHES, st.randoms())
@settings(max_examples=50, deadline=None)
def test_the_order_of_things_decides_nothing(
    records: dict[tuple[str, str], Record], wanted: dict[str, str], random: object
) -> None:
    wishes = [_wished(name, what) for name, what in wanted.items()]
    shuffled = list(records.values())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert planned(wishes, records.values(), SYNC) == planned(reversed(wishes), shuffled, SYNC)
