"""The steps from nothing to a verified platform."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from typing import Any

import msgspec
import yaml

from gatewright.aws.errors import AwsError
from gatewright.aws.records.read import read_records
from gatewright.cluster import ApiError, Client, ClusterError
from gatewright.local import tools
from gatewright.platform import (
    access,
    argocd,
    awsaccount,
    azureaccount,
    binding,
    certificates,
    configuration,
    objects,
    prerequisites,
    rehearsal,
    waiting,
)
from gatewright.platform.applications import NAMESPACE, standing
from gatewright.platform.certificates import GATEWAY
from gatewright.platform.errors import PlatformError
from gatewright.platform.gitops import NAME, root_application
from gatewright.platform.outputs import Outputs
from gatewright.platform.prerequisites import Check, Missing
from gatewright.platform.programs import ProgramFailed
from gatewright.platform.report import Outcome, Report
from gatewright.platform.situation import Declined, Situation
from gatewright.platform.steps import Step
from gatewright.platform.targets import Architecture, Target
from gatewright.platform.terraform import Terraform
from gatewright.platform.tree import content_digest

_GATEWAYS = "gateway.networking.k8s.io/v1"
_BINDINGS = "gatewright.dev/v1alpha1"


_NETWORKS = {Target.AWS: "cluster_public_access_cidrs", Target.AZURE: "authorized_ip_ranges"}
_ADMINISTRATORS = {Target.AWS: "cluster_admins", Target.AZURE: "members of cluster_admin_group_ids"}
"""Terraform's variables that say from where, and by whom, the cluster's API is used."""


class Deployment(Situation):
    """The steps of a platform's deployment, in its situation."""

    def steps(self) -> list[Step]:
        """All of them in their order."""
        edge = [Step("edge", "Local edge", self._start_edge, self._edge_inputs, self._edge_holds)] if self.local else []
        first = [
            Step("prerequisites", "Prerequisites", self._prerequisites, dict),
            *edge,
            Step("certificates", "Certificates", self._certificates, self._certificate_inputs),
        ]
        if self.plan_only:
            return [*first, Step("plan", "Terraform's plan", self._plan, dict)]
        return [
            *first,
            Step("terraform", "Terraform", self._terraform, self._terraform_inputs, self._terraform_holds),
            Step("kubeconfig", "Kubeconfig", self._kubeconfig, self._kubeconfig_inputs, self._kubeconfig_holds),
            Step("secrets", "Secrets", self._secrets, self._secret_inputs, self._secret_holds),
            Step("argocd", "Argo CD", self._argocd, self._argocd_inputs, self._argocd_holds),
            Step("applications", "Applications", self._applications, self._application_inputs, self._applications_hold),
            Step("binding", "Binding", self._binding, self._application_inputs, self._binding_holds),
            Step("verify", "Verification", self._verify, dict),
        ]

    async def _prerequisites(self) -> str:
        self.progress.doing("looking for tools, credentials and providers")
        settings = self.settings
        begun = self.digest("terraform") is not None or await self.begun_elsewhere()
        folder = self.workspace.folder
        with contextlib.suppress(AwsError, tools.ToolError, ProgramFailed):  # told below, with what to do
            await self.know_account()

        async def certificate() -> Sequence[Missing]:
            files = self.workspace.variables.is_dir() and any(self.workspace.variables.iterdir())
            return awsaccount.certificate_known(settings, files=files)

        async def login() -> Sequence[Missing]:
            return azureaccount.login_there(settings, self.workspace.variables.glob("*"))

        async def account() -> Sequence[Missing]:
            async with self.aws() as aws:
                return await awsaccount.ready(aws, settings, begun=begun)

        checks: list[Check] = [
            lambda: prerequisites.tools_there(settings.target),
            lambda: asyncio.to_thread(prerequisites.writable, folder),
            self._providers,
        ]
        if not self.local:
            checks.append(lambda: prerequisites.repository_there(settings))
        if settings.target is Target.AWS:
            checks += [account, certificate]
        if settings.target is Target.AZURE:
            checks.append(lambda: azureaccount.ready(settings, self.account, begun=begun))
            checks.append(login)
        await prerequisites.check(checks)
        found = tools.version("terraform")
        return f"terraform {'.'.join(map(str, found))}" + ("" if self.local else ", credentials, quotas, repository")

    async def _providers(self) -> Sequence[Missing]:
        """Whether Terraform gets the providers, and finds its state."""
        if tools.find("terraform") is None:
            return []  # told as a missing tool
        self.assemble()
        try:
            await self.terraform().init()
        except PlatformError as error:
            return [Missing(str(error), error.remedy)]
        return []

    def _edge_inputs(self) -> Any:
        return {"boot": self.boot(), "repository": self.settings.repository, "tree": str(self.tree.repository)}

    async def _edge_holds(self) -> bool:
        return self.edge is not None

    async def _start_edge(self) -> str:
        self.progress.doing("starting a Kubernetes API, an emulated AWS and what runs in them")
        edge = await rehearsal.start(self.workspace.edge, self.tree.repository, self.settings.repository)
        known = self.workspace.folder / "boot"
        if not known.exists() or known.read_text() != edge.boot:
            # All that was made in an earlier edge is gone with it.
            for path in self.workspace.terraform.glob("*.tfstate*"):
                path.unlink()
            self.workspace.kubeconfig.unlink(missing_ok=True)
            known.write_text(edge.boot)
        return f"process {edge.pid}, Kubernetes by {self.workspace.kubeconfig}"

    def _certificate_inputs(self) -> Any:
        return {"names": certificates.names(self.settings.domain)}

    async def _certificates(self) -> str:
        _, _, new = certificates.keep(self.workspace.certificates, self.settings.domain)
        return f"{'made' if new else 'kept'} for {', '.join(certificates.names(self.settings.domain))}"

    def _terraform_inputs(self) -> Any:
        sources = configuration.sources(self.tree, self.settings, self.plugins())
        files = {name: content.decode() for name, content in self.files().items()}
        return {"tree": content_digest(sources), "files": files, "boot": self.boot()}

    async def _terraform_holds(self) -> bool:
        return self.known_outputs is not None and self.terraform().begun

    async def _terraform(self) -> str:
        self.assemble()
        terraform = self.terraform()
        await terraform.init()
        plan = await terraform.plan()
        if plan.changes:
            if not (self.local or self.confirm(plan)):
                terraform.drop_plan()
                if not await terraform.resources():
                    self.forget("terraform")  # so that another account, name or region may be chosen
                raise Declined("nothing was changed", "run the same command again to be asked again")
            await terraform.apply(plan)
        await self._read_outputs(terraform)
        return plan.summary() or "nothing to change"

    async def _plan(self) -> str:
        """What Terraform would change, a line each."""
        self.assemble()
        terraform = self.terraform()
        await terraform.init()
        plan = await terraform.plan()
        terraform.drop_plan()
        return "\n".join([plan.summary() or "nothing to change", *(f"  {' '.join(change)}" for change in plan.changes)])

    async def _read_outputs(self, terraform: Terraform) -> None:
        found = await terraform.outputs()
        try:
            outputs = msgspec.convert(found, type=Outputs)
        except msgspec.ValidationError as error:
            raise PlatformError(
                f"Terraform's outputs aren't what is expected: {error}",
                "the configuration has to have the outputs of deploy/*/terraform/outputs.tf",
            ) from error
        self.keep_outputs(outputs)

    def _kubeconfig_inputs(self) -> Any:
        outputs = self.outputs
        names = ("cluster_name", "cluster_endpoint", "cluster_certificate_authority", "region", "resource_group")
        profile = os.environ.get("AWS_PROFILE", "") if self.settings.target is Target.AWS else ""
        return {"boot": self.boot(), "profile": profile, **{name: getattr(outputs, name) for name in names}}

    async def _kubeconfig_holds(self) -> bool:
        return self.workspace.kubeconfig.exists()

    async def _kubeconfig(self) -> str:
        path, edge = self.workspace.kubeconfig, self.edge
        if edge is not None:
            access.write_kubeconfig(path, access.local_kubeconfig(self.outputs, edge))
        elif self.settings.target is Target.AZURE:
            await access.azure_kubeconfig(self.outputs, path, self.account)
        else:
            aws = str(tools.need("aws", "for tokens of the cluster"))
            access.write_kubeconfig(path, access.aws_kubeconfig(self.outputs, aws, os.environ))

        async def look() -> waiting.Look:
            try:
                nodes = await objects.items(client, "v1", "nodes")
            except ApiError as error:
                if error.status not in (401, 403):
                    raise
                # A new cluster takes a moment to know who made it.
                refused = f"the cluster's API doesn't let these credentials in: {error}"
                return waiting.Look(False, refused, error.status, broken=True)
            ready = [node for node in nodes if binding.condition(node, "Ready").get("status") == "True"]
            return waiting.Look(bool(ready), f"{len(ready)} of {len(nodes)} nodes are ready", len(ready))

        remedy = (
            f"see `kubectl get nodes` with {path}, and the node groups in the cloud's console; an API that is silent "
            f"lets in other networks only ({_NETWORKS[self.settings.cloud]}), one that refuses only who made the "
            f"cluster and {_ADMINISTRATORS[self.settings.cloud]}"
        )
        async with self.client() as client:
            await waiting.wait(look, self.progress.doing, self.patience, waiting.nothing, remedy)
        return str(path)

    def _secret_inputs(self) -> Any:
        chain = (self.workspace.certificates / "tls.crt").read_bytes()
        return {"boot": self.boot(), "certificate": certificates.fingerprint(chain), "cluster": self._cluster()}

    def _cluster(self) -> str:
        return self.outputs.cluster_endpoint or self.outputs.cluster_name

    async def _secret_holds(self) -> bool:
        try:
            async with self.client() as client:
                return await certificates.stands(client, (self.workspace.certificates / "tls.crt").read_bytes())
        except ClusterError:
            return False

    async def _secrets(self) -> str:
        authority, certificate, _ = certificates.keep(self.workspace.certificates, self.settings.domain)
        self.progress.doing("waiting for the cluster's API")
        async with self.client() as client:
            await certificates.put(client, authority, certificate)
        return f"Secret {certificates.SECRET}"

    def _argocd_inputs(self) -> Any:
        return {
            "boot": self.boot(),
            "manifests": content_digest([self.tree.gitops / "argocd"]),
            "cluster": self._cluster(),
        }

    async def _argocd_holds(self) -> bool:
        try:
            async with self.client() as client:
                found = await objects.items(client, "apps/v1", "deployments", NAMESPACE)
        except ClusterError:
            return False
        return bool(found) and all(map(waiting.rolled_out, found))

    async def _argocd(self) -> str:
        async with self.client() as client:
            if self.local:
                # Imported here since a real cluster has no need of it.
                from gatewright.local.argocd.builds import SourceError
                from gatewright.local.argocd.install import manifests

                try:
                    found = await asyncio.to_thread(manifests, self.tree.gitops / "argocd")
                except SourceError as error:
                    raise PlatformError(str(error)) from error
                await argocd.apply_all(client, found)
                names = await waiting.workloads_ready(client, NAMESPACE, self.progress.doing, self.patience)
                return f"{len(names)} workloads ready"
            count = await argocd.install(
                client, self.workspace.kubeconfig, self.tree.gitops, self.progress.doing, self.patience
            )
            return f"{count} workloads ready"

    def _application_inputs(self) -> Any:
        return {"boot": self.boot(), "root": root_application(self.settings, self.outputs), "cluster": self._cluster()}

    async def _applications_hold(self) -> bool:
        root = root_application(self.settings, self.outputs)
        try:
            async with self.client() as client:
                if not await argocd.root_stands(client, root):
                    return False
                found = await objects.items(client, objects.APPLICATIONS, "applications", NAMESPACE)
        except ClusterError:
            return False
        return standing(NAME, found).ready

    async def _applications(self) -> str:
        root = root_application(self.settings, self.outputs)
        await asyncio.to_thread(
            self.workspace.root_application.write_bytes, yaml.safe_dump(root, sort_keys=False).encode()
        )
        async with self.client() as client:
            await argocd.give_root(client, root)
            found = await waiting.applications_ready(client, NAME, self.progress.doing, self.patience)
        return f"{len(found.children)} synced and healthy"

    async def _binding_holds(self) -> bool:
        try:
            async with self.client() as client:
                return (await self._bound(client)).done
        except (ClusterError, AwsError):
            return False

    async def _bound(self, client: Client) -> waiting.Look:
        """Whether clients get through to the Gateway."""
        gateway = await objects.read(client, _GATEWAYS, "gateways", *GATEWAY)
        found = binding.gateway_look(gateway, self.outputs.gateway_address)
        if not found.done or self.settings.cloud is not Target.AWS:
            return found
        if self.settings.architecture is Architecture.CHAINED:
            return binding.binding_look(await objects.read(client, _BINDINGS, "edgebindings", *GATEWAY))
        records = await self._recorded()
        return found if records.done else records

    async def _recorded(self) -> waiting.Look:
        """Whether the controller has written the names' records; where there is no zone, somebody else does."""
        zone = self.outputs.hosted_zone_id
        if not zone:
            return waiting.Look(True, "")
        async with self.aws() as aws:
            return binding.records_look(await read_records(aws, zone), self.outputs.hostnames)

    async def _binding(self) -> str:
        last = waiting.Look(False, "")

        async def look() -> waiting.Look:
            nonlocal last
            last = await self._bound(client)
            return last

        remedy = "`gatewright verify` looks at each hop and says what to look at next"
        async with self.client() as client:
            await waiting.wait(look, self.progress.doing, self.patience, waiting.nothing, remedy)
        return last.text

    async def verification(self, only: Sequence[str] = (), timeout: float = 60.0) -> Report:  # noqa: ASYNC109
        """Verify the platform, and keep the report of all checks. Each ends after `timeout` seconds."""
        from gatewright.platform.verify import Surroundings, verify

        edge, outputs = self.edge, self.outputs
        if not self.workspace.kubeconfig.exists():
            raise PlatformError(
                f"there is no cluster: {self.workspace.kubeconfig} isn't there", f"`{self.command('deploy')}`"
            )
        async with self.client() as client:
            aws = self.aws() if self.settings.cloud is Target.AWS else None
            try:
                surroundings = Surroundings(
                    settings=self.settings,
                    client=client,
                    outputs=outputs,
                    aws=aws,
                    azure=self.azure(),
                    trust=await asyncio.to_thread(self.authorities),
                    dns=edge.dns if edge else "",
                    sockets=await edge.sockets() if edge else {},
                )
                report = await verify(surroundings, only=tuple(only), timeout=timeout)
            finally:
                if aws is not None:
                    await aws.close()
        if not only:
            text = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
            await asyncio.to_thread(self.workspace.report.write_bytes, text)
        return report

    async def _verify(self) -> str:
        """Until all is well, or nothing gets better: nodes that Terraform renewed, and new names, take a while."""
        from gatewright.platform.verify import render

        self.progress.doing("looking at every hop")
        report: Report | None = None

        async def look() -> waiting.Look:
            nonlocal report
            report = await self.verification()
            failed = [check for check in report.checks if check.outcome is Outcome.FAILED]
            named = ", ".join(dict.fromkeys(check.id for check in failed))
            text = f"{len(failed)} of {len(report.checks)} checks fail: {named}"
            return waiting.Look(report.ok, text, {(check.id, check.subject) for check in failed}, broken=True)

        async def why() -> list[str]:
            return list(render(report)) if report else []

        remedy = "put right what the checks advise, then run `gatewright verify`, or the same command again"
        await waiting.wait(look, self.progress.doing, self.patience, why, remedy)
        checks = report.checks if report else ()
        passed = sum(check.outcome is Outcome.PASSED for check in checks)
        return (
            f"{passed} of {len(checks)} checks passed, the others could not be made"
            if passed < len(checks)
            else f"all {passed} checks passed"
        )
