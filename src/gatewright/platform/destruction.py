"""The way back from a platform to nothing, in an order that leaves nothing orphaned.

What has load balancers goes first, while the controllers that take them down still run; then all other applications,
Argo CD, what Terraform made, the local edge, and the workspace. Each step is free where there is nothing (left) to do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import msgspec

from gatewright.aws.errors import AwsError, NotFound
from gatewright.cluster import Client, ClusterError
from gatewright.cluster import NotFound as Absent
from gatewright.model.kinds import find
from gatewright.model.meta import Key
from gatewright.platform import argocd, objects, orphans, rehearsal, waiting
from gatewright.platform.applications import NAMESPACE, read_application
from gatewright.platform.diagnosis import explain_application, held
from gatewright.platform.errors import PlatformError
from gatewright.platform.gitops import NAME
from gatewright.platform.objects import APPLICATIONS, Json, label, title
from gatewright.platform.situation import Declined, Situation, leave_nothing
from gatewright.platform.steps import Step
from gatewright.platform.targets import Architecture, Target
from gatewright.platform.terraform import Terraform, TerraformFailed
from gatewright.platform.terraformlog import Run
from gatewright.platform.waiting import Look

_FRONT_KINDS = frozenset({"EdgeBinding", "Gateway", "Ingress"})
_ATTEMPTS = 3
"""How often the cluster is asked before it counts as one that doesn't answer."""
_CLUSTER_STEPS = ("secrets", "argocd", "applications", "binding", "verify")


