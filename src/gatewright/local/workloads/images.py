"""Which behaviour an image has."""

from __future__ import annotations

from collections.abc import Callable

from gatewright.local.workloads.echo_basic import echo_basic
from gatewright.local.workloads.http_echo import HttpEcho
from gatewright.local.workloads.program import Behaviour, Program
from gatewright.local.workloads.stand_in import StandIn


def _core_dns(program: Program) -> Behaviour:
    # A DNS library takes longer to import than the rest; few clusters need one.
    from gatewright.local.workloads.coredns import CoreDns

    return CoreDns(program)


_KNOWN: dict[str, tuple[str, Callable[[Program], Behaviour]]] = {
    "hashicorp/http-echo": ("http-echo", HttpEcho),
    "gateway-api/echo-basic": ("echo-basic", echo_basic),
    "gateway-api/conformance/echo-basic": ("echo-basic", echo_basic),
    "coredns/coredns": ("coredns", _core_dns),
    "coredns": ("coredns", _core_dns),
    "ingress-controller-conformance/echoserver": ("echoserver", echo_basic),
}
"""By the end of the repository's path: the name of the image's program, and what it does."""


def repository(image: str) -> str:
    """An image's repository, without tag and digest: `registry:5000/a/b:1.0@sha256:…` is `registry:5000/a/b`."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return head + slash + last.partition(":")[0]


def behaviour(program: Program) -> Behaviour:
    """What stands in for a program. A command that isn't the image's own is not known either."""
    name = f"/{repository(program.image)}"
    found = next((known for path, known in _KNOWN.items() if name.endswith(f"/{path}")), None)
    if found and (not program.command or program.command[0].rpartition("/")[2] == found[0]):
        return found[1](program)
    return StandIn(program)
