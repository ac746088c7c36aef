"""What a container reads at the paths of its volumes."""

from typing import Any

import msgspec
import pytest

from gatewright.local.workloads.environment import Lookup, PodFacts
from gatewright.local.workloads.templates import Pod
from gatewright.local.workloads.volumes import MissingVolume, Read, check_volumes, reader, volume_references
from gatewright.model import core
from gatewright.model.meta import Key, ObjectMeta

FACTS = PodFacts("127.32.0.1", "127.0.0.1", "gatewright")
META = ObjectMeta(name="x", namespace="ns")
SECRETS = {Key("ns", "s"): core.Secret(metadata=META, data={"tls.crt": b"crt", "tls.key": b"key"})}
CONFIG_MAPS = {Key("ns", "cm"): core.ConfigMap(metadata=META, data={"a": "1"}, binary_data={"b": b"\xff"})}
LOOKUP = Lookup(CONFIG_MAPS.get, SECRETS.get)


def pod(*volumes: dict[str, Any], mounts: list[dict[str, Any]] | None = None) -> Pod:
    where = mounts if mounts is not None else [{"name": volume["name"], "mountPath": "/v"} for volume in volumes]
    return msgspec.convert(
        {
            "metadata": {"name": "p", "namespace": "ns", "labels": {"app": "x", "b": "y"}},
            "spec": {"containers": [{"name": "c", "image": "i", "volumeMounts": where}], "volumes": list(volumes)},
        },
        Pod,
    )


def read_of(of: Pod, **env: str) -> Read:
    return reader(lambda: of, of.spec.containers[0], FACTS, LOOKUP, env)


def secret(**fields: Any) -> dict[str, Any]:
    return {"name": "vol", "secret": {"secretName": "s", **fields}}


def config_map(**fields: Any) -> dict[str, Any]:
    return {"name": "vol", "configMap": {"name": "cm", **fields}}


def test_a_whole_secret_or_config_map() -> None:
    read = read_of(pod(secret()))
    assert (read("/v/tls.crt"), read("/v/../v//tls.key"), read("/v/no"), read("/w/tls.crt")) == (
        b"crt",
        b"key",
        None,
        None,
    )
    read = read_of(pod(config_map()))
    assert (read("/v/a"), read("/v/b")) == (b"1", b"\xff")


def test_items_choose_keys_and_name_them_anew() -> None:
    read = read_of(pod(secret(items=[{"key": "tls.crt", "path": "deep/crt"}])))
    assert (read("/v/deep/crt"), read("/v/tls.crt"), read("/v/tls.key")) == (b"crt", None, None)


def test_a_sub_path_is_one_file_and_the_longest_mount_wins() -> None:
    mounts = [
        {"name": "vol", "mountPath": "/v"},
        {"name": "vol", "mountPath": "/v/one", "subPath": "tls.key"},
        {"name": "vol", "mountPath": "/e", "subPathExpr": "$(FILE)"},
    ]
    read = read_of(pod(secret(), mounts=mounts), FILE="tls.crt")
    assert (read("/v/tls.crt"), read("/v/one"), read("/e")) == (b"crt", b"key", b"crt")


def test_a_projected_volume_joins_its_sources() -> None:
    sources = [
        {"secret": {"name": "s", "items": [{"key": "tls.crt", "path": "crt"}]}},
        {"configMap": {"name": "cm"}},
        {"secret": {"name": "gone", "optional": True}},
        {
            "downwardAPI": {
                "items": [
                    {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                    {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
                ]
            }
        },
    ]
    of = pod({"name": "vol", "projected": {"sources": sources}})
    read = read_of(of)
    assert [read(f"/v/{name}") for name in ("crt", "a", "labels", "name")] == [
        b"crt",
        b"1",
        b'app="x"\nb="y"',
        b"p",
    ]
    assert volume_references(of) == ({"cm"}, {"s", "gone"})


def test_what_is_read_is_what_the_api_has_then() -> None:
    secrets = dict(SECRETS)
    of = pod(secret())
    read = reader(lambda: of, of.spec.containers[0], FACTS, Lookup(CONFIG_MAPS.get, secrets.get), {})
    secrets[Key("ns", "s")] = core.Secret(metadata=META, data={"tls.crt": b"new"})
    assert read("/v/tls.crt") == b"new"
    del secrets[Key("ns", "s")]
    assert read("/v/tls.crt") is None


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"name": "vol", "secret": {"secretName": "gone"}}, 'volume "vol" : secret "gone" not found'),
        ({"name": "vol", "configMap": {"name": "gone"}}, 'volume "vol" : configmap "gone" not found'),
        (secret(items=[{"key": "k", "path": "k"}]), "references non-existent secret key: k"),
        (config_map(items=[{"key": "k", "path": "k"}]), "references non-existent config key: k"),
    ],
)
def test_a_missing_source_is_said_unless_it_is_optional_or_not_mounted(volume: dict[str, Any], message: str) -> None:
    with pytest.raises(MissingVolume, match=r"MountVolume\.SetUp failed") as raised:
        check_volumes(pod(volume), FACTS, LOOKUP)
    assert message in str(raised.value)
    check_volumes(pod(volume, mounts=[]), FACTS, LOOKUP)
    kind = "secret" if "secret" in volume else "configMap"
    check_volumes(pod({**volume, kind: {**volume[kind], "optional": True}}), FACTS, LOOKUP)


def test_volumes_of_other_kinds_begin_empty() -> None:
    of = pod({"name": "vol", "emptyDir": {}})
    check_volumes(of, FACTS, LOOKUP)
    assert read_of(of)("/v/x") is None
