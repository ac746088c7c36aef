"""Edges as users have them: the installed command in a process of its own, seen from outside."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import yaml

T = TypeVar("T")

EXAMPLES = Path(__file__).parents[2] / "examples"
EXAMPLE = EXAMPLES / "eks"
GATEWRIGHT = Path(sys.executable).with_name("gatewright")
KUBECTL = shutil.which("kubectl")
_MARK = "GATEWRIGHT_TEST"


# --- requests --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def fetch(
    url: str,
    *,
    host: str = "",
    headers: Mapping[str, str] | None = None,
    ca: str | Path | None = None,
    sni: str = "",
) -> Answer:
    """One request on a connection of its own. `sni` is sent and verified instead of the URL's host."""
    parts = urlsplit(url)
    assert parts.hostname
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    connection = http.client.HTTPConnection(parts.hostname, port, timeout=60)
    connection.connect()
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
        connection.sock = context.wrap_socket(connection.sock, server_hostname=sni or parts.hostname)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers={**({"Host": host} if host else {}), **(headers or {})})
        response = connection.getresponse()
        body = response.read().decode()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)
    finally:
        connection.close()


def eventually(check: Callable[[], T | None], what: str = "", seconds: float = 60) -> T:
    """The first truthy result of `check`; an exception counts as not yet."""
    end = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < end:
        try:
            result = check()
        except (AssertionError, OSError, http.client.HTTPException, KeyError, IndexError) as error:
            last = error
        else:
            if result:
                return result
            last = result
        time.sleep(0.02)
    raise AssertionError(f"did not come true in {seconds} s: {what or check}; last: {last!r}")


# --- the cluster -----------------------------------------------------------------------------------------------------


