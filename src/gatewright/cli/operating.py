"""A run of `gatewright controller`: watches, leader election and the controllers, put together and taken down."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import structlog

from gatewright import __version__
from gatewright.aws.client import Aws
from gatewright.aws.dialects import ALB_CONTROLLER, NLB_CONTROLLER
from gatewright.aws.errors import AccessDenied, AwsError, NotConfigured, Unavailable
from gatewright.cli.controllers import Controller, Scope, controllers, rehearsal
from gatewright.cli.exits import FAILED, OK
from gatewright.cluster import Client, ClusterError, Unreachable
from gatewright.cluster.reconcile import RUNS
from gatewright.controller.health import Health, Page, Pages
from gatewright.controller.leases import Leadership
from gatewright.controller.logs import configure
from gatewright.controller.metrics import Metrics
from gatewright.controller.watches import Watches
from gatewright.flow import Flow
from gatewright.model.meta import Key
from gatewright.resolve import Inputs

_READING = ("describe_", "get_", "list_")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Operation:
    """What `gatewright controller` was asked to do; an empty text is "find it out", None for an address "don't"."""

    scope: Scope
    region: str
    leader_elect: bool
    lease_namespace: str
    lease_name: str
    metrics_address: tuple[str, int] | None
    health_address: tuple[str, int] | None
    dry_run: bool
    log_format: Literal["json", "console"]
    log_level: Literal["debug", "info", "warning", "error"]
    kubeconfig: Path | None
    context: str | None


def run(operation: Operation) -> int:
    """Run the controllers until they are told to end. Returns the exit status."""
    configure(operation.log_format, operation.log_level)
    try:
        import uvloop
    except ImportError:
        runner = asyncio.Runner()
    else:
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with runner:
        status = runner.run(_until_told(operation))
    _leave(status)
    return status


def _leave(status: int) -> None:
    """End the process even where a call of AWS hangs in a thread, for which Python would wait."""
    if any(thread.name.startswith("aws") for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


async def _until_told(operation: Operation) -> int:
    """Operate until SIGTERM or SIGINT. Returns the exit status."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()

    def tell(number: int) -> None:
        if not told.is_set():
            _log.info("ending", signal=signal.Signals(number).name)
        told.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, tell, number)
    return await operate(operation, told)


async def operate(operation: Operation, told: asyncio.Event) -> int:
    """Run the controllers until `told`, or until they can't go on. Returns the exit status."""
    health, metrics = Health(), Metrics()
    RUNS.set(metrics)
    work = asyncio.create_task(_work(operation, health, metrics), name="controllers")
    until = asyncio.create_task(told.wait())
    await asyncio.wait((work, until), return_when=asyncio.FIRST_COMPLETED)
    health.end()
    await _stopped(until, work)
    if work.cancelled():
        _log.info("ended")
        return OK
    error = work.exception()
    if error is None:
        return work.result()
    if isinstance(error, ClusterError | NotConfigured | OSError | NotReady):
        _log.error("can't start", error=str(error))
    else:
        _log.error("failed", exc_info=error)
    return FAILED


