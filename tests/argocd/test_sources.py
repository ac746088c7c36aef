"""What sources come to: Argo CD's ways to name folders, kustomizations and charts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gatewright.local import tools
from gatewright.local.argocd import trees
from gatewright.local.argocd.application import Application
from gatewright.local.argocd.builds import Cluster, SourceError, image
from gatewright.local.argocd.provided import PROVIDED, Provided, find
from gatewright.local.argocd.sources import Rendered, Sources

REPOSITORY = "https://git.example.com/platform.git"
CLUSTER = Cluster("1.34.0", ("v1", "v1/ConfigMap", "monitoring.coreos.com/v1/ServiceMonitor"))

KUSTOMIZE = pytest.mark.skipif(
    (tools.find("kubectl") or tools.find("kustomize")) is None, reason="neither kubectl nor kustomize is there"
)
HELM = pytest.mark.skipif(tools.find("helm") is None, reason="Helm isn't there")


class Asked:
    """Tells of the cluster, and counts how often."""

    def __init__(self) -> None:
        self.times = 0

    async def __call__(self) -> Cluster:
        self.times += 1
        return CLUSTER


def _write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _config_map(name: str, **data: str) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}) + "\n"


async def _render(folder: Path, *sources: dict[str, Any], asked: Asked | None = None) -> Rendered:
    given = [{"repoURL": REPOSITORY, **source} for source in sources]
    spec: dict[str, Any] = {"source": given[0]} if len(given) == 1 else {"sources": given}
    spec["destination"] = {"namespace": "demo"}
    application = msgspec.convert({"metadata": {"name": "app"}, "spec": spec}, Application)
    return await Sources({REPOSITORY: folder}, asked or Asked()).render(application)


async def _names(folder: Path, *sources: dict[str, Any]) -> list[str]:
    return [obj["metadata"]["name"] for obj in (await _render(folder, *sources)).objects]


async def test_a_folders_files_by_name_and_those_below_on_request(tmp_path: Path) -> None:
    texts = {name: _config_map(name.replace("/", "-").partition(".")[0]) for name in ("b.yaml", "a.json", "sub/c.yml")}
    _write(tmp_path, {**{f"app/{name}": text for name, text in texts.items()}, "app/README.md": "hello"})
    assert await _names(tmp_path, {"path": "app"}) == ["a", "b"]
    assert await _names(tmp_path, {"path": "app", "directory": {"recurse": True}}) == ["a", "b", "sub-c"]
    assert await _names(tmp_path, {"path": "app", "directory": {"recurse": True, "exclude": "sub/*"}}) == ["a", "b"]
    assert await _names(tmp_path, {"path": "app", "directory": {"include": "{b.*,x.*}"}}) == ["b"]
    with pytest.raises(SourceError, match="Jsonnet is not evaluated here"):
        await _render(tmp_path, {"path": "app", "directory": {"jsonnet": {"libs": ["x"]}}})


async def test_lists_are_taken_apart(tmp_path: Path) -> None:
    items = [json.loads(_config_map(name)) for name in ("a", "b")]
    _write(tmp_path, {"app/l.json": json.dumps({"apiVersion": "v1", "kind": "List", "items": items})})
    assert await _names(tmp_path, {"path": "app"}) == ["a", "b"]


async def test_several_sources_are_one_after_another(tmp_path: Path) -> None:
    _write(tmp_path, {"one/a.yaml": _config_map("a"), "two/b.yaml": _config_map("b")})
    rendered = await _render(tmp_path, {"path": "two"}, {"path": "one"})
    assert [obj["metadata"]["name"] for obj in rendered.objects] == ["b", "a"]
    assert len(rendered.revision.split(",")) == 2


@KUSTOMIZE
async def test_what_a_source_adds_to_a_kustomization(tmp_path: Path) -> None:
    deployment = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: example.com/web:1}]}
"""
    component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnameSuffix: -c\n"
    _write(
        tmp_path,
        {
            "app/kustomization.yaml": "resources: [d.yaml]\n",
            "app/d.yaml": deployment,
            "app/patch.yaml": '[{"op": "add", "path": "/metadata/annotations", "value": {"patched": "yes"}}]',
            "parts/c/kustomization.yaml": component,
        },
    )
    kustomize = {
        "namePrefix": "x-",
        "namespace": "elsewhere",
        "images": ["example.com/web:2"],
        "replicas": [{"name": "web", "count": 3}],
        "commonLabels": {"team": "a"},
        "labelWithoutSelector": True,
        "commonAnnotations": {"note": "n"},
        "patches": [{"path": "patch.yaml", "target": {"kind": "Deployment"}}],
        "components": ["../parts/c", "../parts/none"],
        "ignoreMissingComponents": True,
    }
    rendered = await _render(tmp_path, {"path": "app", "kustomize": kustomize})
    assert rendered.objects == (
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": "x-web-c",
                "namespace": "elsewhere",
                "labels": {"team": "a"},
                "annotations": {"patched": "yes", "note": "n"},
            },
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}, "annotations": {"note": "n"}},
                    "spec": {"containers": [{"name": "main", "image": "example.com/web:2"}]},
                },
            },
        },
    )
    kept = (tmp_path / "app/kustomization.yaml").read_text()
    assert kept == "resources: [d.yaml]\n"  # the repository isn't written to


