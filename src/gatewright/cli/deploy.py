"""`gatewright deploy`: from nothing to a verified platform."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatewright.platform.targets import Architecture, Target


def deploy(
    target: Annotated[
        Target, typer.Option(help="Where: AWS, Azure, or an emulated AWS and Kubernetes API on this machine.")
    ],
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Folder of the platform. Default: .gatewright/TARGET.")
    ] = None,
    architecture: Annotated[
        Architecture | None,
        typer.Option(
            help="chained: a load balancer of Terraform's before Istio's gateway; direct: the controller's ALB before "
            "the pods. Default: chained."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the platform and its cluster, at most 20 characters. Default: platform.")
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="AWS region, or location of Azure. Default on AWS: AWS_REGION.")
    ] = None,
    domain: Annotated[str | None, typer.Option(help="Name that clients use. Default: platform.example.com.")] = None,
    repository: Annotated[
        str | None, typer.Option(metavar="URL", help="Git repository with deploy/gitops, which Argo CD can read.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Its branch, tag or commit. Default: main.")] = None,
    image: Annotated[
        str | None,
        typer.Option(
            metavar="REPOSITORY:TAG",
            help="The controller's image, built from deploy/Dockerfile: nobody publishes one. Needed on AWS.",
        ),
    ] = None,
    var_file: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Variables for Terraform (.tfvars). Can be given several times."),
    ] = None,
    var: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A variable for Terraform. Can be given several times."),
    ] = None,
    backend_config: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="Keep Terraform's state in S3, or a container of Azure's, by this configuration of the backend.",
        ),
    ] = None,
    tree: Annotated[
        Path | None, typer.Option(help="The folder deploy of a checkout. Default: ./deploy, or what gatewright brings.")
    ] = None,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="End with Terraform's plan: nothing is changed in the cloud.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask before a real account is changed.")] = False,
) -> None:
    """Stand a platform up, step by step.

    Prerequisites, Terraform, certificates, Argo CD, applications, binding, verification.

    Can be stopped at any point; the same command goes on from there, and needs no other options than at first.

    Exit status: 0 when the platform stands and is verified, or is planned; 1 when a step failed; 2 for wrong usage;
    130 after Ctrl-C.
    """
    # Imported here so that --help and completion stay quick.
    from gatewright.cli.platforms import Deploying
    from gatewright.cli.platforms import deploy as run

    options = Deploying(
        target=target,
        architecture=architecture,
        folder=folder,
        name=name,
        region=region,
        domain=domain,
        repository=repository,
        revision=revision,
        image=image,
        variable_files=var_file or (),
        variables=var or (),
        backend=backend_config or (),
        tree=tree,
        plan_only=plan_only,
        yes=yes,
    )
    raise typer.Exit(run(options))