async def _stopped(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks once, and return when they have ended: what they do at their end takes its time."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


class NotReady(Exception):
    """It can't begin; the text says why."""


async def _work(operation: Operation, health: Health, metrics: Metrics) -> int:
    """Run the controllers until cancelled, or until the lease is lost. Returns the exit status then."""
    leadership: Leadership | None = None

    def leads() -> bool:
        return leadership.holding if leadership else not operation.leader_elect

    async with AsyncExitStack() as stack:
        listed = health.waits_for("what the cluster holds has not been listed yet")
        metrics.watch_leadership(leads)
        await _serve_pages(operation, health, metrics, stack)
        client = await stack.enter_async_context(
            Client.connect(operation.kubeconfig, operation.context, permit=_cluster_permit(operation, leads))
        )
        aws = await stack.enter_async_context(Aws(region=operation.region, permit=_aws_permit(operation, leads)))
        metrics.watch_calls(lambda: dict(aws.calls).items())
        inputs = Inputs(Flow(), secrets=operation.scope.secrets or operation.dry_run)
        metrics.watch_gateways(inputs.gateways, inputs.gateway_classes, (ALB_CONTROLLER, NLB_CONTROLLER))
        parts = (rehearsal if operation.dry_run else controllers)(operation.scope, client, aws, inputs)
        _log.info(
            "starting",
            version=__version__,
            cluster=operation.scope.cluster,
            server=client.server,
            features=sorted(operation.scope.features),
            dry_run=operation.dry_run,
        )
        await _greet(aws)
        await stack.enter_async_context(Watches(client, inputs))
        listed()
        if not operation.leader_elect:
            await _act(parts)
        leadership = await _stand(operation, client.namespace, stack)
        await leadership.acquired()
        acting, losing = asyncio.create_task(_act(parts)), asyncio.create_task(leadership.lost())
        try:
            await asyncio.wait((acting, losing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            failed = acting.done()
            await _stopped(acting, losing)
        if failed:
            acting.result()
    return FAILED


async def _act(parts: Iterable[Controller]) -> None:
    """Let the controllers act until cancelled."""
    async with AsyncExitStack() as stack:
        for controller in parts:
            await stack.enter_async_context(controller)
        _log.info("running")
        await asyncio.Event().wait()


async def _serve_pages(operation: Operation, health: Health, metrics: Metrics, stack: AsyncExitStack) -> None:
    served: dict[tuple[str, int], dict[str, Page]] = {}
    for address, pages in (
        (operation.health_address, health.pages),
        (operation.metrics_address, {"/metrics": metrics.page}),
    ):
        if address:
            served.setdefault(address, {}).update(pages)
    for address, pages in served.items():
        try:
            at = await stack.enter_async_context(Pages(address, pages))
        except OSError as error:
            raise NotReady(
                f"{address[0]}:{address[1]}: {error.strerror}; name another address with --metrics-address and "
                "--health-address"
            ) from error
        _log.info("serving", pages=sorted(pages), host=address[0] or "every address", port=at.port)


async def _stand(operation: Operation, namespace: str, stack: AsyncExitStack) -> Leadership:
    """Stand for election, by a connection of its own: no other request may hold a renewal up."""
    client = await stack.enter_async_context(Client.connect(operation.kubeconfig, operation.context))
    lease = Key(operation.lease_namespace or namespace, operation.lease_name)
    identity = f"{socket.gethostname()}_{uuid.uuid4()}"
    return await stack.enter_async_context(Leadership(client, lease, identity))


async def _greet(aws: Aws) -> None:
    """Find out who we are to AWS. Raises NotConfigured; any other problem may pass."""
    try:
        found = await aws.call("sts", "get_caller_identity")
    except NotConfigured:
        raise
    except AwsError as error:
        _log.warning("AWS doesn't say who we are", error=str(error))
    else:
        _log.info("AWS knows us", account=found.get("Account"), arn=found.get("Arn"))


def _cluster_permit(operation: Operation, leads: Callable[[], bool]) -> Callable[[str, str], None]:
    """Lets requests to the cluster through: to change something only while this replica leads."""

    def permit(method: str, path: str) -> None:
        if method == "GET":
            return
        if operation.dry_run:
            raise Unreachable(f"{method} {path}: not sent in a dry run")
        if not leads():
            raise Unreachable(f"{method} {path}: not sent, since this replica doesn't lead")

    return permit


def _aws_permit(operation: Operation, leads: Callable[[], bool]) -> Callable[[str, str], None]:
    """Lets calls of AWS through: to change something only while this replica leads."""

    def permit(service: str, operation_name: str) -> None:
        if operation_name.startswith(_READING):
            return
        called = f"{service}:{operation_name}"
        if operation.dry_run:
            raise AccessDenied("DryRun", "not sent in a dry run", called)
        if not leads():
            raise Unavailable("NotLeading", "not sent, since this replica doesn't lead", called)

    return permit
