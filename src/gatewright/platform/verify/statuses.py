"""What the objects' own statuses say: conditions that are bad or behind, Ingresses without address, stuck deletions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from gatewright.model.gateway.shared import NEGATIVE
from gatewright.platform.report import Check
from gatewright.platform.verify.advice import advise, has_advice
from gatewright.platform.verify.findings import failed, passed
from gatewright.platform.verify.view import Obj, View, name_of

_GATEWAY_API: Final = "gateway.networking.k8s.io/v1"
_ALPHA: Final = "gateway.networking.k8s.io/v1alpha2"
_AWS_GATEWAY: Final = "gateway.k8s.aws/v1beta1"

_KINDS: Final[tuple[tuple[str, str, str], ...]] = (
    (_GATEWAY_API, "gatewayclasses", "GatewayClass"),
    (_GATEWAY_API, "gateways", "Gateway"),
    (_GATEWAY_API, "listenersets", "ListenerSet"),
    (_GATEWAY_API, "httproutes", "HTTPRoute"),
    (_GATEWAY_API, "grpcroutes", "GRPCRoute"),
    (_GATEWAY_API, "tlsroutes", "TLSRoute"),
    (_ALPHA, "tcproutes", "TCPRoute"),
    (_ALPHA, "udproutes", "UDPRoute"),
    (_GATEWAY_API, "backendtlspolicies", "BackendTLSPolicy"),
    ("gatewright.dev/v1alpha1", "edgebindings", "EdgeBinding"),
    (_AWS_GATEWAY, "loadbalancerconfigurations", "LoadBalancerConfiguration"),
    (_AWS_GATEWAY, "targetgroupconfigurations", "TargetGroupConfiguration"),
    (_AWS_GATEWAY, "listenerruleconfigurations", "ListenerRuleConfiguration"),
    ("networking.k8s.io/v1", "ingresses", "Ingress"),
)
"""Kinds whose statuses tell of the edge."""

_HELD: Final[tuple[tuple[str, str, str], ...]] = (
    ("v1", "namespaces", "Namespace"),
    ("v1", "services", "Service"),
    ("v1", "pods", "Pod"),
    ("argoproj.io/v1alpha1", "applications", "Application"),
)
"""Further kinds that finalizers may keep from going."""

_SETTLING: Final = 1.0
"""Seconds that a controller is given to look at an edit."""
_PATIENCE: Final = timedelta(seconds=60)
"""How long a deletion, or the first status of an object, may take."""


class Bad(NamedTuple):
    """A condition that isn't as it should be, with where it is: empty for the object itself."""

    where: str
    type: str
    status: str
    reason: str
    message: str

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.type}={self.status} {self.reason}: {self.message}".rstrip(": ")


async def statuses(view: View) -> list[Check]:
    """One check an object: all that its conditions say is wrong, and whether they are about what is written now."""
    objects = [(kind, obj) for version, plural, kind in _KINDS for obj in await view.objects(version, plural)]
    if any([*_behind(obj)] for _, obj in objects):
        # Somebody has edited one a moment ago, and its controller is about to tell of that.
        await asyncio.sleep(_SETTLING)
        again = View(view.surroundings)
        try:
            objects = [(kind, obj) for version, plural, kind in _KINDS for obj in await again.objects(version, plural)]
        finally:
            await again.close()
    now = view.surroundings.clock()
    return [
        _status(kind, obj, now) for kind, obj in objects if not (obj.get("metadata") or {}).get("deletionTimestamp")
    ]


def _status(kind: str, obj: Obj, now: datetime) -> Check:
    subject = f"{kind} {name_of(obj)}"
    expected = "no condition that is bad, and an address" if kind == "Ingress" else "no condition that is bad"
    namespace, _, name = name_of(obj).rpartition("/")
    names = {
        "kind": kind,
        "object": f"{kind.lower()} {name}" + (f" -n {namespace}" if namespace else ""),
        "namespace": namespace,
        "name": name,
    }
    bad = [*conditions(obj)]
    if bad:
        first = next((each for each in bad if _known(each)), bad[0])
        return failed("status", subject, expected, "; ".join(map(str, bad)), advise("status", first.reason, **names))
    if kind == "Ingress":
        return _ingress(subject, expected, obj, names)
    behind = [*_behind(obj)]
    if behind or (kind in _EXPECTED and not any(_all_conditions(obj))):
        text = f"{', '.join(behind)} is about an older version of it" if behind else "nobody has written a status"
        if now - _time((obj.get("metadata") or {}).get("creationTimestamp"), now) >= _PATIENCE or behind:
            return failed("status", subject, expected, text, advise("status", "behind", **names))
        return passed("status", subject, expected, "made a moment ago; nobody has written a status yet")
    held = [f"{each.get('type')}" for _, each in _all_conditions(obj) if each.get("status") == "True"]
    return passed("status", subject, expected, ", ".join(dict.fromkeys(held)) or "no condition")


