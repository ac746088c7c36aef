"""The root Application: what Argo CD is given so that `deploy/gitops` becomes this platform and no other.

Nothing of an environment is committed. What Terraform made is laid over the child Applications by inline patches of the
root Application (`spec.source.kustomize.patches`), and over what they describe by inline patches of theirs. All are
operations of RFC 6902: one that finds nothing to replace fails, where a merge would add a field that nobody reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import yaml

from gatewright.platform.applications import NAMESPACE
from gatewright.platform.outputs import Outputs
from gatewright.platform.targets import Architecture, Settings, Target

NAME = "platform"
"""Of the root Application."""
GATEWAY = "shared-gateway"
"""Of the Gateway, its EdgeBinding and its LoadBalancerConfiguration, in namespace `edge`."""

_OURS = "gatewright.dev/source=platform"  # whose source is the repository that the root's is
_SCP = re.compile(r"[\w.-]+@[\w.-]+:[^/].*")  # git@host:path
_SCHEMES = ("https", "http", "ssh", "git")
_NEEDED = {
    "aws-chained": ("vpc_id", "target_group_arn"),
    "aws-direct": (
        "vpc_id",
        "public_subnet_ids",
        "public_subnet_cidrs",
        "web_acl_arn",
        "certificate_arn",
        "access_log_bucket",
        "security_group_id",
        "hostnames",
    ),
    "azure-chained": ("gateway_address", "gateway_subnet"),
}

Patch = dict[str, Any]
"""A patch of kustomize: `target` says which objects, `patch` has operations in YAML."""


class GitOpsError(Exception):
    """No root Application can be made of this; the text names field, what was found, what was expected, the remedy."""


def root_application(settings: Settings, outputs: Outputs) -> dict[str, Any]:
    """The root Application, `argocd/platform`, of the overlay that the settings name. Raises GitOpsError."""
    _check(settings, outputs)
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "finalizers": ["resources-finalizer.argocd.argoproj.io"],
        },
        "spec": {
            "project": "platform",
            "source": {
                "repoURL": settings.repository,
                "targetRevision": settings.revision,
                "path": f"deploy/gitops/overlays/{settings.overlay}",
                "kustomize": {"patches": child_patches(settings, outputs)},
            },
            "destination": {"server": "https://kubernetes.default.svc", "namespace": NAMESPACE},
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": True},
                "syncOptions": ["ServerSideApply=true"],
                "retry": {
                    "limit": 10,
                    "refresh": True,
                    "backoff": {"duration": "5s", "factor": 2, "maxDuration": "1m"},
                },
            },
        },
    }


def child_patches(settings: Settings, outputs: Outputs) -> list[Patch]:
    """What is laid over the child Applications of the overlay; for `kustomize build` as well as for Argo CD."""
    source = [
        _replace("/spec/source/repoURL", settings.repository),
        _replace("/spec/source/targetRevision", settings.revision),
    ]
    patches = [
        _patch({"kind": "AppProject", "labelSelector": _OURS}, [_replace("/spec/sourceRepos/0", settings.repository)]),
        _patch({"kind": "Application", "labelSelector": _OURS}, source),
    ]
    if settings.cloud is Target.AZURE:
        patches.append(_child("gateway", [_azure_gateway(outputs)]))
        return patches
    patches.append(_patch({"kind": "Application", "name": "gatewright"}, list(_controller_values(settings, outputs))))
    if settings.architecture is Architecture.CHAINED:
        patches.append(_child("edge-binding", [_edge_binding(outputs)]))
    else:
        patches.append(_child("gateway", [_direct_gateway(outputs), _load_balancer(outputs)]))
        patches.append(_child("network-policies", [_network_policies(outputs)]))
    return patches


# --- what differs --------------------------------------------------------------------------------------------------


def _controller_values(settings: Settings, outputs: Outputs) -> Iterator[dict[str, Any]]:
    values = "/spec/source/helm/valuesObject"
    yield _replace(f"{values}/clusterName", outputs.cluster_name)
    yield _add(f"{values}/region", outputs.region)
    if settings.image:
        yield _add(f"{values}/image", _image(settings.image))
    yield _add(f"{values}/vpcId", outputs.vpc_id)
    if settings.architecture is Architecture.DIRECT and outputs.hosted_zone_id:
        yield _replace(f"{values}/features", ["gateways", "dns"])
        # `sync`: records go with the load balancer, so that the zone can be destroyed after it.
        yield _add(f"{values}/dns", {"domainFilters": [settings.domain], "policy": "sync"})


def _image(image: str) -> dict[str, str]:
    repository, at, digest = image.partition("@")
    if at:
        return {"repository": repository, "digest": digest}
    repository, _, tag = image.rpartition(":")
    return {"repository": repository, "tag": tag}


def _edge_binding(outputs: Outputs) -> Patch:
    operations = [
        _replace("/spec/aws/targetGroup", {"arn": outputs.target_group_arn}),
        _replace("/spec/port", outputs.target_group_port),
    ]
    return _patch({"kind": "EdgeBinding", "name": GATEWAY}, operations)


def _azure_gateway(outputs: Outputs) -> Patch:
    annotations = "/spec/infrastructure/annotations/service.beta.kubernetes.io~1azure-load-balancer"
    operations = [
        _add(f"{annotations}-ipv4", outputs.gateway_address),
        _add(f"{annotations}-internal-subnet", outputs.gateway_subnet),
    ]
    return _patch({"kind": "Gateway", "name": GATEWAY}, operations)


def _direct_gateway(outputs: Outputs) -> Patch:
    """One HTTPS listener a hostname: the committed one for the first, copies of it for the others."""
    operations = [{"op": "test", "path": "/spec/listeners/1/name", "value": "https"}]
    for index, hostname in enumerate(outputs.hostnames, 1):
        if index > 1:
            operations.append({"op": "copy", "from": "/spec/listeners/1", "path": f"/spec/listeners/{index}"})
            name = "https-wildcard" if hostname.startswith("*.") else f"https-{index}"
            operations.append(_replace(f"/spec/listeners/{index}/name", name))
        operations.append(_add(f"/spec/listeners/{index}/hostname", hostname))
    return _patch({"kind": "Gateway", "name": GATEWAY}, operations)


def _load_balancer(outputs: Outputs) -> Patch:
    logs = {"enabled": "true", "bucket": outputs.access_log_bucket, "prefix": "alb"}
    operations = [
        _add("/spec/listenerConfigurations/0/defaultCertificate", outputs.certificate_arn),
        _add("/spec/wafV2", {"webACL": outputs.web_acl_arn}),
        _add("/spec/securityGroups", [outputs.security_group_id]),
        _add("/spec/loadBalancerSubnets", [{"identifier": subnet} for subnet in outputs.public_subnet_ids]),
        *(
            _add("/spec/loadBalancerAttributes/-", {"key": f"access_logs.s3.{key}", "value": value})
            for key, value in logs.items()
        ),
    ]
    return _patch({"kind": "LoadBalancerConfiguration", "name": GATEWAY}, operations)


def _network_policies(outputs: Outputs) -> Patch:
    peers = [{"ipBlock": {"cidr": cidr}} for cidr in outputs.public_subnet_cidrs]
    target = {"kind": "NetworkPolicy", "name": "from-load-balancer"}
    return _patch(target, [_replace("/spec/ingress/0/from", peers)])


# --- patches -------------------------------------------------------------------------------------------------------


def _child(application: str, patches: list[Patch]) -> Patch:
    """Lays patches over what a child Application describes."""
    return _patch({"kind": "Application", "name": application}, [_add("/spec/source/kustomize", {"patches": patches})])


def _patch(target: dict[str, str], operations: list[dict[str, Any]]) -> Patch:
    return {"target": target, "patch": yaml.dump(operations, Dumper=_Dumper, sort_keys=False, width=10_000)}


def _add(path: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": path, "value": value}


def _replace(path: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": path, "value": value}


class _Dumper(yaml.SafeDumper):
    """Texts of several lines, as patches within patches, are written for people to read."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


