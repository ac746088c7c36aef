"""The kinds that Argo CD, Istio and the Prometheus operator bring, as far as a rehearsal has to take their objects.

Each is a small definition of our own: it names the documented fields, so that a misspelt one is noticed, and leaves
open what nobody here reads. Documentation: Argo CD's "Application Specification" and "Project Specification", Istio's
"PeerAuthentication" and "Authorization Policy" references, the Prometheus operator's "ServiceMonitor".
"""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]
Column = tuple[str, str, str, int]
"""What `kubectl get` shows: name, type, path and priority (1 and more: with `-o wide` only)."""

ARGO_GROUP: Final = "argoproj.io"
ISTIO_SECURITY_GROUP: Final = "security.istio.io"
MONITORING_GROUP: Final = "monitoring.coreos.com"


def definitions() -> list[dict[str, Any]]:
    """All CustomResourceDefinitions, to be applied before the objects of their kinds."""
    return [
        *argo_definitions(),
        _definition(ISTIO_SECURITY_GROUP, "PeerAuthentication", "v1", _PEER_AUTHENTICATION, "pa", columns=_MODE),
        _definition(ISTIO_SECURITY_GROUP, "AuthorizationPolicy", "v1", _AUTHORIZATION, "ap", columns=_ACTION),
        _definition(MONITORING_GROUP, "ServiceMonitor", "v1", _SERVICE_MONITOR, "smon"),
        _definition(MONITORING_GROUP, "PodMonitor", "v1", _POD_MONITOR, "pmon"),
    ]


def argo_definitions() -> list[dict[str, Any]]:
    """Those of Argo CD's own kinds: Application and AppProject."""
    return [
        _definition(
            ARGO_GROUP, "Application", "v1alpha1", _APPLICATION, "app", "apps", columns=_SYNC_AND_HEALTH, status=False
        ),
        _definition(ARGO_GROUP, "AppProject", "v1alpha1", _PROJECT, "appproj", "appprojs", status=False),
    ]


# --- the words of a schema ---


def _object(required: tuple[str, ...] = (), /, **fields: Schema) -> Schema:
    named: Schema = {"type": "object", "properties": fields}
    return {**named, "required": list(required)} if required else named


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _map(of: Schema) -> Schema:
    return {"type": "object", "additionalProperties": of}


def _one_of(*values: str) -> Schema:
    return {"type": "string", "enum": list(values)}


_TEXT: Final[Schema] = {"type": "string"}
_FLAG: Final[Schema] = {"type": "boolean"}
_NUMBER: Final[Schema] = {"type": "integer"}
_TEXTS: Final = _list(_TEXT)
_STRINGS: Final = _map(_TEXT)
_OPEN: Final[Schema] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_SELECTOR: Final = _object(
    matchLabels=_STRINGS,
    matchExpressions=_list(_object(("key", "operator"), key=_TEXT, operator=_TEXT, values=_TEXTS)),
)


def _definition(
    group: str,
    kind: str,
    version: str,
    fields: Schema,
    *short_names: str,
    columns: tuple[Column, ...] = (),
    status: bool = True,
) -> dict[str, Any]:
    plural = f"{kind.lower().removesuffix('y')}ies" if kind.endswith("y") else f"{kind.lower()}s"
    head = {"apiVersion": _TEXT, "kind": _TEXT, "metadata": {"type": "object"}}
    shown = [
        {"name": name, "type": type_, "jsonPath": path, **({"priority": priority} if priority else {})}
        for name, type_, path, priority in columns
    ]
    described = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {**fields, "properties": {**head, **fields["properties"]}}},
        "subresources": {"status": {}} if status else {},
        "additionalPrinterColumns": [*shown, _AGE],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": list(short_names),
            },
            "scope": "Namespaced",
            "versions": [described],
        },
    }


_AGE: Final[Schema] = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}

# --- Argo CD ---

_SYNC_AND_HEALTH: Final[tuple[Column, ...]] = (
    ("Sync Status", "string", ".status.sync.status", 0),
    ("Health Status", "string", ".status.health.status", 0),
    ("Revision", "string", ".status.sync.revision", 10),
    ("Project", "string", ".spec.project", 10),
)

_TARGET: Final = _object(
    group=_TEXT,
    version=_TEXT,
    kind=_TEXT,
    name=_TEXT,
    namespace=_TEXT,
    labelSelector=_TEXT,
    annotationSelector=_TEXT,
)

