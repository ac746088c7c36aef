"""`gatewright status`: what stands in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gatewright.cli.formats import Format
from gatewright.platform.targets import Target


def status(
    folder: Annotated[Path | None, typer.Option("--dir", help="Folder of the platform.")] = None,
    target: Annotated[
        Target | None, typer.Option(help="That of .gatewright/TARGET. Default: the only one there is.")
    ] = None,
    output: Annotated[Format, typer.Option("--output", "-o", help="Format of the answer.")] = Format.TEXT,
) -> None:
    """Show what is deployed.

    Steps, the local edge, applications, load balancers, the last verification.

    Changes nothing. Exit status: 0, also where there is nothing; 1 where the folder can't be read; 2 for wrong usage.
    """
    # Imported here so that --help and completion stay quick.
    from gatewright.cli.platforms import status as run

    raise typer.Exit(run(folder, target, output))
