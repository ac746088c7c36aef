"""`gatewright plan`: what the controller would change in AWS, and what it can't do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from gatewright.cli.controller import TargetType, parse_tags
from gatewright.cli.exits import FAILED
from gatewright.cli.formats import Format


class Planning(TyperCommand):
    """Ends with `exits.FAILED` where it is called wrongly, since 2 says that there is something to change."""

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        """Read the command line. Raises what ends the process."""
        try:
            return super().make_context(*arguments, **more)
        except typer.Exit:
            raise
        except Exception as error:
            if hasattr(error, "exit_code"):
                error.exit_code = FAILED
            raise


def plan(
    cluster_name: Annotated[
        str,
        typer.Option(
            metavar="NAME", envvar="CLUSTER_NAME", help="The cluster's name, by which what is made in AWS is tagged."
        ),
    ],
    files: Annotated[
        list[str] | None,
        typer.Option(
            "--filename",
            "-f",
            metavar="PATH",
            help="Plan for these manifests: files, folders, a kustomization, or -. Can be given several times.",
        ),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Only what is made for Gateways and Ingresses of it.")
    ] = None,
    output: Annotated[Format, typer.Option("--output", "-o", help="Format.")] = Format.TEXT,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline", help="Plan for an account that has nothing but a VPC and what the edge description makes."
        ),
    ] = False,
    region: Annotated[
        str | None, typer.Option(help="AWS region. Default: as any AWS client finds it (AWS_REGION, profile, ...).")
    ] = None,
    vpc_id: Annotated[
        str | None,
        typer.Option(help="VPC of the load balancers. Default: the one whose subnets have the cluster's tag."),
    ] = None,
    default_tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="As for `gatewright controller`.")
    ] = None,
    default_target_type: Annotated[TargetType, typer.Option(help="As for `gatewright controller`.")] = TargetType.IP,
    trust_store_bucket: Annotated[
        str | None, typer.Option(metavar="NAME", help="As for `gatewright controller`.")
    ] = None,
    kubeconfig: Annotated[Path | None, typer.Option(help="Kubeconfig file. Default: $KUBECONFIG.")] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.")] = None,
) -> None:
    """Show what `gatewright controller` would change in AWS.

    What it would create, change, replace and delete, and which routes ask for what AWS can't do.

    Changes nothing, neither in AWS nor in the cluster.

    Without -f for the cluster as it is. With -f for the manifests alone, as if they were all that there is; targets are
    left as they are then. With -f and --kubeconfig or --context for the cluster as it would be with the manifests
    applied, which the cluster's API is asked for (a dry run).

    Exit status: 0 when there is nothing to change; 2 when there is; 1 when no plan can be made.
    """
    # Imported here so that --help and completion stay quick.
    from gatewright.cli.planning import Planning, run

    planning = Planning(
        cluster=cluster_name,
        files=tuple(files or ()),
        namespace=namespace or "",
        form=output,
        offline=offline,
        region=region or "",
        vpc=vpc_id or "",
        tags=parse_tags(default_tag or ()),
        target_type=default_target_type.value,
        trust_store_bucket=trust_store_bucket or "",
        kubeconfig=kubeconfig,
        context=context,
    )
    raise typer.Exit(run(planning))
