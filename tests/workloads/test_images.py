"""What each known image answers, and what stands in for the others."""

import json

import pytest

from gatewright.local.workloads.exchange import Request
from gatewright.local.workloads.gohttp import canonical_name, clean_path, content_type, format_duration, parse_duration
from gatewright.local.workloads.images import behaviour, repository
from gatewright.local.workloads.program import Behaviour, Port, Program


def http_echo(*args: str, image: str = "hashicorp/http-echo:1.0", **fields: object) -> Behaviour:
    return behaviour(Program(image=image, args=args, **fields))  # type: ignore[arg-type]


def echo_basic(**env: str) -> Behaviour:
    return behaviour(Program(image="registry.k8s.io/gateway-api/echo-basic:v20240412", env=env))


def get(target: str, *headers: tuple[str, str], method: str = "GET") -> Request:
    lines = [("Host", "example.com"), *headers]
    return Request(method.encode(), target.encode(), "1.1", [(n.encode(), v.encode()) for n, v in lines], "127.0.0.1:9")


def test_repositories_are_named_without_registry_port_tag_and_digest_mixups() -> None:
    assert repository("localhost:5000/hashicorp/http-echo:1.0@sha256:abc") == "localhost:5000/hashicorp/http-echo"
    assert repository("nginx") == "nginx"


@pytest.mark.parametrize(
    ("image", "known"),
    [
        ("hashicorp/http-echo", True),
        ("docker.io/hashicorp/http-echo:0.2.3", True),
        ("mirror.example:5000/hashicorp/http-echo@sha256:00", True),
        ("registry.k8s.io/gateway-api/echo-basic:v20240412", True),
        ("registry.k8s.io/gateway-api/conformance/echo-basic:v0.1.0", True),
        ("k8s.gcr.io/ingress-controller-conformance/echoserver:v1", True),
        ("nothashicorp/http-echo", False),
        ("http-echo", False),
        ("nginx:1.27", False),
    ],
)
def test_known_images_are_known_wherever_they_are_kept(image: str, known: bool) -> None:
    assert behaviour(Program(image)).known is known


class TestHttpEcho:
    def test_answers_the_text_and_a_newline(self) -> None:
        echo = http_echo("-text=Hello", "-listen=:8080")
        answer = echo.answer(get("/anything?at=all"), echo.ports[0])
        assert (answer.status, answer.body) == (200, b"Hello\n")
        assert (
            b"X-App-Name: http-echo\r\nX-App-Version: 1.0.0\r\nContent-Type: text/plain; charset=utf-8" in answer.head
        )
        assert echo.ports == (Port(8080),)

    @pytest.mark.parametrize("args", [("-text=a b",), ("--text=a b",), ("-text", "a b"), ("--text", "a b")])
    def test_flags_come_in_every_form_of_gos(self, args: tuple[str, ...]) -> None:
        echo = http_echo(*args)
        assert echo.answer(get("/"), Port(5678)).body == b"a b\n"
        assert echo.ports == (Port(5678),)

    def test_the_text_falls_back_to_the_variable_and_then_to_the_images_own(self) -> None:
        assert http_echo(env={"ECHO_TEXT": "env"}).answer(get("/"), Port(1)).body == b"env\n"
        assert http_echo().answer(get("/"), Port(1)).body == b"hello-world\n"
        assert http_echo(env={"ECHO_TEXT": ""}).exit is not None

    def test_the_status_code_is_the_one_asked_for_but_not_of_the_health_check(self) -> None:
        echo = http_echo("-text=x", "-status-code=503")
        assert echo.answer(get("/"), Port(1)).status == 503
        health = echo.answer(get("/health"), Port(1))
        assert (health.status, health.body) == (200, b'{"status":"ok"}\n')

    def test_the_version_is_the_tags(self) -> None:
        assert b"X-App-Version: 0.2.3" in http_echo(image="hashicorp/http-echo:0.2.3").answer(get("/"), Port(1)).head

    @pytest.mark.parametrize(
        ("args", "code", "line"),
        [
            (("-nope",), 2, "flag provided but not defined: -nope"),
            (("-text",), 2, "flag needs an argument: -text"),
            (("-status-code=x",), 2, 'invalid value "x" for flag -status-code: parse error'),
            (("hello",), 127, "Too many arguments!"),
        ],
    )
    def test_bad_arguments_end_it(self, args: tuple[str, ...], code: int, line: str) -> None:
        end = http_echo(*args).exit
        assert end is not None
        assert (end.code, end.lines[0]) == (code, line)

    def test_an_address_without_a_port_ends_it_and_one_on_loopback_is_out_of_reach(self) -> None:
        end = http_echo("-listen=8080").exit
        assert end is not None
        assert "missing port in address" in end.lines[0]
        assert http_echo("-listen=127.0.0.1:8080").ports == ()

    def test_unclean_paths_are_redirected_as_gos_mux_does(self) -> None:
        answer = http_echo("-text=x").answer(get("/a/../b//c?q=1"), Port(1))
        assert answer.status == 301
        assert b"Location: /b/c?q=1\r\n" in answer.head

    def test_each_echo_leaves_a_line_in_the_log(self) -> None:
        echo = http_echo("-text=x")
        request = get("/p", ("User-Agent", "curl/8"))
        line = echo.log(request, echo.answer(request, Port(1)), 0.0000125)
        assert line is not None
        assert line.endswith('example.com 127.0.0.1:9 "GET /p HTTP/1.1" 200 2 "curl/8" 12.5µs')
        health = get("/health")
        assert echo.log(health, echo.answer(health, Port(1)), 0) is None

    def test_another_command_is_not_the_images_program(self) -> None:
        assert http_echo(command=("/http-echo", "-text=c")).answer(get("/"), Port(1)).body == b"c\n"
        assert not http_echo(command=("sh", "-c", "true")).known


