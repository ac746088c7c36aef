"""The whole edge on one machine: API, workloads, gateway controller and Envoy, put together and taken down as one.

Its parts know each other only through the embedded Kubernetes API, as they would in a cluster; what they share here is
the process and the topology that the gateway controller derives.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gatewright.cluster import Client
from gatewright.controller import GatewayController
from gatewright.envoy.edge import EnvoyEdge
from gatewright.envoy.process import EnvoyNotFoundError
from gatewright.flow import Change, Flow, Source
from gatewright.local.ahead import Ahead, EdgeError, offered_classes, offered_ingress_classes
from gatewright.local.apiserver import ApiServer, Store
from gatewright.local.apiserver.store import StoreError
from gatewright.local.apply import Applier
from gatewright.local.aws.process import AwsProcess, AwsProcessError
from gatewright.local.block import Block
from gatewright.local.certificates import Authority
from gatewright.local.guard import Guard
from gatewright.local.infrastructure import CLASSES, Infrastructure
from gatewright.local.manifests import Manifests, Problem
from gatewright.local.news import News, Newsroom, standing_problems
from gatewright.local.pending import Pending, pending_listeners
from gatewright.local.secrets import GeneratedSecrets, is_generated
from gatewright.local.state import EdgeState, Trial, edge_state, trials
from gatewright.local.workloads import Backend, PodAddresses, Workloads
from gatewright.local.workloads.programs import Programs
from gatewright.model.meta import Key
from gatewright.resolve import Inputs, Resolution, resolve

if TYPE_CHECKING:
    from gatewright.local.cloud import LocalCloud

__all__ = ["EdgeError", "LocalEdge"]

_FIELD_MANAGER = "gatewright-edge"


@dataclass(frozen=True)
class Hosting:
    """What makes an edge the cluster of a platform: others bring its nodes, its objects and its controllers.

    Nobody here looks after load balancers: our controllers run as pods, with the rights of their ServiceAccounts.
    Policies keep from pods whom they keep from them in a mesh, and a network, that enforces them.
    """

    folder: Path
    """Where its files are, instead of a temporary folder; made anew."""
    identity: Callable[[Key], Mapping[str, str]]
    """Variables that the programs of a ServiceAccount's pods get: credentials of a cloud."""


