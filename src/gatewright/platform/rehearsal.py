"""The edge of `--target local`, which runs on in the background; how it is started, found and stopped."""

from __future__ import annotations

import msgspec


class RehearsalEdge(msgspec.Struct, frozen=True, kw_only=True):
    """How a running edge is reached: what `edge/edge.json` of a workspace holds (0600) once it is ready."""

    pid: int
    boot: str
    """Another one for each run, so that what was done with an earlier edge is known to be gone."""
    kubeconfig: str
    ca: str
    """File with the certificates of the authority that signs what the emulated ACM issues."""
    aws: dict[str, str]
    """The environment in which any AWS client finds the emulated AWS."""
    dns: str
    """`ADDRESS:PORT` of the resolver that knows its hosted zones and load balancers."""
    vpc_cidr: str
    """What `vpc_cidr` of the configuration has to be, so that addresses answer: a block of loopback addresses."""
    public_subnet_cidrs: tuple[str, ...]
    private_subnet_cidrs: tuple[str, ...]
    zones: tuple[str, ...]
    sockets: dict[str, str]
    """Where load balancers are really open, `HOST:PORT` by `ADDRESS:PORT`, where that isn't the same."""
    repository: str
    """The repository's URL that its Argo CD has as a folder."""
