"""What WAFv2's statements match, by a real Envoy (AWS WAF developer guide, "Rule statements")."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from typing import Any

import pytest
from tests.aws.waf_world import acl, byte_match, regex_match, rule, serving, transformations

PATH: dict[str, Any] = {"UriPath": {}}
QUERY: dict[str, Any] = {"QueryString": {}}
AGENT = {"SingleHeader": {"Name": "User-Agent"}}
HOME = "arn:aws:wafv2:us-east-1:123456789012:regional/ipset/home/1"
WORDS = "arn:aws:wafv2:us-east-1:123456789012:regional/regexpatternset/words/1"


async def test_byte_match_positions() -> None:
    document = acl(
        rule("exactly", byte_match(PATH, "EXACTLY", "/exact")),
        rule("starts", byte_match(PATH, "STARTS_WITH", "/start")),
        rule("ends", byte_match(PATH, "ENDS_WITH", ".php")),
        rule("contains", byte_match(QUERY, "CONTAINS", "a+b%20(c")),
        rule("word", byte_match(AGENT, "CONTAINS_WORD", "bad_bot")),
    )
    async with serving(document) as front:
        for target in ("/exact", "/exact?x", "/start", "/start/x", "/a/b.php", "/?q=a+b%20(c", "/?xa+b%20(cx"):
            assert (await front.get(target)).status == 403, target
        for target in ("/", "/exact/", "/Exact", "/a/start", "/b.php5", "/?a=b", "/?a+b%20c"):
            assert (await front.get(target)).status == 200, target
        for agent, status in {"bad_bot": 403, "a bad_bot/2": 403, "bad_bots": 200, "xbad_bot bad_bot": 403}.items():
            assert (await front.get(User_Agent=agent)).status == status, agent


async def test_parts_of_a_request() -> None:
    document = acl(
        rule("method", byte_match({"Method": {}}, "EXACTLY", "DELETE")),
        rule("host", byte_match({"SingleHeader": {"Name": "Host"}}, "EXACTLY", "evil.example")),
        rule("argument", byte_match({"SingleQueryArgument": {"Name": "User"}}, "EXACTLY", "root")),
        rule("arguments", byte_match({"AllQueryArguments": {}}, "EXACTLY", "drop")),
        rule("cookies", byte_match(_all("Cookies", "VALUE"), "CONTAINS", "stolen")),
        rule("names", byte_match(_all("Headers", "KEY"), "EXACTLY", "x-exploit")),
        rule(
            "others",
            byte_match(
                {"Headers": {**_some("ExcludedHeaders", "X-Note"), "MatchScope": "VALUE"}}, "CONTAINS", "forbidden"
            ),
        ),
    )
    async with serving(document) as front:
        assert (await front.get(method="DELETE")).status == 403
        assert (await front.get(Host="evil.example")).status == 403
        assert (await front.get("/?a=1&user=root")).status == 403
        assert (await front.get("/?a=root&User=x")).status == 200
        assert (await front.get("/?x=1&y=drop")).status == 403
        assert (await front.get("/?drop=1")).status == 200
        assert (await front.get(Cookie="a=b; c=stolen1")).status == 403
        assert (await front.get(Cookie="stolen=b")).status == 200
        assert (await front.get(X_Exploit="1")).status == 403
        assert (await front.get(X_Other="forbidden")).status == 403
        assert (await front.get(X_Note="forbidden")).status == 200


def _all(kind: str, scope: str) -> dict[str, Any]:
    return {kind: {"MatchPattern": {"All": {}}, "MatchScope": scope, "OversizeHandling": "CONTINUE"}}


def _some(kind: str, *names: str) -> dict[str, Any]:
    return {"MatchPattern": {kind: list(names)}, "OversizeHandling": "CONTINUE"}


@pytest.mark.parametrize(("handling", "status"), [("MATCH", 403), ("NO_MATCH", 200), ("CONTINUE", 200)])
async def test_more_headers_than_are_inspected(handling: str, status: int) -> None:
    field = {"Headers": {"MatchPattern": {"All": {}}, "MatchScope": "ALL", "OversizeHandling": handling}}
    async with serving(acl(rule("far", byte_match(field, "EXACTLY", "needle")))) as front:
        headers = [*((f"X-{i}", "y" * 400) for i in range(30)), ("X-Last", "needle")]
        assert (await front.send("/", "GET", headers)).status == status


@pytest.mark.parametrize(
    ("transformed", "search", "matching", "other"),
    [
        (["LOWERCASE"], "/admin", "/AdMin", "/adm"),
        (["URL_DECODE"], "/a b/../", "/a%20b/%2e%2E/", "/a%2520b/"),
        (["URL_DECODE", "URL_DECODE"], "/<", "/%253C", "/%25253C"),
        (["URL_DECODE_UNI"], "/<", "/%u003c", "/%25u003c"),
        (["URL_DECODE", "COMPRESS_WHITE_SPACE"], "/a b", "/a%09%0a%20b", "/ab"),
        (["URL_DECODE", "HTML_ENTITY_DECODE"], '/<"A', "/%26lt%3B%26quot%3B%26%23x41%3B", "/&lt"),
        (["URL_DECODE", "CMD_LINE"], "/cmd a(b", '/c"m^d%20%20,A%20(B', "/cmd"),
        (["NORMALIZE_PATH"], "/b", "/a/../b", "/a/b"),
        (["NORMALIZE_PATH_WIN"], "/a/c", "/a\\b\\..\\c", "/a/b/c"),
        (["URL_DECODE", "REMOVE_NULLS"], "/ab", "/a%00b", "/a%01b"),
        (["URL_DECODE", "REPLACE_NULLS"], "/a b", "/a%00b", "/a%01b"),
        (["REPLACE_COMMENTS"], "/a b c ", "/a/*x*/b/**/c/*", "/abc"),
        (["SQL_HEX_DECODE"], "/AB", "/0x4142", "/0x414"),
    ],
)
async def test_text_transformations(transformed: list[str], search: str, matching: str, other: str) -> None:
    async with serving(acl(rule("it", byte_match(PATH, "EXACTLY", search, *transformed)))) as front:
        assert (await front.get(matching)).status == 403
        assert (await front.get(other)).status == 200


async def test_decoded_headers() -> None:
    document = acl(
        rule("64", byte_match({"SingleHeader": {"Name": "x-64"}}, "EXACTLY", b"\xff\x00secret", "BASE64_DECODE")),
        rule("ext", byte_match({"SingleHeader": {"Name": "x-ext"}}, "EXACTLY", "secret", "BASE64_DECODE_EXT")),
        rule("hex", byte_match({"SingleHeader": {"Name": "x-hex"}}, "EXACTLY", "AZ", "HEX_DECODE")),
        rule(
            "trim", byte_match({"SingleHeader": {"Name": "x-trim"}}, "EXACTLY", "AB", "REMOVE_WHITESPACE", "UPPERCASE")
        ),
    )
    async with serving(document) as front:
        assert (await front.get(x_64="/wBzZWNyZXQ=")).status == 403
        assert (await front.get(x_64="/wBzZWNyZXQ!")).status == 200
        assert (await front.get(x_ext="c2Vj!cmV0")).status == 403
        assert (await front.get(x_hex="415a")).status == 403
        assert (await front.get(x_trim="a b")).status == 403


async def test_regular_expressions() -> None:
    document = acl(
        rule("path", regex_match(PATH, r"^/v[0-9]+/(?i)internal$")),
        rule("query", regex_match(QUERY, r"union\s+select", "URL_DECODE", "LOWERCASE")),
    )
    async with serving(document) as front:
        assert (await front.get("/v12/INTERNAL")).status == 403
        assert (await front.get("/v12/internals")).status == 200
        assert (await front.get("/V12/internal")).status == 200
        assert (await front.get("/?q=UNION%20%20Select%20*")).status == 403
        assert (await front.get("/?q=%ff%fe%00union%0aselect%ff")).status == 403  # bytes that aren't UTF-8 hide nothing
        assert (await front.get("/?q=unionselect")).status == 200
    document = acl(
        rule(
            "set",
            {
                "RegexPatternSetReferenceStatement": {
                    "ARN": WORDS,
                    "FieldToMatch": _all("Headers", "VALUE"),
                    "TextTransformations": transformations(),
                }
            },
        ),
        regex_sets={WORDS: ["^sqlmap/", "nikto"]},
    )
    async with serving(document) as front:
        assert (await front.get(X_Scanner="sqlmap/1.0")).status == 403
        assert (await front.get(X_Scanner="a nikto b")).status == 403
        assert (await front.get(X_Scanner="my sqlmap/1.0")).status == 200


async def test_size_constraints() -> None:
    def size(operator: str, number: int) -> dict[str, Any]:
        return {
            "SizeConstraintStatement": {
                "FieldToMatch": QUERY,
                "ComparisonOperator": operator,
                "Size": number,
                "TextTransformations": transformations("URL_DECODE"),
            }
        }

    async with serving(acl(rule("GT", size("GT", 5)), rule("EQ", size("EQ", 3)))) as front:
        for query, status in {
            "": 200,
            "abc": 403,
            "%41bc": 403,
            "abcd": 200,
            "abcdef": 403,
            "%41%41%41%41%41": 200,
        }.items():
            assert (await front.get(f"/?{query}")).status == status, query


async def test_addresses_of_the_client() -> None:
    reference = {"IPSetReferenceStatement": {"ARN": HOME}}
    async with serving(acl(rule("home", reference), ip_sets={HOME: ["127.0.0.0/8", "10.0.0.0/8"]})) as front:
        assert (await front.get()).status == 403
    async with serving(
        acl(rule("home", reference), ip_sets={HOME: ["10.0.0.0/8", "127.0.0.2/32", "::1/128"]})
    ) as front:
        assert (await front.get()).status == 200
    async with serving(acl(rule("home", {"NotStatement": {"Statement": reference}}), ip_sets={HOME: []})) as front:
        assert (await front.get()).status == 403


@pytest.mark.parametrize(
    ("position", "fallback", "expected"),
    [
        ("FIRST", "NO_MATCH", {"1.2.3.4": 403, "1.2.3.4, 9.9.9.9": 403, "9.9.9.9, 1.2.3.4": 200, "x, 1.2.3.4": 200}),
        ("LAST", "NO_MATCH", {"9.9.9.9, 1.2.3.4": 403, "1.2.3.4, 9.9.9.9": 200}),
        ("ANY", "NO_MATCH", {"9.9.9.9, 1.2.3.200 ,8.8.8.8": 403, "9.9.9.9, 1.2.4.1": 200}),
        ("FIRST", "MATCH", {"x": 403, "9.9.9.9": 200, "2001:DB8::1": 403, "2001:db8:1::1": 200, "::ffff:1.2.3.4": 403}),
    ],
)
async def test_forwarded_addresses(position: str, fallback: str, expected: dict[str, int]) -> None:
    forwarded = {"HeaderName": "X-Forwarded-For", "Position": position, "FallbackBehavior": fallback}
    document = acl(
        rule("it", {"IPSetReferenceStatement": {"ARN": HOME, "IPSetForwardedIPConfig": forwarded}}),
        ip_sets={HOME: ["1.2.3.0/24", "2001:db8::/48"]},
    )
    async with serving(document) as front:
        assert (await front.get()).status == 200  # no such header, whatever the fallback
        for value, status in expected.items():
            assert (await front.get(X_Forwarded_For=value)).status == status, value


async def test_logic() -> None:
    admin, bot = byte_match(PATH, "STARTS_WITH", "/admin"), byte_match(AGENT, "CONTAINS", "bot")
    document = acl(
        rule(
            "guarded",
            {"AndStatement": {"Statements": [admin, {"NotStatement": {"Statement": bot}}]}},
        ),
        rule(
            "either",
            {"OrStatement": {"Statements": [byte_match(PATH, "EXACTLY", "/x"), byte_match(PATH, "EXACTLY", "/y")]}},
        ),
    )
    async with serving(document) as front:
        assert (await front.get("/admin")).status == 403
        assert (await front.get("/admin", User_Agent="bot")).status == 200
        assert (await front.get("/x")).status == 403
        assert (await front.get("/y")).status == 403
        assert (await front.get("/z")).status == 200
