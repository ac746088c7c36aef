"""`gatewright up`: run the edge that manifests describe, on this machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer


def up(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="Manifests: files, folders, a kustomization, or - for standard input."),
    ],
    exec_: Annotated[
        str | None,
        typer.Option(
            "--exec",
            metavar="CMD",
            help="When the edge is ready, run CMD in a shell, tear all down, and exit with its status.",
        ),
    ] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NS/SERVICE[:PORT]=HOST:PORT",
            help="Send a Service's traffic to a process of your own. Can be given several times.",
        ),
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Go on when some object was refused, instead of exiting with 1.")
    ] = False,
    watch: Annotated[bool, typer.Option(help="Apply edits of the files while the edge runs.")] = True,
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep the cluster's state here over restarts. Default: in memory.")
    ] = None,
    aws: Annotated[
        bool | None,
        typer.Option(
            "--aws/--no-aws",
            help="Run an emulated AWS, with load balancers that carry traffic. Default: when the manifests ask for it.",
        ),
    ] = None,
    pace: Annotated[
        float,
        typer.Option(
            min=0.1,
            max=1000,
            help="Let the clocks of the emulated AWS (health checks, draining, logs) run this many times faster.",
        ),
    ] = 1.0,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what the parts do, to standard error.")] = False,
) -> None:
    """Run the edge that manifests describe on this machine.

    A Kubernetes API, workloads, TLS and a real Envoy, and an AWS with load balancers in front where they ask for it.

    Under --exec the command finds KUBECONFIG, EDGE_URL, EDGE_HTTPS_URL (of the ALB, where there is one), GATEWAY_URL,
    GATEWAY_HTTPS_URL, EDGE_CA (a CA bundle) and EDGE_STATE (a JSON file) in its environment; with an emulated AWS also
    AWS_ENDPOINT_URL, AWS_REGION and credentials for it, and EDGE_DNS, the address:port of a DNS server that knows the
    names of its load balancers and what its Route 53 holds.

    Exit status: that of the command; 1 when an object was refused; 2 for wrong usage; 130 after Ctrl-C.
    """
    # Imported here so that --help and completion stay quick.
    from gatewright.cli.starting import Session, run

    session = Session(
        paths=tuple(paths),
        command=exec_,
        backends=tuple(map(_backend, backend or ())),
        keep_going=keep_going,
        watch=watch,
        data_dir=data_dir,
        aws=aws,
        pace=pace,
        verbose=verbose,
    )
    raise typer.Exit(run(session))


def _backend(text: str) -> tuple[str, str, int | str | None, str, int]:
    """Namespace, Service, its port (by number or name; None for all), host and port of NS/SERVICE[:PORT]=HOST:PORT."""
    found = re.fullmatch(r"([^/=:]+)/([^/=:]+)(?::([^/=:]+))?=(.+):(\d+)", text)
    if not found or not 0 < int(found[5]) < 65536:
        raise typer.BadParameter(f"found {text!r}, expected NS/SERVICE[:PORT]=HOST:PORT", param_hint="--backend")
    port: int | str | None = int(found[3]) if found[3] and found[3].isdigit() else found[3]
    return found[1], found[2], port, found[4].strip("[]"), int(found[5])
