"""What an Application comes to against what the cluster holds: one look, on which everything else is decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from gatewright.local.argocd.application import Application, AppProject
from gatewright.local.argocd.builds import SourceError
from gatewright.local.argocd.comparison import Comparison
from gatewright.local.argocd.health import has_check, health
from gatewright.local.argocd.live import Kinds, LiveState
from gatewright.local.argocd.operations import unsupported
from gatewright.local.argocd.projects import forbidden, refusals
from gatewright.local.argocd.resources import (
    COMPARE_OPTIONS,
    Resource,
    ResourceId,
    annotations_of,
    options_of,
    wanted,
    wave_of,
)
from gatewright.local.argocd.sources import Rendered, Sources
from gatewright.local.argocd.statuses import Seen
from gatewright.model.kinds import Kind

_DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")


class Picture(Struct, frozen=True):
    """What was seen of one Application."""

    revision: str = ""
    resources: tuple[Resource, ...] = ()
    """What is to be applied, hooks left out."""
    seen: tuple[Seen, ...] | None = None
    """Every object, wanted or only there; None where nothing could be compared."""
    conditions: tuple[tuple[str, str], ...] = ()
    """Types and messages."""
    errors: tuple[str, ...] = ()
    """Why nothing can be compared or synced."""
    invalid: Mapping[ResourceId, str] = {}
    """Why objects can't be synced."""
    rendered: Rendered | None = None
    """What the sources came to; None where they, or the Application, can't be read."""

    @property
    def provided(self) -> bool:
        """Whether something of it is done by the local edge instead."""
        return any(type_ == "Provided" for type_, _ in self.conditions)

    @property
    def out_of_sync(self) -> list[ResourceId]:
        """What a sync would change."""
        return [each.id for each in self.seen or () if not each.synced]

    @property
    def extra(self) -> dict[ResourceId, int]:
        """What a sync that prunes would delete, with its wave."""
        return {each.id: each.wave for each in self.seen or () if each.wanted is None and not each.synced}


