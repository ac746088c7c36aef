"""`gatewright chain`: the way of a request from the client to the pods, hop by hop."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatewright.cli.exits import FAILED
from gatewright.cli.formats import rendered

if TYPE_CHECKING:
    from gatewright.edge.chain import Hop


class Output(StrEnum):
    """Formats of the chain."""

    TREE = "tree"
    JSON = "json"
    YAML = "yaml"


def chain(
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Only what leads to Gateways of this namespace.")
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="Format.")] = Output.TREE,
    aws: Annotated[bool, typer.Option(help="Ask AWS for the load balancers in front.")] = True,
    kubeconfig: Annotated[Path | None, typer.Option(help="Kubeconfig file. Default: $KUBECONFIG.")] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.")] = None,
) -> None:
    """Show the chain of a cluster, from load balancers to pods.

    Load balancers, target groups and their health, Gateways, routes, services, pods.

    Asks the cluster and AWS (as AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL ... say), and changes nothing in either.

    Exit status: 0; 1 when one of them can't be asked.
    """
    import asyncio

    from rich.console import Console

    from gatewright.cli import logs
    from gatewright.cli.pages import Screen
    from gatewright.cluster import ClusterError

    logs.to_stderr()
    try:
        hops, problem = asyncio.run(_read(kubeconfig, context, aws))
    except ClusterError as error:
        Screen(Console(stderr=True)).error(str(error))
        raise typer.Exit(FAILED) from None
    if namespace is not None:
        hops = tuple(hop for hop in hops if _leads_to(hop, namespace))
    if output is Output.TREE:
        Screen(Console()).chain(hops)
    else:
        typer.echo(rendered(hops, output))
    if problem:
        Screen(Console(stderr=True)).error(problem)
        raise typer.Exit(FAILED)


async def _read(kubeconfig: Path | None, context: str | None, aws: bool) -> tuple[tuple[Hop, ...], str]:
    import asyncio

    from gatewright.aws.client import Aws
    from gatewright.cluster import Client
    from gatewright.edge.chain import chain as hops_of
    from gatewright.edge.front import Front, read_front
    from gatewright.edge.snapshot import read_cluster

    async def front() -> Front:
        if not aws:
            return Front()
        async with Aws() as client:
            return await read_front(client)

    async with Client.connect(kubeconfig, context) as cluster:
        in_front, snapshot = await asyncio.gather(front(), read_cluster(cluster))
    return hops_of(in_front, *snapshot), in_front.problem


def _leads_to(hop: Hop, namespace: str) -> bool:
    found = hop.kind == "Gateway" and hop.name.partition("/")[0] == namespace
    return found or any(_leads_to(below, namespace) for below in hop.hops)
