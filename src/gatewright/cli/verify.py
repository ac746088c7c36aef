"""`gatewright verify`: look at a platform on every hop, and say of what is wrong what to look at next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gatewright.cli.exits import FAILED, OK
from gatewright.cli.formats import Format, rendered
from gatewright.platform.targets import Architecture, Target

if TYPE_CHECKING:
    from gatewright.platform.report import Outcome, Report

USAGE = 2


def verify(
    folder: Annotated[Path | None, typer.Option("--dir", help="Folder of the platform.")] = None,
    target: Annotated[
        Target | None, typer.Option(help="That of .gatewright/TARGET. Default: the only one there is.")
    ] = None,
    output: Annotated[Format, typer.Option("--output", "-o", help="Format of the report.")] = Format.TEXT,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="ID,...", help="Make these checks alone, as `endpoint,target-health`."),
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that each inspection may take.")] = 60.0,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="Verify the cluster of this kubeconfig, which `deploy` needn't have made.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.")] = None,
    aws: Annotated[bool, typer.Option(help="With --kubeconfig: ask AWS for the load balancers in front.")] = True,
    region: Annotated[str, typer.Option(help="With --kubeconfig: AWS region. Default: as AWS clients find it.")] = "",
    domain: Annotated[str, typer.Option(help="With --kubeconfig: the name that clients use.")] = "",
    architecture: Annotated[
        Architecture, typer.Option(help="With --kubeconfig: what stands between clients and pods.")
    ] = Architecture.CHAINED,
    ca: Annotated[
        Path | None, typer.Option(help="With --kubeconfig: authorities that clients trust. Default: the system's.")
    ] = None,
    resolver: Annotated[str, typer.Option(metavar="ADDRESS:PORT", help="With --kubeconfig: resolve names there.")] = "",
) -> None:
    """Verify a platform on every hop.

    Names, endpoints, redirects, certificates, load balancers, target health, statuses, Argo CD, the controller, where
    pods run, and that none can be reached around the Gateway.

    Changes nothing: it reads, and sends requests that don't change anything either.

    Exit status: 0 when nothing failed and something passed; 1 when a check failed; 2 for wrong usage.
    """
    # Imported here so that --help and completion stay quick.
    import asyncio

    from gatewright.cli import logs
    from gatewright.platform.errors import EXPECTED, UsageError
    from gatewright.platform.verify import IDS

    logs.to_stderr()
    wanted = tuple(name.strip() for each in only or () for name in each.split(",") if name.strip())
    unknown = sorted({*wanted} - {*IDS})
    if unknown:
        raise typer.BadParameter(f"found {', '.join(unknown)}, expected some of {', '.join(IDS)}", param_hint="--only")
    try:
        if kubeconfig or context:
            if folder or target:
                raise UsageError("--kubeconfig and --context name a cluster, --dir and --target a folder", "name one")
            found = asyncio.run(
                _cluster(kubeconfig, context, aws, region, domain, architecture, ca, resolver, wanted, timeout)
            )
        else:
            found = asyncio.run(_platform(folder, target, wanted, timeout))
    except EXPECTED as error:
        remedy = getattr(error, "remedy", "")
        typer.echo(f"error: {error}{f'; {remedy}' if remedy else ''}", err=True)
        raise typer.Exit(USAGE if isinstance(error, UsageError) else FAILED) from None
    if output is Format.TEXT:
        _print(found)
    else:
        typer.echo(rendered(found, output))
    raise typer.Exit(OK if found.ok else FAILED)


async def _platform(folder: Path | None, target: Target | None, only: tuple[str, ...], timeout: float) -> Report:  # noqa: ASYNC109
    """Verify what `deploy` made, and keep the report beside it."""
    from gatewright.cli.platforms import find_workspace
    from gatewright.platform.deployment import Deployment
    from gatewright.platform.errors import UsageError
    from gatewright.platform.workspace import DEFAULT

    workspace = find_workspace(folder, target)
    if workspace is None or workspace.read() is None:
        place = workspace.folder if workspace else DEFAULT.absolute()
        raise UsageError(
            f"there is no platform in {place}",
            "`gatewright deploy` makes one; name its folder with --dir, or any cluster with --kubeconfig",
        )
    deployment = Deployment(workspace, None, _Silence(), lambda _: False)
    return await deployment.verification(only, timeout)


class _Silence:
    """Nobody is told of steps where there are none."""

    def begin(self, number: int, count: int, title: str) -> None:
        """Nothing is said."""

    def doing(self, text: str) -> None:
        """Nothing is said."""

    def end(self, text: str, seconds: float) -> None:
        """Nothing is said."""

    def stood(self, title: str) -> None:
        """Nothing is said."""

    def failed(self, seconds: float) -> None:
        """Nothing is said."""


async def _cluster(
    kubeconfig: Path | None,
    context: str | None,
    with_aws: bool,
    region: str,
    domain: str,
    architecture: Architecture,
    ca: Path | None,
    resolver: str,
    only: tuple[str, ...],
    timeout: float,  # noqa: ASYNC109
) -> Report:
    """Verify any cluster; what nobody says of it is left out."""
    from contextlib import AsyncExitStack

    from gatewright.aws.client import Aws
    from gatewright.cluster import Client
    from gatewright.platform.targets import Settings
    from gatewright.platform.verify import Surroundings
    from gatewright.platform.verify import verify as look

    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client.connect(kubeconfig, context))
        aws: Aws | None = await stack.enter_async_context(Aws(region=region)) if with_aws else None
        settings = Settings(target=Target.AWS, architecture=architecture, region=region, domain=domain)
        surroundings = Surroundings(settings=settings, client=client, aws=aws, trust=ca, dns=resolver)
        return await look(surroundings, only=only, timeout=timeout)


def _print(report: Report) -> None:
    from rich.console import Console
    from rich.text import Text

    from gatewright.platform.report import Outcome
    from gatewright.platform.verify import render

    console = Console(soft_wrap=True, highlight=False)
    if not console.is_terminal:
        for line in render(report):
            typer.echo(line)
        return
    styles: dict[Any, str] = {Outcome.PASSED: "green", Outcome.FAILED: "bold red", Outcome.SKIPPED: "yellow"}
    # A line is text, of which a mark must not be taken for anything else: so it is put in by characters of no use.
    opening, closing = "\x02", "\x03"

    def mark(outcome: Outcome, text: str) -> str:
        return f"{opening}{outcome.value}{opening}{text}{closing}"

    for line in render(report, mark):
        shown = Text()
        for part in line.split(closing):
            before, *marked = part.split(opening)
            shown.append(before)
            if marked:
                shown.append(marked[1], style=styles[Outcome(marked[0])])
        console.print(shown)
