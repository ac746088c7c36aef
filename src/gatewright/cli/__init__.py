"""The `gatewright` command: one module a subcommand."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gatewright import __version__
from gatewright.cli.certs import certs
from gatewright.cli.chain import chain
from gatewright.cli.controller import controller
from gatewright.cli.deploy import deploy
from gatewright.cli.destroy import destroy
from gatewright.cli.exits import FAILED
from gatewright.cli.output import OutputError, outlive_readers
from gatewright.cli.plan import Planning, plan
from gatewright.cli.status import status
from gatewright.cli.up import up
from gatewright.cli.verify import verify

app = typer.Typer(
    name="gatewright",
    help="The Gateway API edge of a Kubernetes platform as real software.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(up)
app.command()(certs)
app.command()(chain)
app.command()(controller)
app.command(cls=Planning)(plan)
app.command()(deploy)
app.command()(verify)
app.command()(status)
app.command()(destroy)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"gatewright {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    outlive_readers()
    try:
        app()
    except OutputError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(FAILED)
