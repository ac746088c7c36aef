"""What a local edge has without fetching it: charts and remote manifests that an Application may name all the same."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from msgspec import Struct

from gatewright.local.argocd.application import ApplicationSource


class Provided(Struct, frozen=True):
    """A source that isn't fetched since something else does its work. All three are globs; empty stands for absent."""

    repository: str
    by: str
    """What does the work instead: the end of a sentence."""
    chart: str = ""
    path: str = ""

    def covers(self, source: ApplicationSource) -> bool:
        """Whether a source is this one, whatever its version."""
        wanted = (self.repository, self.chart, self.path)
        found = (source.repo_url.removesuffix("/").removesuffix(".git"), source.chart, source.path.strip("/"))
        return all(fnmatchcase(value, pattern) for value, pattern in zip(found, wanted, strict=True))


_ISTIO: Final = "*istio-release*"

PROVIDED: Final[tuple[Provided, ...]] = (
    Provided(
        _ISTIO,
        "small definitions of PeerAuthentication and AuthorizationPolicy, and those of the embedded API",
        chart="base",
    ),
    Provided(_ISTIO, "gatewright's own control plane for GatewayClass istio, and its Envoy", chart="istiod"),
    Provided(_ISTIO, "gatewright's stand-in of the ambient mesh, which needs no CNI plugin", chart="cni"),
    Provided(_ISTIO, "gatewright's stand-in of the ambient mesh", chart="ztunnel"),
    Provided(
        "https://github.com/kubernetes-sigs/gateway-api",
        "the embedded API, which has the Gateway API's kinds built in",
        path="config/crd*",
    ),
)
"""What the local edge provides."""


def find(source: ApplicationSource, provided: Iterable[Provided]) -> Provided | None:
    """What provides a source; None where it has to be fetched."""
    return next((entry for entry in provided if entry.covers(source)), None)
