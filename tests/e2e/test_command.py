"""`gatewright up` as a command: its exit statuses, what it prints where, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.e2e.edge_process import (
    EXAMPLE,
    GATEWRIGHT,
    SMALL,
    Edge,
    Gatewright,
    app,
    eventually,
    fetch,
    gateway,
    route,
)

Run = Callable[..., Gatewright]
Up = Callable[..., Edge]

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="leftovers are looked for in /proc")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


# --- --exec ----------------------------------------------------------------------------------------------------------


def test_exec_finds_the_edge_in_its_environment(run: Run) -> None:
    script = (
        'cat "$EDGE_STATE"; test -s "$KUBECONFIG" && grep -q "BEGIN CERTIFICATE" "$EDGE_CA" '
        '&& echo "$EDGE_URL" "$EDGE_HTTPS_URL"'
    )
    process = run("up", EXAMPLE, "--no-aws", "--exec", script)
    assert process.wait() == 0, process.err
    *state_lines, urls = process.out.splitlines()
    state = json.loads("\n".join(state_lines))
    gateway = state["gateways"][0]
    assert (gateway["namespace"], gateway["name"], gateway["className"]) == ("istio-ingress", "shared-gateway", "istio")
    assert [(item["name"], item["port"], item["attachedRoutes"]) for item in gateway["listeners"]] == [
        ("http", 80, 4),
        ("https", 443, 4),
    ]
    assert all(item["boundPort"] in (item["port"], item["port"] + 8000) for item in gateway["listeners"])
    assert urls.split() == [state["url"], state["httpsUrl"]]
    assert process.err == "", "a healthy run says nothing of its own"
    assert process.left() == []


@pytest.mark.parametrize(
    ("command", "status"), [("exit 7", 7), ("kill -TERM $$", 143), ("kill -9 $$", 137), ("command-not-there", 127)]
)
def test_exec_gives_its_own_status(run: Run, small: Path, command: str, status: int) -> None:
    process = run("up", small, "--exec", command)
    assert process.wait() == status
    assert process.left() == []


def test_what_exec_leaves_running_ends_with_it(run: Run, small: Path) -> None:
    process = run("up", small, "--exec", "sleep 300 & echo started")
    assert process.wait() == 0
    assert process.out == "started\n"
    eventually(lambda: process.left() == [])


def test_exec_reads_our_standard_input(run: Run, small: Path) -> None:
    reading, writing = os.pipe()
    process = run("up", small, "--exec", "cat", stdin=reading)
    os.close(reading)
    os.write(writing, b"hello\n")
    os.close(writing)
    assert process.wait() == 0
    assert process.out == "hello\n"


# --- signals ---------------------------------------------------------------------------------------------------------

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.mark.parametrize(("number", "status"), SIGNALS)
def test_a_signal_while_serving(up: Up, small: Path, number: int, status: int) -> None:
    edge = up(small)
    address = edge.url.removeprefix("http://")
    host, _, port = address.partition(":")
    assert edge.interrupt(number) == status
    assert edge.left() == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port or 80)), timeout=2)
    assert "Traceback" not in edge.out + edge.err


@pytest.mark.parametrize(
    ("words", "number", "status"),
    [
        ("reading manifests", signal.SIGINT, 130),
        ("starting the edge", signal.SIGTERM, 143),
        ("applying 4 objects", signal.SIGINT, 130),
        ("waiting for Gateways", signal.SIGTERM, 143),
    ],
)
def test_a_signal_while_starting(run: Run, small: Path, words: str, number: int, status: int) -> None:
    process = run("up", small)
    process.says(words)
    assert process.interrupt(number) == status
    assert process.left() == []
    assert "Traceback" not in process.out + process.err


def test_a_signal_before_anything_is_said(run: Run, small: Path) -> None:
    process = run("up", small)
    # From the first library on it is our code that runs; before, the interpreter starts and ends as it likes.
    maps = Path(f"/proc/{process.process.pid}/maps")
    eventually(lambda: "site-packages" in maps.read_text())
    assert process.interrupt() == 130
    assert process.left() == []


def test_a_signal_during_exec_ends_the_command(run: Run, small: Path) -> None:
    process = run("up", small, "--exec", "echo running; trap 'echo ended; exit 5' TERM; sleep 300 & wait")
    process.says("running")
    assert process.interrupt(signal.SIGTERM) == 143
    assert "ended" in process.out
    assert process.left() == []


_ON_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


def test_ctrl_c_on_a_terminal_reaches_the_command(small: Path) -> None:
    command = [sys.executable, "-c", _ON_A_TERMINAL, str(GATEWRIGHT), "up", str(small), "--exec", "echo ready; cat"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    try:
        while b"ready" not in (line := process.stdout.readline()):
            assert line
        process.stdin.write(b"typed\n")
        process.stdin.flush()
        for _ in ("the terminal's echo", "the command, which reads from it"):
            while b"typed" not in (line := process.stdout.readline()):
                assert line
        process.stdin.write(b"\x03")
        process.stdin.flush()
        assert process.wait(20) == 130
    finally:
        process.kill()
        process.communicate()


def test_two_signals_are_no_more_than_one(up: Up, small: Path) -> None:
    edge = up(small)
    edge.process.send_signal(signal.SIGINT)
    edge.process.send_signal(signal.SIGINT)
    assert edge.wait() == 130
    assert edge.left() == []


def test_standard_input_can_be_given_up_with_a_signal(run: Run) -> None:
    reading, writing = os.pipe()
    try:
        process = run("up", "-", stdin=reading)
        process.says("reading manifests")
        assert process.interrupt() == 130
    finally:
        os.close(reading)
        os.close(writing)


def test_killed_for_good_it_leaves_no_envoy(up: Up, small: Path) -> None:
    edge = up(small)
    assert edge.envoys()
    edge.process.kill()
    edge.process.wait()
    eventually(lambda: edge.processes() == {})


def test_a_reader_that_goes_away_ends_it(run: Run, small: Path) -> None:
    process = run("up", small, "--exec", "true")
    assert process.wait() == 0
    shell = f"{GATEWRIGHT} up {small} | head -n 1"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=90)
    assert done.stdout == "reading manifests ...\n"
    assert "Traceback" not in done.stderr


# --- Envoy -----------------------------------------------------------------------------------------------------------


def test_envoy_killed_while_serving_comes_back_and_is_reported(up: Up, small: Path) -> None:
    edge = up(small)
    (envoy,) = edge.envoys()
    os.kill(envoy, signal.SIGKILL)
    edge.says("Envoy: exited with -9; it is started again with its configuration")
    eventually(lambda: fetch(edge.url).body.strip() == "small")
    assert envoy not in edge.envoys()
    assert edge.interrupt() == 130
    assert edge.left() == []


# --- options ---------------------------------------------------------------------------------------------------------


def test_a_backend_of_the_users_own(up: Up, small: Path) -> None:
    class Own(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"my own process")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Own)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        edge = up(small, "--backend", f"default/app:8080=127.0.0.1:{server.server_port}")
        assert fetch(edge.url).body == "my own process"
    finally:
        server.shutdown()
        server.server_close()


def test_a_backend_for_nothing_is_told(run: Run, small: Path) -> None:
    process = run("up", small, "--backend", "default/other=127.0.0.1:9", "--exec", "true")
    assert process.wait() == 0
    assert process.err == "warning: --backend: there is no Service default/other\n"


def test_the_state_and_the_ca_survive_a_restart(up: Up, run: Run, small: Path, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    edge = up(small, "--data-dir", folder)
    edge.cluster.apply(app("later", "made while it ran") + "---" + route("later", "later", "/later"), "default")
    eventually(lambda: fetch(f"{edge.url}/later").status == 200)
    uid = edge.cluster.get("Gateway", "default", "gw")["metadata"]["uid"]
    authority = (folder / "ca.crt").read_bytes()

    second = run("up", small, "--data-dir", folder, "--exec", "true")
    assert second.wait() == 1
    assert second.err == f"error: --data-dir {folder}: another gatewright uses it; stop that one or name another\n"

    assert edge.interrupt() == 130
    again = up(small, "--data-dir", folder)
    assert fetch(f"{again.url}/later").body.strip() == "made while it ran"
    assert again.cluster.get("Gateway", "default", "gw")["metadata"]["uid"] == uid
    assert (folder / "ca.crt").read_bytes() == authority
    assert (folder / "ca.key").stat().st_mode & 0o077 == 0


def test_two_edges_run_at_once(up: Up, small: Path) -> None:
    first, second = up(small), up(small)
    assert first.url != second.url
    assert fetch(first.url).body == fetch(second.url).body == "small\n"
    assert first.cluster.get("Gateway", "default", "gw") != second.cluster.get("Gateway", "default", "gw")


def test_a_port_that_is_taken_is_shifted_and_the_table_says_so(up: Up, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = other.getsockname()[1]
        path = tmp_path / "taken.yaml"
        path.write_text("---".join((gateway(port=port), app("app", "shifted"), route("app", "app"))))
        edge = up(path)
    assert f"note: port {port} is open as " in edge.out
    assert fetch(edge.url).body.strip() == "shifted"


# --- bad input -------------------------------------------------------------------------------------------------------

REFUSED = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: wrong}
spec:
  hostname: [a.example.com]
  parentRefs: [{name: gw}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: typed}
spec:
  gatewayClassName: istio
  listeners:
    - {name: http, port: "80", protocol: HTTP}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRout
metadata: {name: kind}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: rule}
spec:
  rules:
    - filters: [{type: RequestRedirect, requestRedirect: {statusCode: 301}}]
      backendRefs: [{name: app, port: 8080}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: nowhere, namespace: nowhere}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: counted}
spec:
  replicas: two
  selector: {matchLabels: {app: x}}
  template:
    metadata: {labels: {app: x}}
    spec: {containers: [{name: x, image: x}]}
---
apiVersion: v1
kind: Secret
metadata: {name: secret}
data: {password: "hunter2, not base64!"}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: twice
  name: again
"""

