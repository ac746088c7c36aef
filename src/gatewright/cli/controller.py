"""`gatewright controller`: what `up` runs beside its edge, in a cluster and against AWS."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Feature(StrEnum):
    """What the controller looks after."""

    GATEWAYS = "gateways"
    INGRESSES = "ingresses"
    SERVICES = "services"
    EDGE_BINDINGS = "edge-bindings"
    DNS = "dns"
    CERTIFICATES = "certificates"


class LogFormat(StrEnum):
    """How log lines are written."""

    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    """Which log lines are written: those of this level and above."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class DnsPolicy(StrEnum):
    """What becomes of DNS records of ours that nobody asks for any more."""

    UPSERT_ONLY = "upsert-only"
    SYNC = "sync"


class TargetType(StrEnum):
    """What target groups have as targets: pods, or nodes."""

    IP = "ip"
    INSTANCE = "instance"


def parse_tags(texts: Iterable[str]) -> dict[str, str]:
    """Tags of KEY=VALUE texts."""
    tags = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"found {text!r}, expected KEY=VALUE", param_hint="--default-tag")
        tags[key] = value
    return tags


DEFAULT_FEATURES = ",".join((Feature.GATEWAYS, Feature.INGRESSES, Feature.SERVICES, Feature.EDGE_BINDINGS))
"""The others write into hosted zones, which are seldom one cluster's alone."""


def controller(
    cluster_name: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            envvar="CLUSTER_NAME",
            help="The cluster's name, by which what is made in AWS is tagged: one of its own in the account.",
        ),
    ],
    features: Annotated[
        str, typer.Option(metavar="LIST", help=f"What to look after, of: {', '.join(Feature)}.")
    ] = DEFAULT_FEATURES,
    region: Annotated[
        str | None, typer.Option(help="AWS region. Default: as any AWS client finds it (AWS_REGION, profile, ...).")
    ] = None,
    vpc_id: Annotated[
        str | None, typer.Option(help="VPC of the load balancers. Default: the one whose subnets are tagged.")
    ] = None,
    default_tag: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Put this tag on all that is made. Can be given several times."),
    ] = None,
    default_target_type: Annotated[
        TargetType, typer.Option(help="Type of target groups where no configuration says one.")
    ] = TargetType.IP,
    trust_store_bucket: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Bucket of S3 by which AWS learns whose client certificates a Gateway takes."
        ),
    ] = None,
    leader_elect: Annotated[
        bool, typer.Option(help="Act only while this replica holds the lease, so that there can be several.")
    ] = True,
    lease_namespace: Annotated[
        str | None, typer.Option(help="Namespace of the lease. Default: the one that the controller is in.")
    ] = None,
    lease_name: Annotated[str, typer.Option(help="Name of the lease.")] = "gatewright",
    metrics_address: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Serve /metrics here; :PORT is every address, '' is off.")
    ] = "127.0.0.1:8080",
    health_address: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="Serve /healthz and /readyz here; :PORT is every address, '' is off."),
    ] = "127.0.0.1:8081",
    resync: Annotated[
        float, typer.Option(min=1.0, metavar="SECONDS", help="Look this often whether somebody changed what we made.")
    ] = 300.0,
    domain_filter: Annotated[
        list[str] | None,
        typer.Option(metavar="DOMAIN", help="Write DNS records below this domain only. Can be given several times."),
    ] = None,
    dns_policy: Annotated[
        DnsPolicy, typer.Option(help="upsert-only never deletes a DNS record; sync deletes those of ours.")
    ] = DnsPolicy.UPSERT_ONLY,
    txt_owner_id: Annotated[
        str | None, typer.Option(help="Owner of DNS records, as external-dns writes it. Default: the cluster's name.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Log what would be changed in AWS for Gateways and Ingresses; write nothing anywhere."
        ),
    ] = False,
    log_format: Annotated[LogFormat, typer.Option(help="Format of the log, which goes to standard error.")] = (
        LogFormat.JSON
    ),
    log_level: Annotated[LogLevel, typer.Option(help="Least level of what is logged.")] = LogLevel.INFO,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="Kubeconfig file. Default: in-cluster credentials, $KUBECONFIG.")
    ] = None,
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.")] = None,
) -> None:
    """Run the controllers of a cluster.

    Load balancers for Gateways, Ingresses and Services, EdgeBindings, DNS records and certificates.

    Runs until SIGTERM or Ctrl-C, then gives the lease back. Never touches anything in AWS that isn't tagged as this
    cluster's.

    Exit status: 0 after SIGTERM or Ctrl-C; 1 when it can't start, and when it lost the lease; 2 for wrong usage.
    """
    wanted = frozenset(name.strip() for name in features.split(",") if name.strip())
    unknown = sorted(wanted - set(Feature))
    if unknown or not wanted:
        found = ", ".join(unknown) or "none"
        raise typer.BadParameter(f"found {found}, expected any of {', '.join(Feature)}", param_hint="--features")

    # Imported here so that --help and completion stay quick.
    from gatewright.cli.controllers import Scope
    from gatewright.cli.operating import Operation, run
    from gatewright.controller.health import Addressed, parse_address

    addresses = {}
    for option, text in (("--metrics-address", metrics_address), ("--health-address", health_address)):
        try:
            addresses[option] = parse_address(text) if text else None
        except Addressed as error:
            raise typer.BadParameter(str(error), param_hint=option) from None
    operation = Operation(
        scope=Scope(
            cluster=cluster_name,
            features=frozenset(Feature(name) for name in wanted),
            vpc=vpc_id or "",
            resync=resync,
            domain_filters=tuple(domain_filter or ()),
            dns_policy=dns_policy.value,
            txt_owner_id=txt_owner_id or cluster_name,
            tags=parse_tags(default_tag or ()),
            target_type=default_target_type.value,
            trust_store_bucket=trust_store_bucket or "",
        ),
        region=region or "",
        leader_elect=leader_elect and not dry_run,
        lease_namespace=lease_namespace or "",
        lease_name=lease_name,
        metrics_address=addresses["--metrics-address"],
        health_address=addresses["--health-address"],
        dry_run=dry_run,
        log_format=log_format.value,
        log_level=log_level.value,
        kubeconfig=kubeconfig,
        context=context,
    )
    raise typer.Exit(run(operation))
