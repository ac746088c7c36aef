"""A Gateway's hostname as clients meet it: found by DNS, served with a certificate that was requested for it."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from tests.e2e.edge_process import Gatewright

EDGE = """
aws:
  hostedZones:
    - name: example.com
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: aws-alb}
spec: {controllerName: gateway.k8s.aws/alb}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: public
  namespace: default
  annotations: {gatewright.dev/certificate: request}
spec:
  gatewayClassName: aws-alb
  listeners:
    - {name: https, protocol: HTTPS, port: 443, hostname: shop.example.com}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop, namespace: default}
spec:
  parentRefs: [{name: public}]
  rules: [{backendRefs: [{name: shop, port: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: default}
spec:
  selector: {app: shop}
  ports: [{port: 80, targetPort: 5678}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop, namespace: default}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers: [{name: app, image: hashicorp/http-echo:1.0, args: ["-text=hello"], ports: [{containerPort: 5678}]}]
"""

CLIENT = """
import http.client, json, os, socket, ssl, time
import dns.resolver
from urllib.parse import urlsplit

host, port = os.environ["EDGE_DNS"].rsplit(":", 1)
resolver = dns.resolver.Resolver(configure=False)
resolver.nameservers, resolver.port = [host], int(port)
addresses = [str(item) for item in resolver.resolve("shop.example.com", "A")]
context = ssl.create_default_context(cafile=os.environ["EDGE_CA"])
until = time.monotonic() + 90
while True:
    url = urlsplit(json.load(open(os.environ["EDGE_STATE"]))["httpsUrl"] or "https://127.0.0.1:9")
    try:
        plain = socket.create_connection((addresses[0], url.port or 443), timeout=60)
        connection = http.client.HTTPSConnection("shop.example.com")
        connection.sock = context.wrap_socket(plain, server_hostname="shop.example.com")
        connection.request("GET", "/")
        answer = connection.getresponse()
        if answer.status == 200:
            break
    except OSError as error:
        answer = error
    if time.monotonic() > until:
        raise SystemExit(f"the last answer is {answer}")
    time.sleep(0.2)
print("SEEN " + json.dumps([len(addresses), answer.read().decode().strip()]))
"""


def test_a_name_is_found_and_proves_itself(run: Callable[..., Gatewright], tmp_path: Path) -> None:
    (tmp_path / "edge.yaml").write_text(EDGE)
    (tmp_path / "client.py").write_text(CLIENT)
    command = shlex.join([sys.executable, str(tmp_path / "client.py")])
    process = run("up", "edge.yaml", "--pace", "20", "--exec", command)
    assert process.wait(120) == 0, process.out + process.err
    (line,) = (line for line in process.out.splitlines() if line.startswith("SEEN "))
    addresses, answer = json.loads(line.removeprefix("SEEN "))
    assert addresses >= 1
    assert answer == "hello"
