"""Regenerates `builtin_types.json` from the Go modules that define the Kubernetes API.

    python regenerate_builtin_types.py GOMODCACHE/k8s.io VERSION > src/gatewright/local/apiserver/builtin_types.json

where the folder holds `api@VERSION`, `apimachinery@VERSION`, `apiextensions-apiserver@VERSION` and
`kube-aggregator@VERSION` (as `go mod download` leaves them). Run it when the embedded API moves to a newer Kubernetes.

The table holds facts that a client depends on and that no schema published for Python carries: protobuf field numbers,
merge keys of strategic merge patch, list types of server-side apply, enumerations, and which fields JSON omits.
"""

import contextlib
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOTS = {
    "api": {
        "core/v1": "Namespace Pod Service Secret ConfigMap Node Endpoints ServiceAccount Event ReplicationController "
        "PersistentVolumeClaim PersistentVolume ResourceQuota LimitRange Binding",
        "apps/v1": "Deployment ReplicaSet StatefulSet DaemonSet ControllerRevision",
        "discovery/v1": "EndpointSlice",
        "coordination/v1": "Lease",
        "events/v1": "Event",
        "policy/v1": "PodDisruptionBudget Eviction",
        "autoscaling/v2": "HorizontalPodAutoscaler",
        "autoscaling/v1": "Scale",
        "rbac/v1": "Role RoleBinding ClusterRole ClusterRoleBinding",
        "networking/v1": "Ingress IngressClass NetworkPolicy",
        "batch/v1": "Job CronJob",
        "storage/v1": "StorageClass",
        "scheduling/v1": "PriorityClass",
        "admissionregistration/v1": "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding "
        "ValidatingWebhookConfiguration MutatingWebhookConfiguration",
        "authorization/v1": "SelfSubjectAccessReview SubjectAccessReview SelfSubjectRulesReview",
        "authentication/v1": "SelfSubjectReview TokenReview TokenRequest",
    },
    "apiextensions-apiserver": {"pkg/apis/apiextensions/v1": "CustomResourceDefinition"},
    "kube-aggregator": {"pkg/apis/apiregistration/v1": "APIService"},
    "apimachinery": {"pkg/apis/meta/v1": "DeleteOptions Status LabelSelector"},
}
# Types whose JSON or protobuf form is not what their fields say; the server knows each by name.
SPECIAL = {
    "meta/v1.Time",
    "meta/v1.MicroTime",
    "meta/v1.Duration",
    "meta/v1.FieldsV1",
    "meta/v1.Verbs",
    "resource.Quantity",
    "intstr.IntOrString",
    "runtime.RawExtension",
    "runtime.Object",
    "apiextensions/v1.JSON",
    "apiextensions/v1.JSONSchemaPropsOrArray",
    "apiextensions/v1.JSONSchemaPropsOrBool",
    "apiextensions/v1.JSONSchemaPropsOrStringArray",
    "authentication/v1.ExtraValue",
    "authorization/v1.ExtraValue",
}
FIELD = re.compile(r"^\t(\w+)\s+(\S.*?)\s+`(.+)`")
EMBEDDED = re.compile(r"^\t\*?([\w.]+)\s+`(.+)`")
TAG = re.compile(r'(\w+):"([^"]*)"')
SCALARS = {"string", "bool", "int32", "int64", "int", "float64", "byte", "uint32", "uint64"}


def package_name(path: str) -> str:
    """`core/v1` for k8s.io/api/core/v1, `meta/v1` for k8s.io/apimachinery/pkg/apis/meta/v1."""
    parts = path.split("/")
    return "/".join(parts[-2:]) if re.fullmatch(r"v\d\w*", parts[-1]) else parts[-1]


class Package:
    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.structs: dict[str, list[tuple[str, str, dict[str, str], list[str]]]] = {}
        self.aliases: dict[str, str] = {}
        self.enums: set[str] = set()
        self.consts: dict[str, list[str]] = {}
        self.atomic: set[str] = set()
        self.imports: dict[str, str] = {}
        self.values: dict[str, str] = {}
        self.borrowed: list[tuple[str, str, str]] = []
        for file in sorted(folder.glob("*.go")):
            if not re.search(r"_test\.go$|zz_generated|generated\.pb|swagger_doc", file.name):
                self.read(file.read_text())

    def read(self, text: str) -> None:
        for alias, path in re.findall(r'^\s*(?:import )?(\w+)?\s*"(k8s\.io/[^"]+)"', text, re.M):
            self.imports[alias or path.split("/")[-1]] = package_name(path)
        for type_, value in re.findall(r'^\s*\w+\s+(\w+)\s*=\s*"([^"]*)"', text, re.M):
            self.consts.setdefault(type_, []).append(value)
        for type_, value in re.findall(r'^\s*\w+\s*=\s*(\w+)\("([^"]*)"\)', text, re.M):
            self.consts.setdefault(type_, []).append(value)
        for name, value in re.findall(r'^\s*(\w+)(?:\s+\w+)?\s*=\s*"([^"]*)"', text, re.M):
            self.values[name] = value
        self.borrowed += re.findall(r"^\s*\w+\s*=\s*(\w+)\((\w+)\.(\w+)\)", text, re.M)
        comments: list[str] = []
        struct: str | None = None
        fields: list[tuple[str, str, dict[str, str], list[str]]] = []
        for line in text.splitlines():
            if line.strip().startswith("//"):
                comments.append(line.strip()[2:].strip())
                continue
            if struct is None:
                if match := re.match(r"^type (\w+) struct \{$", line):
                    struct, fields = match[1], []
                    if "+structType=atomic" in comments:
                        self.atomic.add(struct)
                elif match := re.match(r"^type (\w+) struct ?\{\}$", line):
                    self.structs[match[1]] = []
                elif match := re.match(r"^type (\w+) (=\s*)?([\w.\[\]*]+)", line):
                    self.aliases[match[1]] = match[3]
                    if "+enum" in comments:
                        self.enums.add(match[1])
            elif line == "}":
                self.structs[struct] = fields
                struct = None
            elif match := FIELD.match(line):
                fields.append((match[1], match[2], dict(TAG.findall(match[3])), comments))
            elif match := EMBEDDED.match(line):
                fields.append(("", match[1], dict(TAG.findall(match[2])), comments))
            if line.strip():
                comments = []