_EXPECTED: Final = ("Gateway", "HTTPRoute", "GRPCRoute", "TLSRoute", "EdgeBinding")
"""Kinds on which a controller has to say something."""


def _known(bad: Bad) -> bool:
    return has_advice("status", bad.reason)


def conditions(obj: Obj) -> Iterator[Bad]:
    """The conditions of an object, its listeners and its parents that are bad, each text once."""
    seen = set()
    for where, each in _all_conditions(obj):
        type_, status = str(each.get("type", "")), str(each.get("status", ""))
        if (status == "True") != (type_ in NEGATIVE):
            continue
        bad = Bad(where, type_, status, str(each.get("reason", "")), str(each.get("message", "")))
        if bad[1:] not in seen:
            seen.add(bad[1:])
            yield bad


def _all_conditions(obj: Obj) -> Iterator[tuple[str, Obj]]:
    status = obj.get("status") or {}
    yield from (("", each) for each in status.get("conditions") or ())
    for listener in status.get("listeners") or ():
        yield from ((f"listener {listener.get('name')}", each) for each in listener.get("conditions") or ())
    for parent in (*(status.get("parents") or ()), *(status.get("ancestors") or ())):
        ref = parent.get("parentRef") or parent.get("ancestorRef") or {}
        yield from ((f"at {ref.get('name')}", each) for each in parent.get("conditions") or ())


def _behind(obj: Obj) -> Iterable[str]:
    generation = (obj.get("metadata") or {}).get("generation") or 0
    return dict.fromkeys(
        str(each.get("type"))
        for _, each in _all_conditions(obj)
        if each.get("observedGeneration") and int(each["observedGeneration"]) < int(generation)
    )


def _ingress(subject: str, expected: str, obj: Obj, names: dict[str, str]) -> Check:
    addresses = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    if not addresses:
        return failed("status", subject, expected, "has no address", advise("status", "Ingress", **names))
    return passed(
        "status", subject, expected, ", ".join(each.get("hostname") or each.get("ip") or "" for each in addresses)
    )


# --- deletions -------------------------------------------------------------------------------------------------------


async def deletions(view: View) -> list[Check]:
    """Nothing that somebody deleted is kept from going."""
    kinds = (*_KINDS, *_HELD)
    found = await asyncio.gather(*(view.objects(version, plural) for version, plural, _ in kinds))
    now = view.surroundings.clock()
    checks = [
        check
        for (_, _, kind), objects in zip(kinds, found, strict=True)
        for obj in objects
        for check in _deletion(kind, obj, now)
    ]
    return checks or [passed("deletion", "deleted objects", "are gone", "none is left")]


def _deletion(kind: str, obj: Obj, now: datetime) -> Iterator[Check]:
    metadata: dict[str, Any] = obj.get("metadata") or {}
    asked = metadata.get("deletionTimestamp")
    if not asked or now - _time(asked, now) < _PATIENCE:
        return
    finalizers = [*(metadata.get("finalizers") or ()), *((obj.get("spec") or {}).get("finalizers") or ())]
    namespace, _, name = name_of(obj).rpartition("/")
    names = {
        "object": f"{kind.lower()} {name}" + (f" -n {namespace}" if namespace else ""),
        "namespace": namespace or name,
        "finalizers": ", ".join(finalizers) or "none",
    }
    known = next((each for each in finalizers if has_advice("finalizer", each)), "")
    yield failed(
        "deletion",
        f"{kind} {name_of(obj)}",
        "goes when it is deleted",
        f"deleted at {asked} and still there; finalizers: {names['finalizers']}{_why(obj)}",
        advise("finalizer", known or ("" if finalizers else "none"), **names),
    )


def _why(obj: Obj) -> str:
    texts = [
        str(each.get("message"))
        for each in (obj.get("status") or {}).get("conditions") or ()
        if each.get("status") == "True" and each.get("message") and "Content" in str(each.get("type"))
    ]
    return f"; {'; '.join(texts)}" if texts else ""


def _time(text: Any, otherwise: datetime) -> datetime:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).astimezone(UTC)
    except ValueError:
        return otherwise
