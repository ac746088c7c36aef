"""The commands besides `up`, in this process."""

from __future__ import annotations

import ipaddress
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store
from typer.testing import CliRunner, Result

from gatewright.cli import app

NAMES = ["shop.example.com", "*.example.org", "127.0.0.1"]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def secret_of(text: str) -> dict[str, bytes]:
    import base64

    return {name: base64.b64decode(value) for name, value in yaml.safe_load(text)["data"].items()}


def test_help_and_version() -> None:
    assert "up" in call("--help").output
    for command in ("up", "certs"):
        done = call(command, "--help")
        assert done.exit_code == 0
        assert "Usage:" in done.output
        assert max(map(len, done.output.splitlines())) <= 80
    assert call("--version").output.startswith("gatewright ")
    assert call("up").exit_code == 2
    assert call("nothing").exit_code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_offered(shell: str) -> None:
    complete = CliRunner().invoke(
        app,
        [],
        prog_name="gatewright",
        env={"_GATEWRIGHT_COMPLETE": f"source_{shell}"},
    )
    assert complete.exit_code == 0
    assert "gatewright" in complete.output


def test_the_secret_verifies_against_its_own_ca() -> None:
    done = call("certs", *NAMES, "-n", "edge", "--secret", "tls")
    assert done.exit_code == 0
    made = yaml.safe_load(done.stdout)
    assert (made["kind"], made["type"]) == ("Secret", "kubernetes.io/tls")
    assert made["metadata"] == {"name": "tls", "namespace": "edge"}
    data = secret_of(done.stdout)
    leaf, *rest = x509.load_pem_x509_certificates(data["tls.crt"])
    store = Store(x509.load_pem_x509_certificates(data["ca.crt"]))
    for subject in (
        x509.DNSName(NAMES[0]),
        x509.DNSName("any.example.org"),
        x509.IPAddress(ipaddress.ip_address(NAMES[2])),
    ):
        PolicyBuilder().store(store).build_server_verifier(subject).verify(leaf, rest)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_openssl_agrees(tmp_path: Path) -> None:
    assert call("certs", *NAMES, "--dir", str(tmp_path)).exit_code == 0
    verify = ["openssl", "verify", "-CAfile", "ca.crt", "-verify_hostname", NAMES[0], "server.crt"]
    done = subprocess.run(verify, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "server.crt: OK\n", done.stderr


def test_a_folder_keeps_the_ca(tmp_path: Path) -> None:
    call("certs", "a.example.com", "--dir", str(tmp_path))
    authority = (tmp_path / "ca.crt").read_bytes()
    done = call("certs", "b.example.com", "--dir", str(tmp_path), "-o", "json")
    assert (tmp_path / "ca.crt").read_bytes() == authority
    assert json.loads(done.stdout)["kind"] == "Secret"
    for name in ("ca.key", "server.key"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0
    (tmp_path / "ca.key").write_text("not a key")
    done = call("certs", "c.example.com", "--dir", str(tmp_path))
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert done.stdout == ""


@pytest.mark.parametrize("name", ["", "no spaces", "ünïcode.example.com", "a" * 300])
def test_a_name_that_is_none(name: str) -> None:
    done = call("certs", name)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"error: found {name!r}, expected a host name")
    assert done.stdout == ""


def test_apply_without_a_cluster(tmp_path: Path) -> None:
    done = call("certs", "a.example.com", "--apply", "--kubeconfig", str(tmp_path / "none"))
    assert done.exit_code == 1
    assert done.stderr.startswith("error: kubeconfig ")