PROBLEMS = [
    "bad.yaml:52: field name is given twice; the first is on line 51",
    "bad.yaml:6: HTTPRoute wrong: spec.hostname: unknown field; did you mean hostnames?",
    'bad.yaml:15: Gateway typed: spec.listeners[0].port: found "80", expected a whole number',
    "bad.yaml:18: HTTPRout kind: kind: there is no kind HTTPRout in gateway.networking.k8s.io/v1;"
    " did you mean HTTPRoute?",
    "bad.yaml:26: HTTPRoute rule: spec.rules[0]: RequestRedirect filter must not be used together with backendRefs",
    'bad.yaml:37: Deployment counted: spec.replicas: found "two", expected a number',
]


def test_every_problem_is_printed_with_its_line_and_nothing_runs(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(REFUSED)
    (tmp_path / "good.yaml").write_text(SMALL)
    process = run("up", "good.yaml", "bad.yaml", "missing.yaml", "--exec", "echo RAN")
    assert process.wait() == 1
    assert process.out == ""
    print(process.err)
    lines = process.err.splitlines()
    for number, text in enumerate(PROBLEMS):
        if "nowhere" not in text and "bad.yaml:41" not in text and "counted" not in text:
            assert f"error: {text}" in lines, number
    assert "error: missing.yaml: there is no such file or folder" in lines
    assert any(line.startswith("error: bad.yaml:") and "Secret secret" in line for line in lines)
    assert "hunter2" not in process.err
    assert process.left() == []


def test_a_namespace_that_is_missing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "edge.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: nowhere}\n")
    process = run("up", "edge.yaml", "--exec", "echo RAN")
    assert process.wait() == 1
    expected = "metadata.namespace: there is no namespace nowhere; add a Namespace object of that name"
    assert process.err == f"error: edge.yaml:3: ConfigMap nowhere/x: {expected}\n1 problem\n"