@KUSTOMIZE
async def test_a_kustomization_that_cant_be_built_says_why(tmp_path: Path) -> None:
    _write(tmp_path, {"app/kustomization.yaml": "resources: [nowhere.yaml]\n"})
    with pytest.raises(SourceError, match=r"source 1 of 1: app: .*failed: [\s\S]*nowhere.yaml"):
        await _render(tmp_path, {"path": "app"})


CHART = {
    "chart/Chart.yaml": "apiVersion: v2\nname: demo\nversion: 0.1.0\n",
    "chart/values.yaml": "colour: red\nnumber: 1\n",
    "chart/crds/thing.yaml": (
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.com}\n"
    ),
    "chart/templates/a.yaml": """
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}
data:
  colour: {{ .Values.colour }}
  number: {{ .Values.number | quote }}
  kubernetes: {{ .Capabilities.KubeVersion.Version }}
  monitored: {{ .Capabilities.APIVersions.Has "monitoring.coreos.com/v1/ServiceMonitor" | quote }}
""",
}


@HELM
async def test_a_chart_with_values_by_their_rank(tmp_path: Path) -> None:
    _write(tmp_path, {**CHART, "values/blue.yaml": "colour: blue\n"})
    rendered = await _render(tmp_path, {"path": "chart"})
    assert [obj["kind"] for obj in rendered.objects] == ["CustomResourceDefinition", "ConfigMap"]
    assert rendered.objects[1] == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "app", "namespace": "demo"},
        "data": {"colour": "red", "number": "1", "kubernetes": "v1.34.0", "monitored": "true"},
    }

    async def colour(**helm: Any) -> str:
        sources: list[dict[str, Any]] = [{"path": "chart", "helm": {"skipCrds": True, **helm}}, {"ref": "values"}]
        (found,) = (await _render(tmp_path, *sources)).objects
        return str(found["data"]["colour"])

    assert await colour(valueFiles=["../values/blue.yaml"]) == "blue"
    assert await colour(valueFiles=["$values/values/blue.yaml"]) == "blue"
    assert await colour(valueFiles=["/values/blue.yaml", "no.yaml"], ignoreMissingValueFiles=True) == "blue"
    assert await colour(valueFiles=["/values/blue.yaml"], values="colour: green") == "green"
    assert await colour(values="colour: green", valuesObject={"colour": "black"}) == "black"
    assert await colour(valuesObject={"colour": "black"}, parameters=[{"name": "colour", "value": "white"}]) == "white"
    with pytest.raises(SourceError, match=r"helm.valueFiles: no.yaml: there is no such file"):
        await colour(valueFiles=["no.yaml"])
    with pytest.raises(SourceError, match="is outside of the repository"):
        await colour(valueFiles=["../../x.yaml"])


@HELM
async def test_a_chart_whose_values_are_refused_says_why(tmp_path: Path) -> None:
    schema = '{"type": "object", "properties": {"number": {"type": "integer"}}}'
    _write(tmp_path, {**CHART, "chart/values.schema.json": schema})
    with pytest.raises(SourceError, match=r"helm template failed: [\s\S]*number"):
        await _render(tmp_path, {"path": "chart", "helm": {"valuesObject": {"number": "many"}}})