_KUSTOMIZE: Final = _object(
    namePrefix=_TEXT,
    nameSuffix=_TEXT,
    namespace=_TEXT,
    images=_TEXTS,
    replicas=_list(_object(("name", "count"), name=_TEXT, count={"x-kubernetes-int-or-string": True})),
    commonLabels=_STRINGS,
    commonAnnotations=_STRINGS,
    commonAnnotationsEnvsubst=_FLAG,
    forceCommonLabels=_FLAG,
    forceCommonAnnotations=_FLAG,
    labelWithoutSelector=_FLAG,
    labelIncludeTemplates=_FLAG,
    patches=_list(_object(path=_TEXT, patch=_TEXT, target=_TARGET, options=_map(_FLAG))),
    components=_TEXTS,
    ignoreMissingComponents=_FLAG,
    version=_TEXT,
    kubeVersion=_TEXT,
    apiVersions=_TEXTS,
)

_HELM: Final = _object(
    releaseName=_TEXT,
    namespace=_TEXT,
    valueFiles=_TEXTS,
    ignoreMissingValueFiles=_FLAG,
    values=_TEXT,
    valuesObject=_OPEN,
    parameters=_list(_object(name=_TEXT, value=_TEXT, forceString=_FLAG)),
    fileParameters=_list(_object(name=_TEXT, path=_TEXT)),
    skipCrds=_FLAG,
    skipTests=_FLAG,
    skipSchemaValidation=_FLAG,
    passCredentials=_FLAG,
    version=_TEXT,
    kubeVersion=_TEXT,
    apiVersions=_TEXTS,
)

_SOURCE: Final = _object(
    ("repoURL",),
    repoURL=_TEXT,
    path=_TEXT,
    targetRevision=_TEXT,
    chart=_TEXT,
    ref=_TEXT,
    name=_TEXT,
    helm=_HELM,
    kustomize=_KUSTOMIZE,
    directory=_object(recurse=_FLAG, include=_TEXT, exclude=_TEXT, jsonnet=_OPEN),
    plugin=_OPEN,
)

_RETRY: Final = _object(
    limit=_NUMBER,
    refresh=_FLAG,
    backoff=_object(duration=_TEXT, factor=_NUMBER, maxDuration=_TEXT),
)

_APPLICATION: Final = _object(
    ("metadata", "spec"),
    spec=_object(
        ("destination", "project"),
        project=_TEXT,
        source=_SOURCE,
        sources=_list(_SOURCE),
        destination=_object(server=_TEXT, name=_TEXT, namespace=_TEXT),
        syncPolicy=_object(
            automated=_object(prune=_FLAG, selfHeal=_FLAG, allowEmpty=_FLAG, enabled=_FLAG),
            syncOptions=_TEXTS,
            retry=_RETRY,
            managedNamespaceMetadata=_object(labels=_STRINGS, annotations=_STRINGS),
        ),
        ignoreDifferences=_list(
            _object(
                ("kind",),
                group=_TEXT,
                kind=_TEXT,
                name=_TEXT,
                namespace=_TEXT,
                jsonPointers=_TEXTS,
                jqPathExpressions=_TEXTS,
                managedFieldsManagers=_TEXTS,
            )
        ),
        info=_list(_object(("name", "value"), name=_TEXT, value=_TEXT)),
        revisionHistoryLimit=_NUMBER,
    ),
    operation=_object(
        info=_list(_object(("name", "value"), name=_TEXT, value=_TEXT)),
        initiatedBy=_object(username=_TEXT, automated=_FLAG),
        retry=_RETRY,
        sync=_object(
            revision=_TEXT,
            prune=_FLAG,
            dryRun=_FLAG,
            syncOptions=_TEXTS,
            syncStrategy=_OPEN,
            resources=_list(_object(("kind", "name"), group=_TEXT, kind=_TEXT, name=_TEXT, namespace=_TEXT)),
        ),
    ),
    status=_OPEN,
)

_RESOURCE_KIND: Final = _object(("group", "kind"), group=_TEXT, kind=_TEXT, name=_TEXT)

