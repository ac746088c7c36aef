"""Kubeconfigs of what Terraform made, and the Gateway's certificate."""

from __future__ import annotations

import base64
import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import yaml
from tests.platform.cluster import cluster
from tests.platform.test_configuration import EDGE

from gatewright.local.certificates import Authority, names_of
from gatewright.platform import access, certificates
from gatewright.platform.errors import PlatformError
from gatewright.platform.outputs import Outputs

AWS = Outputs(
    name="platform",
    region="eu-west-1",
    architecture="chained",
    cluster_name="platform",
    cluster_endpoint="https://abc.eks.example.com",
    cluster_certificate_authority=base64.b64encode(b"PEM").decode(),
)


def test_eks_issues_tokens_by_the_command_line_with_the_profile_in_use() -> None:
    found = access.aws_kubeconfig(AWS, "/usr/bin/aws", {"AWS_PROFILE": "sandbox"})
    assert found["clusters"][0]["cluster"]["server"] == AWS.cluster_endpoint
    user = found["users"][0]["user"]["exec"]
    assert user["command"] == "/usr/bin/aws"
    assert user["args"][:6] == ["eks", "get-token", "--cluster-name", "platform", "--region", "eu-west-1"]
    assert user["env"] == [{"name": "AWS_PROFILE", "value": "sandbox"}]
    with pytest.raises(PlatformError, match="outputs cluster_endpoint are empty"):
        access.aws_kubeconfig(msgspec.structs.replace(AWS, cluster_endpoint=""), "aws", {})


def test_a_kubeconfig_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("old")
    path.chmod(0o644)
    access.write_kubeconfig(path, {"kind": "Config"})
    assert yaml.safe_load(path.read_text()) == {"kind": "Config"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_the_rehearsals_is_the_edges_if_terraform_made_that_cluster(tmp_path: Path) -> None:
    async with cluster(tmp_path) as place:
        edge = msgspec.structs.replace(EDGE, kubeconfig=str(place.kubeconfig))
        described = yaml.safe_load(place.kubeconfig.read_text())["clusters"][0]["cluster"]
        authority = described["certificate-authority-data"]
        outputs = msgspec.structs.replace(
            AWS, cluster_endpoint=described["server"], cluster_certificate_authority=authority
        )
        assert access.local_kubeconfig(outputs, edge) == place.kubeconfig.read_bytes()
        with pytest.raises(
            PlatformError, match=r"cluster_endpoint is https://abc.*the local edge's API is https://127"
        ):
            access.local_kubeconfig(AWS, edge)
        wrong = msgspec.structs.replace(outputs, cluster_certificate_authority=AWS.cluster_certificate_authority)
        with pytest.raises(PlatformError, match="another certificate authority"):
            access.local_kubeconfig(wrong, edge)


AZ = """#!/bin/sh
echo "$@" >> {folder}/calls
while [ "$1" ]; do if [ "$1" = --file ]; then file=$2; fi; shift; done
cat > "$file" <<END
users: [{{name: u, user: {{exec: {{command: {command}}}}}}}]
END
"""


@pytest.mark.parametrize("command", ["kubelogin", "other"])
async def test_aks_gives_its_own_and_asks_the_login_that_az_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    for name, text in (
        ("az", AZ.format(folder=tmp_path, command=command)),
        ("kubelogin", f'#!/bin/sh\necho "kubelogin $@" >> {tmp_path}/calls\n'),
    ):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    outputs = msgspec.structs.replace(AWS, resource_group="platform")
    await access.azure_kubeconfig(outputs, tmp_path / "kubeconfig", "of-the-platform")
    assert command in (tmp_path / "kubeconfig").read_text()
    calls = (tmp_path / "calls").read_text()
    assert "aks get-credentials" in calls
    assert "--subscription of-the-platform" in calls
    assert ("kubelogin convert-kubeconfig --login azurecli" in calls) == (command == "kubelogin")
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".az")]


def test_the_certificate_is_made_once_and_for_all_names(tmp_path: Path) -> None:
    authority, certificate, new = certificates.keep(tmp_path / "c", "shop.example.com")
    assert new
    expected = {"shop.example.com", "*.shop.example.com", "shared-gateway.edge.svc"}
    assert names_of(certificate.chain) == expected
    assert authority.issued(certificate.chain)
    assert certificate.chain.endswith(authority.pem)  # an Application Gateway asks for the whole chain
    again = certificates.keep(tmp_path / "c", "shop.example.com")
    assert again[1:] == (certificate, False)
    assert again[0].pem == authority.pem
    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0o700
    for name in ("ca.key", "tls.key"):
        assert stat.S_IMODE((tmp_path / "c" / name).stat().st_mode) == 0o600


def test_it_is_made_anew_for_other_names_another_authority_and_a_month_before_its_end(tmp_path: Path) -> None:
    certificates.keep(tmp_path, "a.example.com")
    _, certificate, new = certificates.keep(tmp_path, "b.example.com")
    assert new
    wanted = certificates.names("b.example.com")
    authority, now = Authority.load_or_create(tmp_path), datetime.now(UTC)
    assert certificates.fitting(certificate.chain, wanted, authority, now + timedelta(days=360))
    assert not certificates.fitting(certificate.chain, wanted, authority, now + timedelta(days=370))
    assert not certificates.fitting(certificate.chain, wanted, Authority.create(), now)
    leaf = certificate.chain.removesuffix(authority.pem)
    assert not certificates.fitting(leaf, wanted, authority, now)
    (tmp_path / "tls.key").unlink()
    assert certificates.keep(tmp_path, "b.example.com")[2]
    (tmp_path / "ca.crt").write_text("nothing")
    with pytest.raises(PlatformError, match="remove both"):
        certificates.keep(tmp_path, "b.example.com")


async def test_the_secret_is_put_and_found_and_its_namespace_is_left_to_argo_cd(tmp_path: Path) -> None:
    authority, certificate, _ = certificates.keep(tmp_path / "c", "shop.example.com")
    async with cluster(tmp_path) as place:
        assert not await certificates.stands(place.client, certificate.chain)
        await certificates.put(place.client, authority, certificate)
        assert await certificates.stands(place.client, certificate.chain)
        await certificates.put(place.client, authority, certificate)
        labelled = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "edge", "labels": {"team": "x"}}}
        await place.client.apply(labelled, field_manager="argocd-controller", force=False)
        await certificates.put(place.client, authority, certificate)
        namespace = await place.get("v1", "namespaces", "", "edge")
        assert namespace is not None
        assert namespace["metadata"]["labels"]["team"] == "x"
        secret = await place.get("v1", "secrets", "edge", "gateway-tls")
        assert json.dumps(secret).count("PRIVATE") == 0  # base64
        _, other, _ = certificates.keep(tmp_path / "c", "other.example.com")
        assert not await certificates.stands(place.client, other.chain)