class Destruction:
    """Takes the platform down. `confirm` has been asked already."""

    def __init__(self, situation: Situation, *, delete_logs: bool = False) -> None:
        """With `delete_logs`, the bucket of access logs goes with all that is in it."""
        self._delete_logs = delete_logs
        self._situation = situation
        self._progress = situation.progress
        self._unreachable = ""

    def steps(self) -> list[Step]:
        """All of them in their order."""
        local = self._situation.local
        edge = [Step("edge", "Local edge", self._edge, dict)] if local else []
        return [
            Step("fronts", "Load balancers", self._fronts, dict),
            Step("applications", "Applications", self._applications, dict),
            Step("argocd", "Argo CD", self._argocd, dict),
            Step("terraform", "Terraform", self._terraform, dict),
            *edge,
            Step("workspace", "Workspace", self._workspace, dict),
        ]

    # The journal of a destruction: nothing, since every step looks for itself what is left to do.

    def digest(self, step: str) -> str | None:
        """None: no step counts as done."""
        return None

    def record(self, step: str, digest: str) -> None:
        """Remember that what a step takes down isn't there any more."""
        gone = {
            "fronts": ("binding", "verify"),
            "applications": ("applications", "binding", "verify"),
            "argocd": _CLUSTER_STEPS,
            "terraform": ("kubeconfig",),
        }
        if step in gone:
            self._situation.forget(*gone[step])

    # The steps

    async def _fronts(self) -> str:
        """Take down what has load balancers, while the controllers still run, and see them gone in the cloud."""
        if self._situation.digest("terraform") is not None:
            await self._situation.know_account()
        client = await self._reach()
        if client is None:
            await self._clouded()
            return f"{self._unreachable}; the cloud has nothing that its controllers made"
        async with client:
            await self._hold_root(client)
            balanced = {label(each) for each in await orphans.fronts(client)}
            for application in await objects.items(client, APPLICATIONS, "applications", NAMESPACE):
                if has_fronts(application, balanced):
                    await argocd.delete_application(client, application)
            await self._wait(lambda: self._fronts_look(client), client)
        await self._clouded()
        return "none is left"

    async def _hold_root(self, client: Client) -> None:
        """Keep the root Application from making anew what is deleted."""
        root = await objects.read(client, APPLICATIONS, "applications", NAMESPACE, NAME)
        if root is None:
            return
        await client.request(
            "PATCH",
            objects.path(APPLICATIONS, "applications", NAMESPACE, NAME),
            body=msgspec.json.encode({"spec": {"syncPolicy": {"automated": None}}}),
            content_type="application/merge-patch+json",
        )
        if read_application(root).phase == "Running":
            await objects.end_sync(client, NAME, NAMESPACE)

    async def _fronts_look(self, client: Client) -> Look:
        applications = [
            each
            for each in await objects.items(client, APPLICATIONS, "applications", NAMESPACE)
            if each["metadata"].get("deletionTimestamp")
        ]
        await waiting.free(client, map(read_application, applications))
        left = await orphans.fronts(client)
        if not applications:
            # What no Application made goes as well: its load balancers would outlive the cluster.
            await orphans.delete(client, left)
        return _gone([*applications, *left])

    async def _clouded(self) -> None:
        """Wait until AWS has no load balancer and no record that a controller of the cluster made.

        Raises PlatformError.
        """
        situation = self._situation
        settings = situation.settings
        if settings.cloud is not Target.AWS or (situation.local and situation.edge is None):
            return  # Azure's go with the cluster's own resource group
        if situation.digest("terraform") is None:
            return  # there never was a cluster, and perhaps no account to ask
        direct = settings.architecture is Architecture.DIRECT
        zone = situation.known_outputs.hosted_zone_id if direct and situation.known_outputs else ""
        left: dict[str, str] = {}

        async def look() -> Look:
            nonlocal left
            balancers = await orphans.balancers(aws, settings.name)
            records = await orphans.records(aws, zone, settings.name) if zone else []
            left = {
                **{each.name: f"aws elbv2 delete-load-balancer --load-balancer-arn {each.arn}" for each in balancers},
                **{f"TXT {name}": f"zone {zone}: TXT {name}, and the record that it is about" for name in records},
            }
            return Look(not left, f"AWS still has {', '.join(left)}", sorted(left))

        async def why() -> list[str]:
            return [*left.values()]

        remedy = (
            "the controller that made them is gone, or can't delete them (see its log); look at each, delete it by "
            "hand, and run `gatewright destroy` again"
        )
        async with situation.aws() as aws:
            if self._unreachable:
                found = await look()
                if not found.done:
                    lines = "".join(f"\n  {line}" for line in await why())
                    raise PlatformError(f"{self._unreachable}, and {found.text}{lines}", remedy)
            else:
                await waiting.wait(look, self._progress.doing, situation.patience, why, remedy)

    async def _applications(self) -> str:
        client = await self._reach()
        if client is None:
            return self._unreachable
        async with client:
            found = await objects.items(client, APPLICATIONS, "applications", NAMESPACE)
            if not found:
                return "none is there"
            if not await argocd.delete_root(client, NAME):
                for each in found:
                    await argocd.delete_application(client, each)

            async def look() -> Look:
                left = await objects.items(client, APPLICATIONS, "applications", NAMESPACE)
                await waiting.free(client, map(read_application, left))
                return _gone(left)

            await self._wait(look, client)
        return f"{len(found)} are gone, with what they made"

    async def _argocd(self) -> str:
        client = await self._reach()
        if client is None:
            return self._unreachable
        namespace = find("v1", "Namespace")
        if namespace is None:
            raise PlatformError("the kind Namespace isn't known")
        async with client:
            try:
                await client.delete(namespace, Key("", NAMESPACE))
            except Absent:
                return "it isn't there"

            async def look() -> Look:
                left = await objects.read(client, "v1", "namespaces", "", NAMESPACE)
                return _gone([{"kind": "Namespace", **left}] if left else [])

            await self._wait(look, client)
        return "removed"

    async def _terraform(self) -> str:
        situation = self._situation
        settings = situation.settings
        if situation.digest("terraform") is None:
            return "it made nothing"
        if situation.local and situation.edge is None:
            return "all that it made is gone with the local edge"
        unprotected = {"deletion_protection": False, **({"force_destroy": True} if self._delete_logs else {})}
        protected = settings.target is Target.AWS  # the rehearsal isn't
        situation.assemble(**(unprotected if protected else {}))
        terraform = situation.terraform()
        try:
            return await self._taken_down(terraform, protected)
        except TerraformFailed as error:
            if situation.edge is None:
                raise
            ended = f"kill {situation.edge.pid}` ends the local edge, and all that Terraform made in it; then run"
            raise TerraformFailed(
                str(error), f"{error.remedy}{'; or ' if error.remedy else ''}`{ended} `{situation.command('destroy')}`"
            ) from error

    async def _taken_down(self, terraform: Terraform, protected: bool) -> str:
        situation = self._situation
        await terraform.init()
        if protected:
            await _unprotect(terraform)
        plan: Run = await terraform.plan(destroy=True)
        if plan.changes:
            if not (situation.local or situation.confirm(plan)):
                raise Declined("what Terraform made is still there", "run `gatewright destroy` again to be asked again")
            await terraform.apply(plan)
        situation.forget("terraform")
        return plan.summary() or "nothing was there"

    async def _edge(self) -> str:
        stopped = await rehearsal.stop(self._situation.workspace.edge)
        return "stopped" if stopped else "it didn't run"

    async def _workspace(self) -> str:
        leave_nothing(self._situation.workspace)
        return f"{self._situation.workspace.folder} is cleared"

    # What they share

    async def _reach(self) -> Client | None:
        """The cluster; None where it isn't there, or doesn't answer: `_unreachable` says why."""
        situation = self._situation
        if situation.local and situation.edge is None:
            self._unreachable = "the local edge doesn't run"
            return None
        if not situation.workspace.kubeconfig.exists():
            self._unreachable = "there is no kubeconfig, so nothing was put into a cluster"
            return None
        if await self._cluster_is_gone():
            self._unreachable = "the cluster isn't there"
            return None
        self._progress.doing("waiting for the cluster's API")
        attempts = 1 if self._unreachable else _ATTEMPTS
        for attempt in range(1, attempts + 1):
            client: Client | None = None
            try:
                client = situation.client()
                await client.request("GET", "/version")
            except ClusterError as error:
                if client is not None:
                    await client.close()
                self._unreachable = f"the cluster doesn't answer ({error})"
                if attempt < attempts and waiting.passing(error):
                    await situation.patience.pause()
                    continue
                return None
            self._unreachable = ""
            return client
        return None

    async def _cluster_is_gone(self) -> bool:
        situation = self._situation
        if situation.settings.target is not Target.AWS:
            return False
        try:
            async with situation.aws() as aws:
                await aws.call("eks", "describe_cluster", name=situation.settings.name)
        except NotFound:
            return True
        except AwsError:
            return False
        return False

    async def _wait(self, look: Callable[[], Any], client: Client) -> None:
        """Wait until things are gone, naming what hangs and by which finalizer."""

        async def why() -> list[str]:
            found = await objects.items(client, APPLICATIONS, "applications", NAMESPACE)
            found += await orphans.fronts(client)
            lines = [held(each) for each in found if each["metadata"].get("deletionTimestamp")]
            for each in found:
                if each["kind"] == "Application" and each["metadata"].get("deletionTimestamp"):
                    lines += await explain_application(client, read_application(each), nested=False)
            return list(dict.fromkeys(lines))

        remedy = (
            "whoever put the finalizer there has to remove it: see the log of that controller "
            "(`kubectl -n gatewright-system logs deployment/gatewright`); then run `gatewright destroy` again"
        )
        await waiting.wait(look, self._progress.doing, self._situation.patience, why, remedy)


async def _unprotect(terraform: Terraform) -> None:
    """Take away what keeps things from being deleted, and change nothing else: what isn't there stays so."""
    plan = await terraform.plan()
    updates = [address for action, address in plan.changes if action == "update"]
    if updates:
        plan = await terraform.plan(targets=updates)
        await terraform.apply(plan)


def has_fronts(application: Json, balanced: Collection[str]) -> bool:
    """Whether an Application made anything that has a load balancer (`balanced`, by label), or is bound to one."""
    for each in (application.get("status") or {}).get("resources") or ():
        kind = each.get("kind", "")
        if kind in _FRONT_KINDS or title(kind, each.get("namespace", ""), each.get("name", "")) in balanced:
            return True
    return False


def _gone(left: list[Json]) -> Look:
    """Whether nothing is left; what is waited for otherwise."""
    names = ", ".join(label(each) for each in left[:4]) + (f" and {len(left) - 4} more" if len(left) > 4 else "")
    return Look(not left, f"waiting until {names} {'is' if len(left) == 1 else 'are'} gone", sorted(map(label, left)))