async def test_nothing_is_built_twice_unless_a_file_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gatewright.local.argocd import sources as module

    _write(tmp_path, {"base/a.yaml": _config_map("a"), "app/kustomization.yaml": "resources: [../base/a.yaml]\n"})
    built: list[str] = []

    async def build(source: Any, folder: Path) -> str:
        built.append(source.path)
        return _config_map("a")

    monkeypatch.setattr(module, "build_kustomization", build)
    application = msgspec.convert(
        {"metadata": {"name": "app"}, "spec": {"source": {"repoURL": REPOSITORY, "path": "app"}}}, Application
    )
    sources = Sources({REPOSITORY: tmp_path}, Asked())
    first = await sources.render(application)
    assert await sources.render(application) == first
    assert built == ["app"]
    _write(tmp_path, {"elsewhere/b.yaml": _config_map("b")})
    assert await sources.render(application) == first
    assert built == ["app"]
    _write(tmp_path, {"base/a.yaml": _config_map("a", changed="yes")})
    assert (await sources.render(application)).revision != first.revision
    assert built == ["app", "app"]


def test_a_tree_is_what_its_kustomization_draws_on(tmp_path: Path) -> None:
    _write(
        tmp_path,
        {
            "app/kustomization.yaml": "resources: [../base, https://x.test]\npatches: [{path: ../patches/p.yaml}]",
            "base/kustomization.yaml": "components: [../parts/c]\nconfigMapGenerator: [{name: g, files: [../files/f]}]",
            "parts/c/kustomization.yaml": "kind: Component\n",
            "patches/p.yaml": "x",
            "files/f": "x",
            "other/o.yaml": "x",
        },
    )
    root = tmp_path.resolve()
    found = trees.dependencies(tmp_path / "app")
    assert [path.relative_to(root).as_posix() for path in found] == [
        "app",
        "base",
        "files/f",
        "parts/c",
        "patches/p.yaml",
    ]
    before = trees.digest(root, found)
    (tmp_path / "other/o.yaml").write_text("y")
    assert trees.digest(root, found) == before
    (tmp_path / "files/f").write_text("y")
    assert trees.digest(root, found) != before


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nginx", {"name": "nginx"}),
        ("nginx:1.2", {"name": "nginx", "newTag": "1.2"}),
        ("registry:5000/a/b:1", {"name": "registry:5000/a/b", "newTag": "1"}),
        ("nginx=example.com/nginx:1", {"name": "nginx", "newName": "example.com/nginx", "newTag": "1"}),
        ("nginx@sha256:00", {"name": "nginx", "digest": "sha256:00"}),
    ],
)
def test_images(text: str, expected: dict[str, str]) -> None:
    assert image(text) == expected


@pytest.mark.parametrize(
    ("source", "provided"),
    [
        ({"repoURL": "https://istio-release.storage.googleapis.com/charts", "chart": "istiod"}, True),
        ({"repoURL": "gcr.io/istio-release/charts", "chart": "ztunnel"}, True),
        ({"repoURL": "https://istio-release.storage.googleapis.com/charts", "chart": "gateway"}, False),
        ({"repoURL": "https://github.com/kubernetes-sigs/gateway-api.git", "path": "config/crd"}, True),
        ({"repoURL": "https://github.com/kubernetes-sigs/gateway-api", "path": "examples"}, False),
    ],
)
def test_provided_sources(source: dict[str, str], provided: bool) -> None:
    from gatewright.local.argocd.application import ApplicationSource

    found = find(msgspec.convert(source, ApplicationSource), PROVIDED)
    assert isinstance(found, Provided) is provided


@pytest.mark.parametrize(
    "source",
    [
        {"path": "links"},
        {"path": "app", "kustomize": {"patches": [{"path": "../../secret.yaml"}]}},
        pytest.param(
            {"path": "chart", "helm": {"fileParameters": [{"name": "a", "path": "../../secret.yaml"}]}}, marks=HELM
        ),
        pytest.param({"path": "chart", "helm": {"valueFiles": ["../../secret.yaml"]}}, marks=HELM),
        {"path": "../"},
    ],
    ids=json.dumps,
)
async def test_nothing_is_read_that_is_outside_of_the_repository(tmp_path: Path, source: dict[str, Any]) -> None:
    _write(
        tmp_path, {"secret.yaml": _config_map("secret"), **{f"repository/{name}": text for name, text in CHART.items()}}
    )
    _write(
        tmp_path, {"repository/app/kustomization.yaml": "resources: []", "repository/links/a.yaml": _config_map("a")}
    )
    (tmp_path / "repository/links/b.yaml").symlink_to(tmp_path / "secret.yaml")
    with pytest.raises(SourceError, match=r"outside of the repository|not in or below the kustomization's folder"):
        await _render(tmp_path / "repository", source)