# --- what can't be ---------------------------------------------------------------------------------------------------


def _check(settings: Settings, outputs: Outputs) -> None:
    if settings.overlay not in _NEEDED:
        expected = ", ".join(_NEEDED)
        raise GitOpsError(f"settings: found overlay {settings.overlay}, expected one of {expected}")
    check_repository(settings.repository)
    if not settings.revision:
        raise GitOpsError("settings.revision: found none, expected a branch, a tag or a commit; give --revision")
    if outputs.architecture != settings.architecture:
        raise GitOpsError(
            f"outputs.architecture: found {outputs.architecture or 'none'}, expected {settings.architecture}; "
            "apply the Terraform configuration with the architecture that was asked for"
        )
    common = ("cluster_name", "region")
    missing = [field for field in (*common, *_NEEDED[settings.overlay]) if not getattr(outputs, field)]
    if missing:
        raise GitOpsError(
            f"outputs: found no {', '.join(missing)}, which overlay {settings.overlay} needs; "
            f"let the Terraform configuration of {settings.cloud} have these outputs, and apply it"
        )


def check_repository(url: str) -> None:
    """Whether Argo CD can be given this URL of a Git repository. Raises GitOpsError."""
    if _SCP.fullmatch(url):
        return
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise GitOpsError(
            f"--repository: found {url or 'none'}, expected the URL of the Git repository that has "
            "deploy/gitops, as https://github.com/ORGANISATION/NAME.git"
        )
    if parts.password or (parts.username and parts.scheme != "ssh"):
        raise GitOpsError(
            f"--repository: found a URL of {parts.hostname} with credentials in it, expected one without: "
            "Applications can be read by many; give them to Argo CD in a Secret labelled "
            "argocd.argoproj.io/secret-type: repository"
        )