_PROJECT: Final = _object(
    ("metadata", "spec"),
    spec=_object(
        description=_TEXT,
        sourceRepos=_TEXTS,
        sourceNamespaces=_TEXTS,
        destinations=_list(_object(server=_TEXT, name=_TEXT, namespace=_TEXT)),
        destinationServiceAccounts=_list(_object(server=_TEXT, namespace=_TEXT, defaultServiceAccount=_TEXT)),
        clusterResourceWhitelist=_list(_RESOURCE_KIND),
        clusterResourceBlacklist=_list(_RESOURCE_KIND),
        namespaceResourceWhitelist=_list(_RESOURCE_KIND),
        namespaceResourceBlacklist=_list(_RESOURCE_KIND),
        orphanedResources=_object(warn=_FLAG, ignore=_list(_object(group=_TEXT, kind=_TEXT, name=_TEXT))),
        permitOnlyProjectScopedClusters=_FLAG,
        roles=_list(
            _object(("name",), name=_TEXT, description=_TEXT, policies=_TEXTS, groups=_TEXTS, jwtTokens=_list(_OPEN))
        ),
        signatureKeys=_list(_object(("keyID",), keyID=_TEXT)),
        syncWindows=_list(_OPEN),
    ),
    status=_OPEN,
)

# --- Istio ---

_MODE: Final[tuple[Column, ...]] = (("Mode", "string", ".spec.mtls.mode", 0),)
_ACTION: Final[tuple[Column, ...]] = (("Action", "string", ".spec.action", 0),)

_MTLS: Final = _object(mode=_one_of("UNSET", "DISABLE", "PERMISSIVE", "STRICT"))
_WORKLOADS: Final = _object(matchLabels=_STRINGS)
_POLICY_TARGET: Final = _object(("kind", "name"), group=_TEXT, kind=_TEXT, name=_TEXT, namespace=_TEXT)

_PEER_AUTHENTICATION: Final = _object(
    spec=_object(selector=_WORKLOADS, mtls=_MTLS, portLevelMtls=_map(_MTLS)),
    status=_OPEN,
)

_AUTHORIZATION: Final = _object(
    spec=_object(
        selector=_WORKLOADS,
        targetRef=_POLICY_TARGET,
        targetRefs=_list(_POLICY_TARGET),
        action=_one_of("ALLOW", "DENY", "AUDIT", "CUSTOM"),
        provider=_object(name=_TEXT),
        rules=_list(
            _object(
                **{
                    "from": _list(
                        _object(
                            source=_object(
                                principals=_TEXTS,
                                notPrincipals=_TEXTS,
                                requestPrincipals=_TEXTS,
                                notRequestPrincipals=_TEXTS,
                                namespaces=_TEXTS,
                                notNamespaces=_TEXTS,
                                serviceAccounts=_TEXTS,
                                notServiceAccounts=_TEXTS,
                                ipBlocks=_TEXTS,
                                notIpBlocks=_TEXTS,
                                remoteIpBlocks=_TEXTS,
                                notRemoteIpBlocks=_TEXTS,
                            )
                        )
                    ),
                    "to": _list(
                        _object(
                            operation=_object(
                                hosts=_TEXTS,
                                notHosts=_TEXTS,
                                ports=_TEXTS,
                                notPorts=_TEXTS,
                                methods=_TEXTS,
                                notMethods=_TEXTS,
                                paths=_TEXTS,
                                notPaths=_TEXTS,
                            )
                        )
                    ),
                    "when": _list(_object(("key",), key=_TEXT, values=_TEXTS, notValues=_TEXTS)),
                }
            )
        ),
    ),
    status=_OPEN,
)

# --- Prometheus operator ---

_NAMESPACES: Final = _object(any=_FLAG, matchNames=_TEXTS)

_SERVICE_MONITOR: Final = _object(
    ("spec",),
    spec=_object(
        ("endpoints", "selector"),
        endpoints=_list(_OPEN),
        selector=_SELECTOR,
        namespaceSelector=_NAMESPACES,
        jobLabel=_TEXT,
        targetLabels=_TEXTS,
        podTargetLabels=_TEXTS,
    ),
    status=_OPEN,
)

_POD_MONITOR: Final = _object(
    ("spec",),
    spec=_object(
        ("selector",),
        podMetricsEndpoints=_list(_OPEN),
        selector=_SELECTOR,
        namespaceSelector=_NAMESPACES,
        jobLabel=_TEXT,
        podTargetLabels=_TEXTS,
    ),
    status=_OPEN,
)