def main(root: str, version: str) -> None:
    folders: dict[str, Path] = {}
    for module in ROOTS:
        base = Path(root, f"{module}@{version}")
        for file in base.rglob("*.go"):
            relative = str(file.parent.relative_to(base))
            folders.setdefault(package_name(relative), file.parent)
    packages: dict[str, Package] = {}

    def package(name: str) -> Package:
        if name not in packages:
            packages[name] = Package(name, folders[name])
        return packages[name]

    types: dict[str, dict[str, Any]] = {}
    enums: dict[str, list[str]] = {}

    def resolve(owner: Package, text: str) -> str:
        """A Go type as the table writes it; queues the structs that it leads to."""
        if text.startswith("*"):
            return "*" + resolve(owner, text[1:])
        if text.startswith("[]"):
            return "bytes" if text == "[]byte" else "[]" + resolve(owner, text[2:])
        if text.startswith("map["):
            return "{}" + resolve(owner, text[text.index("]") + 1 :])
        if text in SCALARS:
            return text
        if "." in text:
            prefix, text = text.split(".", 1)
            owner = package(owner.imports[prefix])
        name = f"{owner.name}.{text}"
        if name in SPECIAL:
            return name
        if text in owner.aliases:
            if text in owner.enums:
                values = set(owner.consts.get(text, []))
                for type_, prefix, const in owner.borrowed:
                    if type_ == text:
                        values.add(package(owner.imports[prefix]).values[const])
                enums[name] = sorted(values - {""})
                return "enum:" + name
            return resolve(owner, owner.aliases[text])
        if name not in types and text in owner.structs:
            types[name] = {}
            types[name] = struct(owner, text)
        if name not in types:
            raise SystemExit(f"unknown type {name}")
        return name

    def struct(owner: Package, name: str) -> dict[str, Any]:
        described: dict[str, Any] = {"fields": []}
        if name in owner.atomic:
            described["atomic"] = True
        for _, go, tags, comments in owner.structs[name]:
            json_name, *flags = tags.get("json", "").split(",")
            proto = tags.get("protobuf", "").split(",")
            number = int(proto[1]) if len(proto) > 1 else 0
            if json_name == "-":
                continue
            if not json_name:  # embedded
                prefix, _, base = go.rpartition(".")
                if base == "TypeMeta":
                    continue
                inner = package(owner.imports[prefix]) if prefix else owner
                type_ = resolve(inner, base)
                described["fields"].append({"inline": type_, "number": number})
                continue
            entry: dict[str, Any] = {"name": json_name, "number": number, "type": resolve(owner, go)}
            if "omitempty" in flags or "omitzero" in flags:
                entry["omit"] = True
            elif "+optional" not in comments:
                entry["required"] = True
            if tags.get("patchMergeKey"):
                entry["mergeKey"] = tags["patchMergeKey"]
            if tags.get("patchStrategy"):
                entry["strategy"] = tags["patchStrategy"]
            for comment in comments:
                if match := re.match(r"^\+(listType|mapType|structType)=(\w+)$", comment):
                    entry["list"] = match[2]
                elif match := re.match(r"^\+listMapKey=(\w+)$", comment):
                    entry.setdefault("keys", []).append(match[1])
                elif match := re.match(r"^\+default=(.+)$", comment):
                    with contextlib.suppress(ValueError):
                        entry["default"] = json.loads(match[1])
            described["fields"].append(entry)
        return described

    for paths in ROOTS.values():
        for path, names in paths.items():
            for name in names.split():
                resolve(package(package_name(path)), name)
    table = {
        "source": f"k8s.io/api, apimachinery, apiextensions-apiserver, kube-aggregator {version}",
        "types": dict(sorted(types.items())),
        "enums": dict(sorted(enums.items())),
    }
    json.dump(table, sys.stdout, separators=(",", ":"))
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