class LocalEdge:
    """A running edge (`async with`). What is heard of it goes to `publish`, one piece of news a call."""

    def __init__(
        self,
        publish: Callable[[News], None],
        *,
        data_dir: Path | None = None,
        backends: Iterable[Backend] = (),
        aws: bool = False,
        pace: float = 1.0,
        ahead: Ahead | None = None,
        hosting: Hosting | None = None,
    ) -> None:
        """`aws`: with an emulated AWS, whose clocks run `pace` times as fast as they say.

        Both are for an edge of its own; an `ahead` that is given is entered already, and belongs to the caller.
        With `hosting` it is the cluster of a platform that others set up.
        """
        self._publish = publish
        self._ahead = ahead
        self._aws = aws
        self._pace = pace
        self._hosting = hosting
        self.guard: Guard | None = None
        self._cloud: LocalCloud | None = None
        self._balanced_secrets: list[GeneratedSecrets] = []
        self._data_dir = data_dir
        self._backends = tuple(backends)
        self._stack = AsyncExitStack()
        self.directory = Path()
        self.flow = Flow()
        self.inputs = Inputs(self.flow)
        self.resolution: Resolution = resolve(self.inputs, frozenset(CLASSES.values()))
        self.newsroom = Newsroom(self.inputs, self.resolution, publish)
        self._pending = Pending(self.inputs)

    async def __aenter__(self) -> LocalEdge:
        async with AsyncExitStack() as stack:
            try:
                await self._start(stack)
            except (OSError, EnvoyNotFoundError, AwsProcessError) as error:
                raise EdgeError(f"the edge can't start: {error}") from error
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.newsroom.hold = True
        await self._stack.aclose()

    async def _start(self, stack: AsyncExitStack) -> None:
        # In the order of dependence; the stack takes it down in the opposite one.
        self.directory = self._hosting.folder if self._hosting else Path(tempfile.mkdtemp(prefix="gatewright-"))
        if self._hosting:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory.mkdir(mode=0o700, parents=True)  # as mkdtemp makes it
        stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        ahead = self._ahead if self._ahead else await stack.enter_async_context(Ahead(aws=self._aws, pace=self._pace))
        block = ahead.block
        store, authority = self._open_data(stack)
        self.kubeconfig = self.directory / "kubeconfig"
        self.ca = self.directory / "ca.crt"
        self._authority = authority

        server = self._server = await stack.enter_async_context(ApiServer(store, graceful_pods=True))
        server.write_kubeconfig(self.kubeconfig)
        self.client = await stack.enter_async_context(
            Client.with_token(server.url, server.token, server.ca_certificate)
        )
        given: Source[tuple[str, Key], bool] = self.flow.source("objects of the files")
        self.applier = Applier(self.client, given)
        for name, controller in CLASSES.items():
            await self.client.apply(_gateway_class(name, controller), field_manager=_FIELD_MANAGER)

        if self._hosting and not block.shared:  # who shares an address with everybody can't be told from them
            guard = Guard(self.client, self.inputs, self.resolution, proxy=block.proxy, node=block.node)
            self.guard = await stack.enter_async_context(guard)
        workloads = Workloads(
            self.client,
            addresses=_pod_addresses(block, self.guard),
            backends=self._backends,
            programs=self._programs(server),
            own_node=self._hosting is None,
        )
        self._workloads = await stack.enter_async_context(workloads)
        server.logs.register(workloads.logs)

        infrastructure = Infrastructure(self.client, self.inputs, self.resolution, block, aws=ahead.aws is not None)
        self._infrastructure = await stack.enter_async_context(infrastructure)
        self._bindings = infrastructure.bindings

        def announce(text: str) -> None:
            self._publish(News("info", "certificates", text))

        self._secrets = await stack.enter_async_context(
            GeneratedSecrets(
                self.client,
                self.inputs,
                self.resolution,
                self._bindings,
                given,
                authority,
                announce,
            )
        )
        envoy = EnvoyEdge(
            self.flow,
            self.resolution.topology,
            self._bindings,
            self.inputs.rejections,
            self.inputs.ports,
            concurrency=min(2, os.cpu_count() or 1),
            source=block.proxy if self.guard else None,
            on_exit=self._envoy_died,
        )
        self._envoy = await stack.enter_async_context(envoy)
        self._pending.include(self.resolution)
        self._reflectors = await stack.enter_async_context(self._pending.reflectors(self.client))
        self._controller = await stack.enter_async_context(
            GatewayController(self.client, self.inputs, self.resolution, CLASSES.values())
        )
        if ahead.aws:
            ahead.on_exit = self._aws_died
            ahead.on_remark = lambda text: self._publish(News("bad", "AWS", text))
        if ahead.aws and self._hosting is None:
            # Imported here, since most edges have no cloud around them.
            from gatewright.local.cloud import LocalCloud

            cloud = LocalCloud(ahead.aws, authority, self.client, self.inputs, self.resolution, pace=ahead.pace)
            cloud.bindings.subscribe(self._pending.stir)
            cloud.gateways.health.health.subscribe(self._pending.stir)
            cloud.gateways.troubles.subscribe(self._troubles_changed)
            self.newsroom.follow(cloud.bindings)
            for resolution in cloud.resolutions:
                self.newsroom.include(resolution)
                self._pending.include(resolution)
                secrets = GeneratedSecrets(self.client, self.inputs, resolution, None, given, authority, announce)
                self._balanced_secrets.append(await stack.enter_async_context(secrets))
            self._cloud = await stack.enter_async_context(cloud)

    def _programs(self, server: ApiServer) -> Programs | None:
        if self._hosting is None:
            return None
        return Programs(
            folder=self.directory / "programs", authority=server.ca_certificate, identity=self._hosting.identity
        )

    def _open_data(self, stack: AsyncExitStack) -> tuple[Store, Authority]:
        folder = self._data_dir
        if folder is None:
            return Store.memory(), Authority.create()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = stack.enter_context((folder / "lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EdgeError(f"--data-dir {folder}: another gatewright uses it; stop that one or name another") from None
        except FileExistsError:
            raise EdgeError(f"--data-dir {folder}: found a file, expected a folder") from None
        except OSError as error:
            raise EdgeError(f"--data-dir {folder}: {error.strerror}") from error
        try:
            authority = Authority.load_or_create(folder)
            return Store.sqlite(folder / "cluster.db"), authority
        except (StoreError, ValueError, OSError) as error:
            raise EdgeError(f"--data-dir {folder}: {error}; or remove the folder to start afresh") from error

    def _envoy_died(self, code: int, pause: float) -> None:
        text = f"exited with {code}; it is started again with its configuration in {pause:.1f} s"
        self._publish(News("bad", "Envoy", text))

    def _aws_died(self, code: int) -> None:
        self._publish(
            News(
                "bad",
                "AWS",
                f"the emulated AWS ended with {code}, and what it held is lost; end this run and start anew",
            )
        )

    # --- readiness ---------------------------------------------------------------------------------------------------

    def _troubles_changed(self, changes: list[Change[str, tuple[str, ...]]]) -> None:
        for change in changes:
            self.newsroom.tell(map(_unhealthy, change.old or ()), map(_unhealthy, change.new or ()))

    def pending(self) -> list[str]:
        """What is still on its way to where it will stay, in words."""
        in_front = self._cloud.pending() if self._cloud else ()
        return sorted((*pending_listeners(self.resolutions), *self._pending.workloads(), *in_front))

    async def ready(self, seconds: float) -> list[str]:
        """Wait until nothing is pending and Envoy serves all of it. Returns what was still pending after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    self._pending.stirred.clear()
                    if self.pending():
                        await self._pending.stirred.wait()
                        continue
                    # Perhaps only because nothing has been seen yet: let all come to where it leads, and look again.
                    await self._settle()
                    if not self._pending.stirred.is_set() and not self.pending():
                        if self._cloud:
                            self._cloud.want()  # what is applied by other means from now on
                        return []
        except TimeoutError:
            return self.pending() or ["the proxy has not taken the whole configuration"]

    async def _settle(self) -> None:
        """Return when all that the API holds has come to where it leads, as far as each part knows.

        In the order in which work is handed on: what one part has written, the next has seen.
        """
        await self._workloads.idle()
        await self._reflectors.caught_up()
        await self._controller.caught_up()
        await self._infrastructure.idle()
        for secrets in (self._secrets, *self._balanced_secrets):
            await secrets.idle()
        await self._controller.caught_up()  # with the Services and Secrets that were missing
        await self._envoy.settled()
        await self._controller.idle()
        if self._cloud:
            await self._cloud.idle()

    # --- what it is --------------------------------------------------------------------------------------------------

    async def update(self, manifests: Manifests) -> tuple[list[Problem], list[str]]:
        """Bring the cluster, and what is in front of it, to the manifests; see `Applier.update`."""
        if self._cloud is None:
            problems, done = await self.applier.update(manifests)
            return problems, done
        for name, controller in offered_classes(manifests).items():
            await self.client.apply(_gateway_class(name, controller), field_manager=_FIELD_MANAGER)
        for name, controller in offered_ingress_classes(manifests).items():
            await self.client.apply(_ingress_class(name, controller), field_manager=_FIELD_MANAGER)
        if any(manifest.kind == "Ingress" for manifest in manifests.objects):
            self._cloud.want()
        try:
            (problems, done), (in_front, made) = await asyncio.gather(
                self.applier.update(manifests), self._cloud.update(manifests.front)
            )
        except (AwsProcessError, TimeoutError) as error:
            raise EdgeError(f"the edge can't start: {error}") from error
        return [*problems, *in_front], [*done, *made]

    async def look(self) -> None:
        """Look at what is in front, so that `state` tells it as it is now."""
        if self._cloud:
            await self._cloud.look()

    @property
    def aws_environment(self) -> dict[str, str]:
        """The environment in which any AWS client finds the emulated AWS; empty where there is none."""
        return self._cloud.environment if self._cloud else {}

    def state(self) -> EdgeState:
        """The edge as it is now, and what is in front of it as it was when it was last looked at."""
        state = edge_state(self.inputs, self.resolution, self._bindings, self.kubeconfig, self.ca)
        return self._cloud.around(state) if self._cloud else state

    def trials(self) -> list[Trial]:
        """Requests to try."""
        state = self.state()
        return [trial for resolution in self.resolutions for trial in trials(state, resolution)]

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        """What follows for the Gateways of every kind of class."""
        return (self.resolution, *(self._cloud.resolutions if self._cloud else ()))

    def problems(self) -> list[News]:
        """Everything that is wrong as things stand."""
        unhealthy = [text for told in self._cloud.gateways.troubles.values() for text in told] if self._cloud else []
        return [*standing_problems(self.inputs, *self.resolutions), *map(_unhealthy, sorted(unhealthy))]

    async def introduce(self, aws: AwsProcess) -> None:
        """Make this the cluster of whichever cluster of EKS is made in an emulated AWS, whose ACM its CA signs for."""
        await aws.sign_with(self._authority.pem, self._authority.private_key)
        await aws.offer_cluster(self._server.url, self._server.ca_certificate)

    def write_ca(self) -> None:
        """Write the CA bundle: the local authority, and what the users' own certificates are to be checked with.

        That is the `ca.crt` of their Secret where there is one, else the last certificate of the chain.
        """
        bundle = [self._authority.pem]
        for key in {key: None for resolution in self.resolutions for key in resolution.topology.certificates}:
            secret = self.inputs.secrets.get(key)
            if secret and not is_generated(secret, self._authority):
                own = secret.data.get("ca.crt") or secret.data["tls.crt"]
                with contextlib.suppress(ValueError):
                    bundle.append(x509.load_pem_x509_certificates(own)[-1].public_bytes(Encoding.PEM))
        temporary = self.ca.with_suffix(".new")
        temporary.write_bytes(b"".join(dict.fromkeys(bundle)))
        temporary.replace(self.ca)


def _unhealthy(text: str) -> News:
    subject, _, words = text.partition(": ")
    return News("bad", subject, words)


def _pod_addresses(block: Block, guard: Guard | None) -> PodAddresses:
    """Addresses for pods: each its own, where the block has any to give."""
    if block.shared:
        return PodAddresses(own=False)
    if guard is None:
        return PodAddresses(str(block.pods))
    return PodAddresses(str(block.pods), doorkeeper=guard, probe=block.node)


def _gateway_class(name: str, controller: str) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": name},
        "spec": {"controllerName": controller},
    }


def _ingress_class(name: str, controller: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": name},
        "spec": {"controller": controller},
    }