class Cluster:
    """The embedded API through its kubeconfig, without any of gatewright's own code."""

    def __init__(self, kubeconfig: Path, token: str = "") -> None:
        """With a token, as its bearer."""
        self.kubeconfig = kubeconfig
        content = yaml.safe_load(kubeconfig.read_text())
        cluster = content["clusters"][0]["cluster"]
        self.server = cluster["server"]
        self._token = token or content["users"][0]["user"]["token"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._context = ssl.create_default_context(cadata=authority)

    def request(self, method: str, path: str, body: bytes | None = None, content_type: str = "application/json") -> Any:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": content_type}
        request = urllib.request.Request(self.server + path, body, headers, method=method)
        with urllib.request.urlopen(request, context=self._context, timeout=60) as response:
            return json.loads(response.read())

    def log(self, namespace: str, pod: str) -> str:
        """What a pod has said."""
        request = urllib.request.Request(
            f"{self.server}/api/v1/namespaces/{namespace}/pods/{pod}/log",
            headers={"Authorization": f"Bearer {self._token}"},
        )
        with urllib.request.urlopen(request, context=self._context, timeout=60) as response:
            return str(response.read().decode())

    def apply(self, manifests: str, namespace: str = "") -> None:
        """Server-side apply of each document; `namespace` is for those that name none."""
        for document in yaml.safe_load_all(manifests):
            if namespace and document["kind"] not in ("Namespace", "GatewayClass"):
                document["metadata"].setdefault("namespace", namespace)
            path = self._path(document) + "?fieldManager=test&force=true"
            self.request("PATCH", path, json.dumps(document).encode(), "application/apply-patch+yaml")

    def get(self, kind: str, namespace: str, name: str) -> Any:
        return self.request("GET", self._path({"kind": kind, "metadata": {"namespace": namespace, "name": name}}))

    def patch(self, kind: str, namespace: str, name: str, patch: Any) -> None:
        path = self._path({"kind": kind, "metadata": {"namespace": namespace, "name": name}})
        self.request("PATCH", path, json.dumps(patch).encode(), "application/merge-patch+json")

    def delete(self, kind: str, namespace: str, name: str) -> None:
        self.request("DELETE", self._path({"kind": kind, "metadata": {"namespace": namespace, "name": name}}))

    def parents(self, namespace: str, route: str) -> list[dict[str, tuple[str, str]]]:
        """Of each parent of an HTTPRoute, the conditions: type to status and reason."""
        parents = self.get("HTTPRoute", namespace, route)["status"]["parents"]
        return [conditions(parent) for parent in parents]

    @staticmethod
    def _path(obj: Mapping[str, Any]) -> str:
        prefix, plural = _KINDS[obj["kind"]]
        metadata = obj["metadata"]
        within = f"/namespaces/{metadata['namespace']}" if metadata.get("namespace") else ""
        return f"{prefix}{within}/{plural}/{metadata['name']}"


_GATEWAY = "/apis/gateway.networking.k8s.io/v1"
_KINDS = {
    "Namespace": ("/api/v1", "namespaces"),
    "Service": ("/api/v1", "services"),
    "Secret": ("/api/v1", "secrets"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "Gateway": (_GATEWAY, "gateways"),
    "HTTPRoute": (_GATEWAY, "httproutes"),
    "GRPCRoute": (_GATEWAY, "grpcroutes"),
    "TLSRoute": (_GATEWAY, "tlsroutes"),
    "TCPRoute": (_GATEWAY, "tcproutes"),
    "UDPRoute": (_GATEWAY, "udproutes"),
    "ReferenceGrant": (_GATEWAY, "referencegrants"),
    "ListenerSet": (_GATEWAY, "listenersets"),
    "BackendTLSPolicy": (_GATEWAY, "backendtlspolicies"),
}


def conditions(holder: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    return {found["type"]: (found["status"], found["reason"]) for found in holder["conditions"]}


def app(name: str, text: str, replicas: int = 1) -> str:
    """A Deployment of http-echo and its Service on port 8080."""
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers:
        - {{name: app, image: "hashicorp/http-echo:1.0", args: ["-listen=:8080", "-text={text}"]}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  selector: {{app: {name}}}
  ports: [{{port: 8080}}]
"""


def gateway(name: str = "gw", class_name: str = "gatewright", port: int = 8080) -> str:
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}}}
spec:
  gatewayClassName: {class_name}
  listeners: [{{name: http, port: {port}, protocol: HTTP}}]
"""


def route(name: str, backend: str, path: str = "/", parent: str = "gw") -> str:
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: {parent}}}]
  rules:
    - matches: [{{path: {{value: "{path}"}}}}]
      backendRefs: [{{name: {backend}, port: 8080}}]
"""


SMALL = "---".join((gateway(), app("app", "small"), route("app", "app")))
"""An edge of one route that answers `small`."""


# --- gatewright ------------------------------------------------------------------------------------------------------


class Gatewright:
    """A running `gatewright`, its output, and what it leaves behind."""

    def __init__(self, *arguments: str | Path, directory: Path, stdin: int | None = subprocess.DEVNULL) -> None:
        self.directory = directory
        self.temporary = Path(tempfile.mkdtemp(prefix="gw"))
        self._mark = uuid.uuid4().hex
        environment = {**os.environ, _MARK: self._mark, "TMPDIR": str(self.temporary), "COLUMNS": "120"}
        self.process = subprocess.Popen(
            [str(GATEWRIGHT), *map(str, arguments)],
            cwd=directory,
            env=environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._out: list[str] = []
        self._err: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=arguments, daemon=True)
            for arguments in ((self.process.stdout, self._out), (self.process.stderr, self._err))
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream: Iterable[str], into: list[str]) -> None:
        into.extend(stream)  # a list takes each line as it comes

    @property
    def out(self) -> str:
        return "".join(self._out)

    @property
    def err(self) -> str:
        return "".join(self._err)

    def wait(self, seconds: float = 60.0) -> int:
        """The exit status as a shell has it."""
        code = self.process.wait(seconds)
        for reader in self._readers:
            reader.join(5)
        return code if code >= 0 else 128 - code

    def says(self, text: str, seconds: float = 60) -> str:
        """Wait for a line with `text` in standard output or error; the line."""

        def look() -> str:
            found = next((line for line in (*self._out, *self._err) if text in line), "")
            if not found and self.process.poll() is not None:
                raise RuntimeError(f"ended with {self.process.returncode}: {self.out}{self.err}")
            return found

        return eventually(look, f"output with {text!r}: {self.out} {self.err}", seconds)

    def processes(self) -> dict[int, str]:
        """What runs on our behalf, by process id."""
        mark = f"{_MARK}={self._mark}".encode()
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if command:  # empty for one that has ended and not been waited for
                        found[int(folder.name)] = command
        return found

    def envoys(self) -> list[int]:
        return [pid for pid, command in self.processes().items() if "--config-path" in command]

    def left(self) -> list[str]:
        """Processes and temporary files that are still there."""
        return [*self.processes().values(), *(str(path) for path in self.temporary.rglob("*"))]

    def interrupt(self, number: int = signal.SIGINT) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.wait()

    def close(self) -> None:
        for pid in (*self.processes(), self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM if pid == self.process.pid else 0)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.temporary, ignore_errors=True)


class Edge(Gatewright):
    """A `gatewright up` that serves."""

    url: str
    ca: Path
    cluster: Cluster

    def serving(self) -> Edge:
        """Wait until it serves, and read what it prints about itself."""
        self.says("Ctrl-C takes it all down", 60)
        exports = dict(re.findall(r"export (\w+)=(\S+)", self.out))
        self.cluster = Cluster(Path(exports["KUBECONFIG"]))
        self.ca = Path(exports.get("EDGE_CA", ""))
        found = {scheme: re.search(rf"(?m)^  \S+ +\w+ \d+ +({scheme}://\S+)", self.out) for scheme in ("http", "https")}
        self.url = found["http"][1] if found["http"] else ""
        self.https_url = found["https"][1] if found["https"] else ""
        return self

    def address(self, namespace: str, name: str = "gw") -> str:
        """A Gateway's address, once it is programmed."""

        def look() -> str:
            status = self.cluster.get("Gateway", namespace, name)["status"]
            assert conditions(status)["Programmed"][0] == "True"
            return str(status["addresses"][0]["value"])

        return eventually(look, f"Gateway {namespace}/{name} is programmed")