class Looking:
    """Takes pictures of Applications."""

    def __init__(self, sources: Sources, kinds: Kinds, live: LiveState, comparison: Comparison) -> None:
        self._sources = sources
        self._kinds = kinds
        self._live = live
        self._comparison = comparison

    async def look(
        self,
        application: Application,
        project: AppProject | None,
        customizations: frozenset[tuple[str, str]],
        rendered: Rendered | None = None,
    ) -> Picture:
        """The picture of an Application in its project; `rendered`: what its sources came to, if that is known."""
        refused = refusals(application, project)
        if refused or project is None:
            return Picture(
                errors=tuple(refused), conditions=tuple(("InvalidSpecError", message) for message in refused)
            )
        try:
            rendered = rendered or await self._sources.render(application)
        except SourceError as error:
            return Picture(errors=(str(error),), conditions=(("ComparisonError", str(error)),))
        resources, conditions = await self._wanted(application, rendered)
        invalid = self._invalid(application, project, resources)
        for resource in resources:
            if await self._kinds.find(resource.content["apiVersion"], resource.kind.kind):
                await self._live.watch(resource.kind)
        await self.watch_known(application)
        seen = await self._seen(application, resources, customizations)
        conditions += [("NotRehearsed", message) for message in unsupported(application, resources)]
        if project.spec.sync_windows:
            conditions.append(("NotRehearsed", f"syncWindows of project {application.spec.project} aren't heeded here"))
        conditions += self._shared(application, resources)
        return Picture(rendered.revision, tuple(resources), tuple(seen), tuple(conditions), (), invalid, rendered)

    async def watch_known(self, application: Application) -> None:
        """Watch the kinds of all objects that the Application's status tells of."""
        for entry in application.status.get("resources") or ():
            group, version = entry.get("group", ""), entry.get("version", "")
            kind = await self._kinds.find(f"{group}/{version}" if group else version, entry["kind"])
            if kind is not None:
                await self._live.watch(kind)

    async def _wanted(
        self, application: Application, rendered: Rendered
    ) -> tuple[list[Resource], list[tuple[str, str]]]:
        """What is to be applied, each object once: of several the last one counts, as in Argo CD."""
        conditions = [("Provided", message) for message in rendered.provided]
        defined = _defined(rendered.objects)
        found: dict[ResourceId, Resource] = {}
        times: dict[ResourceId, int] = {}
        for content in rendered.objects:
            api_version, name = content["apiVersion"], content["kind"]
            kind = await self._kinds.find(api_version, name) or defined.get((api_version, name))
            if kind is None:
                group, _, version = api_version.rpartition("/")
                kind = Kind(group=group, version=version, kind=name, plural="", singular="")
            resource = wanted(content, kind, application.spec.destination.namespace, application.name)
            if resource.hooks == ("Skip",):
                continue
            times[resource.id] = times.get(resource.id, 0) + 1
            found[resource.id] = resource
        conditions += [
            (
                "RepeatedResourceWarning",
                f"Resource {identity.group}/{identity.kind}/{identity.key.namespace}/{identity.key.name} "
                f"appeared {number} times among application resources.",
            )
            for identity, number in times.items()
            if number > 1
        ]
        return list(found.values()), conditions

    def _invalid(
        self, application: Application, project: AppProject, resources: list[Resource]
    ) -> dict[ResourceId, str]:
        found: dict[ResourceId, str] = {}
        spec = application.spec
        for resource in resources:
            reason = forbidden(project, spec.project, spec.destination, resource)
            if not resource.kind.plural:
                if "SkipDryRunOnMissingResource=true" in (
                    *spec.sync_policy.sync_options,
                    *options_of(resource.content),
                ):
                    continue
                reason = (
                    f"The Kubernetes API could not find {resource.content['apiVersion']}/{resource.kind.kind} for "
                    f'requested resource {resource.key}. Make sure the "{resource.kind.kind}" CRD is installed on '
                    "the destination cluster."
                )
            elif resource.hooks:
                reason = (
                    f"{resource.kind.kind} {resource.key} is a hook ({', '.join(resource.hooks)}): hooks are not run "
                    "here; make it a plain object of an early sync wave"
                )
            if reason:
                found[resource.id] = reason
        return found

    async def _seen(
        self, application: Application, resources: list[Resource], customizations: frozenset[tuple[str, str]]
    ) -> list[Seen]:
        found: list[Seen] = []
        for resource in resources:
            identity = resource.id
            found.append(
                Seen(
                    id=identity,
                    version=resource.kind.version,
                    wave=resource.wave,
                    synced=await self._comparison.synced(resource, application.spec.ignore_differences),
                    live=self._live.get(identity) is not None,
                    wanted=resource,
                    health=self._health(identity, customizations),
                    checked=has_check(identity.group, identity.kind, customizations),
                )
            )
        known = {resource.id for resource in resources}
        for identity, live in self._live.belonging(application.name):
            if identity in known:
                continue
            view = live.view(self._live.kind(identity))
            found.append(
                Seen(
                    id=identity,
                    version=self._live.kind(identity).version,
                    wave=wave_of(view),
                    synced="IgnoreExtraneous" in annotations_of(view).get(COMPARE_OPTIONS, ""),
                    live=True,
                    wanted=None,
                    health=self._health(identity, customizations),
                    checked=has_check(identity.group, identity.kind, customizations),
                )
            )
        return found

    def _health(self, identity: ResourceId, customizations: frozenset[tuple[str, str]]) -> Any:
        view = self._live.view(identity)
        return None if view is None else health(view, customizations)

    def _shared(self, application: Application, resources: list[Resource]) -> list[tuple[str, str]]:
        """Objects that another Application has, and that two of them would go on to take from each other."""
        found: list[tuple[str, str]] = []
        for resource in resources:
            owner = self._live.owner(resource.id)
            if owner and owner != application.name:
                text = f"{resource.id} is part of applications {application.key} and {owner}"
                found.append(("SharedResourceWarning", text))
        return found


def _defined(objects: tuple[dict[str, Any], ...]) -> dict[tuple[str, str], Kind]:
    """The kinds that the objects themselves define."""
    found: dict[tuple[str, str], Kind] = {}
    for content in objects:
        if content["kind"] != _DEFINITION[1] or not content["apiVersion"].startswith(_DEFINITION[0]):
            continue
        try:
            spec = content["spec"]
            names = spec["names"]
            for version in spec["versions"]:
                kind = Kind(
                    group=spec["group"],
                    version=version["name"],
                    kind=names["kind"],
                    plural=names["plural"],
                    singular=names.get("singular", ""),
                    namespaced=spec["scope"] == "Namespaced",
                )
                found[kind.api_version, kind.kind] = kind
        except (KeyError, TypeError):  # the API server will say what is wrong with it
            continue
    return found
