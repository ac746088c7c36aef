"""Argo CD: every Application synced and healthy, and Argo CD itself there and reachable."""

from __future__ import annotations

from typing import Any, Final

from gatewright.cluster import ApiError, NotFound
from gatewright.platform.applications import NAMESPACE
from gatewright.platform.report import Check
from gatewright.platform.verify.advice import advise, has_advice
from gatewright.platform.verify.findings import failed, passed, skipped
from gatewright.platform.verify.statuses import conditions
from gatewright.platform.verify.view import Obj, View, name_of

_SERVERS: Final = ("argocd-server", "argocd-repo-server")
_SHOWN = 3


async def applications(view: View) -> list[Check]:
    """Each Application is Synced and Healthy."""
    found = await view.listed("argoproj.io/v1alpha1", "applications")
    expected = "Synced and Healthy"
    if not found:
        text = "the cluster has no Applications" if found is not None else "the cluster doesn't know Argo CD"
        if view.surroundings.outputs is None:
            return [skipped("application", "Applications", expected, text)]
        return [failed("application", "Applications", expected, text, advise("application", "none"))]
    # Those that somebody deleted are told of by the check deletion, while they go.
    standing = [obj for obj in found if not (obj.get("metadata") or {}).get("deletionTimestamp")]
    if not standing:
        return [skipped("application", "Applications", expected, "all of them are being deleted")]
    return [_application(obj) for obj in standing]


def _application(obj: Obj) -> Check:
    status: dict[str, Any] = obj.get("status") or {}
    subject, expected = f"Application {name_of(obj)}", "Synced and Healthy"
    sync = str((status.get("sync") or {}).get("status") or "Unknown")
    health = str((status.get("health") or {}).get("status") or "Unknown")
    namespace, _, name = name_of(obj).rpartition("/")
    if (sync, health) == ("Synced", "Healthy"):
        return passed("application", subject, expected, f"{sync}, {health}")
    text, reason = [f"{sync}, {health}"], ""
    for each in status.get("conditions") or ():
        if str(each.get("type", "")).endswith(("Error", "Warning")):
            text.append(f"{each.get('type')}: {each.get('message')}")
            reason = reason or str(each.get("type"))
    operation = status.get("operationState") or {}
    if operation.get("phase") in ("Failed", "Error", "Running") and operation.get("message"):
        text.append(f"sync {str(operation['phase']).lower()}: {operation['message']}")
        reason = reason or (f"sync-{operation['phase']}" if operation["phase"] != "Running" else "")
    if (status.get("health") or {}).get("message"):
        text.append(str(status["health"]["message"]))
    text += _resources(status)
    if not reason or not has_advice("application", reason):
        reason = health if sync == "Synced" else sync
    return failed(
        "application", subject, expected, "; ".join(text), advise("application", reason, name=name, namespace=namespace)
    )


def _resources(status: dict[str, Any]) -> list[str]:
    """The resources that keep it from being healthy or synced."""
    bad = []
    for each in status.get("resources") or ():
        health = (each.get("health") or {}).get("status") or ""
        sync = each.get("status") or "Synced"
        if health not in ("", "Healthy") or sync != "Synced":
            place = f"{each.get('namespace')}/" if each.get("namespace") else ""
            words = [word for word in (sync if sync != "Synced" else "", health if health != "Healthy" else "") if word]
            said = (each.get("health") or {}).get("message") or ""
            bad.append(
                f"{each.get('kind')} {place}{each.get('name')} is {', '.join(words)}{f' ({said})' if said else ''}"
            )
    more = [f"and {len(bad) - _SHOWN} more"] if len(bad) > _SHOWN else []
    return bad[:_SHOWN] + more


async def argocd(view: View) -> list[Check]:
    """Argo CD's servers are available, and answer by their Service."""
    deployments = {name_of(obj): obj for obj in await view.objects("apps/v1", "deployments")}
    applications = await view.listed("argoproj.io/v1alpha1", "applications")
    there = [name for name in _SERVERS if f"{NAMESPACE}/{name}" in deployments]
    if not there and applications is None and view.surroundings.outputs is None:
        return [skipped("argocd", "Argo CD", "is available", "the cluster doesn't know Argo CD")]
    checks = [available("argocd", deployments.get(f"{NAMESPACE}/{name}"), f"{NAMESPACE}/{name}") for name in _SERVERS]
    return [*checks, await _reached(view)]


def available(id_: str, obj: Obj | None, name: str, topic: str = "argocd") -> Check:
    """Whether a Deployment has all the pods that it is to have."""
    subject, expected = f"Deployment {name}", "all replicas available"
    namespace, _, short = name.rpartition("/")
    names = {"namespace": namespace, "name": short}
    if obj is None:
        return failed(id_, subject, expected, "does not exist", advise(topic, "missing", **names))
    wanted = (obj.get("spec") or {}).get("replicas", 1)
    ready = (obj.get("status") or {}).get("availableReplicas") or 0
    text = f"{ready} of {wanted} replicas available"
    if wanted == 0:
        return failed(id_, subject, expected, "it is scaled to 0 replicas", advise(topic, "scaled", **names))
    if ready < wanted:
        bad = "; ".join(str(each) for each in conditions(obj) if each.type in ("Available", "Progressing"))
        return failed(id_, subject, expected, f"{text}; {bad}" if bad else text, advise(topic, "unavailable", **names))
    return passed(id_, subject, expected, text)


async def _reached(view: View) -> Check:
    subject, expected = f"Service {NAMESPACE}/argocd-server", "answers by the API server's proxy"
    try:
        await server_answers(view)
    except NotFound as error:
        if error.reason == "NotFound" and "services" in error.message:
            advice = advise("argocd", "missing", namespace=NAMESPACE, name="argocd-server")
            return failed("argocd", subject, expected, str(error), advice)
        return skipped("argocd", subject, expected, f"the API server can't be asked to connect: {error}")
    except ApiError as error:
        if error.status in (401, 403, 404, 405, 501):
            return skipped("argocd", subject, expected, f"the API server can't be asked to connect: {error}")
        return failed(
            "argocd",
            subject,
            expected,
            str(error),
            advise("argocd", "unreachable", namespace=NAMESPACE, name="argocd-server"),
        )
    return passed("argocd", subject, expected, "answers /healthz")


async def server_answers(view: View) -> None:
    """Ask argocd-server for its health by the API server's proxy, once for all who want to know. Raises ApiError.

    Within TLS, and as it may be told to leave that to who is in front (server.insecure), without.
    """

    async def ask() -> None:
        services = f"/api/v1/namespaces/{NAMESPACE}/services"
        try:
            await view.surroundings.client.request("GET", f"{services}/https:argocd-server:443/proxy/healthz")
        except ApiError as error:
            if error.status < 500:
                raise
            try:
                await view.surroundings.client.request("GET", f"{services}/argocd-server:80/proxy/healthz")
            except ApiError:
                raise error from None

    await view.once(("argocd-server",), ask)
