"""`gatewright certs`: a CA and a server certificate, as files and as a Secret."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gatewright.cli.exits import FAILED
from gatewright.cli.formats import rendered


class Output(StrEnum):
    """Formats of the Secret."""

    YAML = "yaml"
    JSON = "json"


def certs(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Host names (also *.example.com) and IP addresses.")
    ],
    secret: Annotated[str, typer.Option(help="The Secret's name.")] = "gateway-tls",  # noqa: S107 - a name
    namespace: Annotated[str | None, typer.Option("--namespace", "-n", help="The Secret's namespace.")] = None,
    directory: Annotated[
        Path | None,
        typer.Option(
            "--dir", help="Keep the CA here (ca.crt, ca.key) and use it again; write server.crt and server.key too."
        ),
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="Format of the printed Secret.")] = Output.YAML,
    apply: Annotated[
        bool, typer.Option("--apply", help="Apply the Secret to the cluster instead of printing it.")
    ] = False,
    kubeconfig: Annotated[Path | None, typer.Option(help="Kubeconfig file. Default: $KUBECONFIG.")] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.")] = None,
) -> None:
    """Make a CA and a server certificate for NAMEs.

    Prints, or applies, the kubernetes.io/tls Secret that holds it.

    Without --dir the CA's key is forgotten, so that nothing else can be signed with it.
    """
    import asyncio

    from gatewright.cluster import Client, ClusterError
    from gatewright.local.certificates import Authority
    from gatewright.local.private import write_private
    from gatewright.local.secrets import tls_secret
    from gatewright.model.meta import Key

    try:
        authority = Authority.load_or_create(directory) if directory else Authority.create()
        certificate = authority.issue(names)
        if directory:
            (directory / "server.crt").write_bytes(certificate.chain)
            write_private(directory / "server.key", certificate.private_key)
    except (ValueError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(FAILED) from None

    async def put() -> None:
        async with Client.connect(kubeconfig, context) as client:
            key = Key(namespace or client.namespace, secret)
            await client.apply(tls_secret(key, certificate, authority.pem), field_manager="gatewright-certs")
            typer.echo(f"secret/{key.name} applied in namespace {key.namespace}")

    if apply:
        try:
            asyncio.run(put())
        except ClusterError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(FAILED) from None
        return
    content = tls_secret(Key(namespace or "default", secret), certificate, authority.pem)
    typer.echo(rendered(content, output))