class TestEchoBasic:
    def test_echoes_what_the_conformance_suite_reads(self) -> None:
        echo = echo_basic(NAMESPACE="ns", POD_NAME="pod-1", SERVICE_NAME="svc")
        request = get("/path?x=<1>", ("x-request-id", "a"), ("X-Request-Id", "b"), ("accept", "*/*"))
        answer = echo.answer(request, Port(3000))
        assert json.loads(answer.body) == {
            "path": "/path?x=<1>",
            "host": "example.com",
            "method": "GET",
            "proto": "HTTP/1.1",
            "headers": {"Accept": ["*/*"], "X-Request-Id": ["a", "b"]},
            "httpPort": "3000",
            "namespace": "ns",
            "ingress": "",
            "service": "svc",
            "pod": "pod-1",
        }
        assert rb"\u003c1\u003e" in answer.body
        assert b"Content-Type: application/json\r\nX-Content-Type-Options: nosniff" in answer.head

    def test_listens_on_its_http_and_h2c_ports(self) -> None:
        assert echo_basic().ports == (Port(3000), Port(3001, "h2c"))
        assert echo_basic(HTTP_PORT="8080", H2C_PORT="8081").ports == (Port(8080), Port(8081, "h2c"))
        h2c = echo_basic().answer(get("/"), Port(3001, "h2c"))
        assert (h2c.status, h2c.body) == (400, b"Expected h2c request")

    def test_its_variables_choose_the_server(self) -> None:
        assert echo_basic(GRPC_ECHO_SERVER="1").ports == (Port(3000, "http2"),)
        assert echo_basic(TCP_ECHO_SERVER="1", TCP_PORT="9000").ports == (Port(9000, "stream"),)
        assert echo_basic(UDP_ECHO_SERVER="1").ports == (Port(8080, "datagram"),)

    def test_sets_the_response_headers_asked_for_in_their_case(self) -> None:
        request = get("/", ("X-Echo-Set-Header", "x-lower: 1, X-Two:2 ,x-lower:3, bad name:4"))
        head = echo_basic().answer(request, Port(3000)).head
        assert b"x-lower: 1,3\r\n" in head
        assert b"X-Two: 2\r\n" in head
        assert b"bad name" not in head

    @pytest.mark.parametrize(("path", "status"), [("/status/404", 404), ("/status/200?x", 400), ("/status/x", 400)])
    def test_answers_the_status_in_the_path(self, path: str, status: int) -> None:
        assert echo_basic().answer(get(path), Port(3000)).status == status

    def test_delays(self) -> None:
        assert echo_basic().answer(get("/?delay=1.5s"), Port(3000)).delay == 1.5
        bad = echo_basic().answer(get("/?delay=soon"), Port(3000))
        assert (bad.status, bad.body) == (500, b'{"message":"time: invalid duration \\"soon\\""}')

    def test_retry_simulation_fails_until_the_attempts_are_made(self) -> None:
        echo = echo_basic()
        target = "/retry/x?uuid=u&succeedAfter=2&responseCode=503"
        assert [echo.answer(get(target), Port(3000)).status for _ in range(3)] == [503, 503, 200]
        reset = echo.answer(get("/retry/x?uuid=v&succeedAfter=1&delayRetry=200ms"), Port(3000))
        assert (reset.abort, reset.delay) == ("reset", 0.2)
        assert echo.answer(get("/retry/x?succeedAfter=1"), Port(3000)).body == b"uuid is required"


def test_any_other_image_says_that_it_is_stood_in_for() -> None:
    program = Program("nginx:1.27", "ns", "pod-1", "web", ports=(80,), services=lambda: ("svc",))
    stand_in = behaviour(program)
    answer = stand_in.answer(get("/p?q=1", ("A", "1"), ("a", "2"), method="POST"), Port(80))
    body = json.loads(answer.body)
    assert body["standIn"] is True
    assert "nginx:1.27" in body["message"]
    assert body["services"] == ["svc"]
    assert (body["namespace"], body["pod"], body["method"], body["path"], body["query"]) == (
        "ns",
        "pod-1",
        "POST",
        "/p",
        "q=1",
    )
    assert body["headers"]["a"] == "1, 2"
    assert not stand_in.known
    assert "stands in for the image nginx:1.27" in stand_in.greeting[0]


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("300ms", 0.3), ("1h2m3s", 3723), (".5s", 0.5), ("-1s", -1), ("0", 0)]
)
def test_durations_read_as_go_reads_them(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "10", "s", "1x", "1s2", "+"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.5e-7, "150ns"), (2.5e-3, "2.5ms"), (90.0, "1m30s"), (3600.5, "1h0m0.5s")]
)
def test_durations_show_as_go_shows_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_go_names_and_paths() -> None:
    assert canonical_name("x-foo-BAR") == "X-Foo-Bar"
    assert canonical_name("bad name") == "bad name"
    assert [clean_path(path) for path in ("", "/a/./b/", "//", "/..", "a")] == ["/", "/a/b/", "/", "/", "/a"]
    assert content_type(b"<html> ") == "text/html; charset=utf-8"
    assert content_type(b"{}") == "text/plain; charset=utf-8"
