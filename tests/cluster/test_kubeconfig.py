"""Clusters as kubeconfigs name them: credentials of every kind, certificates, proxies."""

from __future__ import annotations

import base64
import json
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gatewright.cluster import ApiError, Client, Unreachable

NAME = "cluster.example.com"


def certificate() -> tuple[str, str]:
    """A certificate (PEM) that trusts itself, for NAME, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return built.public_bytes(Encoding.PEM).decode(), private


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Cluster:
    """An API that writes down who asks, and knows only `known` where that is given."""

    def __init__(self, folder: Path, tls: tuple[str, str] | None, *, known: str = "") -> None:
        self.folder, self.known = folder, known
        self.tls = tls
        self.asked: list[str] = []
        self.clients: list[str] = []
        self.url = ""

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(request.headers.get("Authorization", ""))
        assert request.transport
        peer = request.transport.get_extra_info("peercert")
        self.clients.append(str(peer["subject"][0][0][1]) if peer else "")
        known = not self.known or self.asked[-1] == self.known
        return web.Response(status=200 if known else 401, text=request.raw_path)

    def write(self, user: dict[str, Any], **cluster: Any) -> Path:
        path = self.folder / "config"
        config = {
            "clusters": [{"name": "c", "cluster": {"server": self.url, **cluster}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "ns"}}],
            "current-context": "x",
        }
        path.write_text(yaml.safe_dump(config))
        return path

    def program(self, **status: Any) -> dict[str, Any]:
        """Exec credentials: a program that gives the next of tokens in a file, and keeps what it is told."""
        program = self.folder / "program.py"
        program.write_text(
            "import json, os, pathlib, sys\n"
            "folder = pathlib.Path(sys.argv[1])\n"
            "runs = folder / 'runs'\n"
            "run = int(runs.read_text()) + 1 if runs.exists() else 1\n"
            "runs.write_text(str(run))\n"
            "info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
            "(folder / 'info').write_text(json.dumps(info))\n"
            "status = json.loads(os.environ['STATUS'])\n"
            "status['token'] = status.get('token', '') + str(run)\n"
            "print(json.dumps({'apiVersion': info['apiVersion'], 'kind': 'ExecCredential', 'status': status}))\n"
        )
        return {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": [str(program), str(self.folder)],
            "env": [{"name": "STATUS", "value": json.dumps(status)}],
        }


@asynccontextmanager
async def cluster(folder: Path, *, tls: bool = False, known: str = "") -> AsyncIterator[Cluster]:
    made = Cluster(folder, certificate() if tls else None, known=known)
    context = None
    if made.tls:
        (folder / "tls.pem").write_text("".join(made.tls))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=made.tls[0])
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_cert_chain(folder / "tls.pem")
    runner = web.ServerRunner(web.Server(made.answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    made.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


async def ask(path: Path, times: int = 1) -> Client:
    async with Client.connect(path) as client:
        for _ in range(times):
            assert await client.request("GET", "/version")
    return client


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ({}, ""),
        ({"token": "secret"}, "Bearer secret"),
        ({"username": "a", "password": "b"}, "Basic " + encoded("a:b")),
        ({"tokenFile": "token", "token": "older"}, "Bearer of the file"),
    ],
)
async def test_a_user_is_authorized_as_its_kubeconfig_says(tmp_path: Path, user: dict[str, Any], expected: str) -> None:
    (tmp_path / "token").write_text("of the file\n")
    async with cluster(tmp_path) as api:
        client = await ask(api.write(user))
        assert (api.asked, client.namespace) == ([expected], "ns")


async def test_a_token_file_is_read_again_when_its_token_is_refused(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    async with cluster(tmp_path) as api, Client.connect(api.write({"tokenFile": "token"})) as client:
        await client.request("GET", "/version")
        token.write_text("new")
        api.known = "Bearer new"
        await client.request("GET", "/version")
        assert api.asked == ["Bearer old", "Bearer old", "Bearer new"]


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_a_program_issues_the_token(tmp_path: Path, version: str) -> None:
    async with cluster(tmp_path) as api:
        program = {**api.program(token="t"), "apiVersion": f"client.authentication.k8s.io/{version}"}
        await ask(api.write({"exec": program}), times=3)
        assert api.asked == ["Bearer t1"] * 3
        told = json.loads((tmp_path / "info").read_text())
        assert (told["apiVersion"], told["spec"]) == (program["apiVersion"], {"interactive": False})


async def test_a_program_runs_again_at_its_tokens_end_and_when_that_is_refused(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        ended = api.program(token="t", expirationTimestamp="2020-01-01T00:00:00Z")
        await ask(api.write({"exec": ended}), times=2)
        assert api.asked == ["Bearer t1", "Bearer t2"]
        api.known = "Bearer t4"
        await ask(api.write({"exec": api.program(token="t")}))
        assert api.asked[2:] == ["Bearer t3", "Bearer t4"]
        api.known = "Bearer nobody"
        with pytest.raises(ApiError):
            await ask(api.write({"exec": api.program(token="t")}))


async def test_a_program_is_told_of_the_cluster_if_it_wants_to(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        await ask(api.write({"exec": {**api.program(), "provideClusterInfo": True}}))
        assert json.loads((tmp_path / "info").read_text())["spec"]["cluster"] == {"server": api.url}


async def test_a_program_that_fails_says_so(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        program = {**api.program(), "args": ["-c", "import sys; sys.exit('log in first')"], "installHint": "get it"}
        with pytest.raises(Unreachable, match=r"exec credentials of .*: it ended with 1: log in first\nget it"):
            await ask(api.write({"exec": program}))
        with pytest.raises(Unreachable, match=r"exec.apiVersion: found a/v0, expected client.authentication"):
            await ask(api.write({"exec": {**program, "apiVersion": "a/v0"}}))


async def test_the_certificate_is_checked_for_the_name_that_is_given(tmp_path: Path) -> None:
    async with cluster(tmp_path, tls=True) as api:
        assert api.tls
        trusted = {"certificate-authority-data": encoded(api.tls[0])}
        await ask(api.write({}, **trusted, **{"tls-server-name": NAME}))
        for distrusting in (trusted, {"tls-server-name": NAME}):
            with pytest.raises(Unreachable, match="certificate verify failed"):
                await ask(api.write({}, **distrusting))
        await ask(api.write({}, **{"insecure-skip-tls-verify": True}))
        assert len(api.asked) == 2


async def test_a_client_certificate_comes_from_the_kubeconfig_or_a_program(tmp_path: Path) -> None:
    async with cluster(tmp_path, tls=True) as api:
        assert api.tls
        facts = {"certificate-authority-data": encoded(api.tls[0]), "tls-server-name": NAME}
        data = {"client-certificate-data": encoded(api.tls[0]), "client-key-data": encoded(api.tls[1])}
        await ask(api.write(data, **facts))
        await ask(api.write({"client-certificate": "tls.pem", "client-key": "tls.pem"}, **facts))
        issued = api.program(clientCertificateData=api.tls[0], clientKeyData=api.tls[1])
        await ask(api.write({"exec": issued}, **facts))
        assert api.clients == [NAME] * 3


async def test_requests_go_through_the_proxy(tmp_path: Path) -> None:
    async with cluster(tmp_path) as proxy:
        path = proxy.write({}, **{"server": "http://nowhere.invalid", "proxy-url": proxy.url})
        async with Client.connect(path) as client:
            assert await client.request("GET", "/version") == b"http://nowhere.invalid/version"
        with pytest.raises(Unreachable, match="proxy-url: found socks5://a, expected an HTTP proxy"):
            await ask(proxy.write({}, **{"proxy-url": "socks5://a"}))


async def test_the_environments_proxy_is_for_other_machines_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster(tmp_path) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        async with Client.connect(proxy.write({}, server="http://nowhere.invalid")) as client:
            assert await client.request("GET", "/version") == b"http://nowhere.invalid/version"
        async with Client.connect(proxy.write({})) as client:
            assert await client.request("GET", "/version") == b"/version"


async def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="not found"):
        Client.connect(tmp_path / "none")
    async with cluster(tmp_path) as api:
        with pytest.raises(Unreachable, match="Context 'y' not found"):
            Client.connect(api.write({}), "y")
        with pytest.raises(Unreachable, match=r"use user\.exec"):
            Client.connect(api.write({"auth-provider": {"name": "gcp"}}))
