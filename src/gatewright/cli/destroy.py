"""`gatewright destroy`: from a platform to nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatewright.platform.targets import Target


def destroy(
    folder: Annotated[Path | None, typer.Option("--dir", help="Folder of the platform.")] = None,
    target: Annotated[
        Target | None, typer.Option(help="That of .gatewright/TARGET. Default: the only one there is.")
    ] = None,
    tree: Annotated[
        Path | None, typer.Option(help="The folder deploy of a checkout. Default: ./deploy, or what gatewright brings.")
    ] = None,
    delete_logs: Annotated[
        bool, typer.Option("--delete-logs", help="Delete the access logs of a real account, too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Take a platform down, step by step.

    Load balancers, applications, Argo CD, what Terraform made, and the local edge.

    Waits until each is gone, and names what hangs. Can be stopped at any point and run again.

    Exit status: 0 when nothing is left; 1 when a step failed; 2 for wrong usage; 130 after Ctrl-C.
    """
    # Imported here so that --help and completion stay quick.
    from gatewright.cli.platforms import destroy as run

    raise typer.Exit(run(folder, target, tree, delete_logs=delete_logs, yes=yes))