def test_keep_going_serves_what_was_taken(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(REFUSED)
    (tmp_path / "good.yaml").write_text(SMALL)
    process = run("up", "good.yaml", "bad.yaml", "--keep-going", "--exec", "echo RAN")
    assert process.wait() == 0
    assert process.out == "RAN\n"
    assert "did you mean hostnames?" in process.err


def test_a_reference_to_nothing_is_told_with_its_line_and_the_rest_goes_on(run: Run, tmp_path: Path) -> None:
    lost = route("lost", "nobody", "/lost") + "---" + route("stray", "app", "/stray", parent="nix")
    (tmp_path / "edge.yaml").write_text(SMALL + "---" + lost)
    process = run("up", "edge.yaml", "--exec", "echo RAN")
    assert process.wait() == 0
    lines = process.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("warning: edge.yaml:")
    assert "HTTPRoute default/lost: parentRef gw: BackendNotFound: spec.rules[0].backendRefs[0]" in lines[0]
    assert "HTTPRoute default/stray: spec.parentRefs[0]: Gateway default/nix does not exist" in lines[1]
    assert process.out == "RAN\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"apiVersion: v1\nkind: [\n", "file.yaml:3:1: not valid YAML: did not find expected node content"),
        (b"\x00\x01\xff\xfe", "file.yaml: expected UTF-8 text: invalid start byte at byte 2"),
        (b"- a\n- b\n", "file.yaml:1: found a list, expected an object with apiVersion, kind and metadata"),
        (b"kind: Service\n", "file.yaml:1: apiVersion: found nothing, expected a string"),
        (b"# nothing\n", "file.yaml: no object is there: add manifests, or name other files or folders"),
        (b"[" * 100_000, None),
    ],
)
def test_a_file_that_holds_no_manifests(run: Run, tmp_path: Path, content: bytes, message: str | None) -> None:
    (tmp_path / "file.yaml").write_bytes(content)
    process = run("up", "file.yaml", "--exec", "echo RAN")
    assert process.wait() == 1
    assert process.out == ""
    assert len(process.err.splitlines()) == 2
    if message:
        assert process.err == f"error: {message}\n1 problem\n"
    assert process.left() == []


def test_paths_that_lead_to_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "kustom").mkdir()
    (tmp_path / "kustom" / "kustomization.yaml").write_text("resources: [nix.yaml]\n")
    process = run("up", "empty", "kustom", "gone", "--exec", "echo RAN")
    assert process.wait() == 1
    first, second, third, count = process.err.splitlines()
    assert first == "error: empty: the folder holds no .yaml, .yml or .json file"
    assert second.startswith("error: kustom: ")
    assert third == "error: gone: there is no such file or folder"
    assert count == "3 problems"


def test_a_data_dir_that_is_a_file(run: Run, small: Path) -> None:
    process = run("up", small, "--data-dir", small, "--exec", "echo RAN")
    assert process.wait() == 1
    assert process.err == f"error: --data-dir {small}: found a file, expected a folder\n"
    assert process.left() == []


@pytest.mark.parametrize("arguments", [(), ("x.yaml", "--backend", "nonsense"), ("x.yaml", "--nix")])
def test_wrong_usage_is_status_2(run: Run, arguments: tuple[str, ...]) -> None:
    process = run("up", *arguments)
    assert process.wait() == 2
    assert process.out == ""
    assert "Error: " in process.err
