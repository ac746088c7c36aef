"""A stand-in of Argo CD: keeps what Applications name in a cluster, out of folders instead of Git repositories.

It is a client of the Kubernetes API, does with Applications and AppProjects what Argo CD's documentation says, and says
in their conditions (`Provided`, `NotRehearsed`) what it doesn't do.
"""

from gatewright.local.argocd.controller import NAMESPACE, ArgoCD
from gatewright.local.argocd.provided import PROVIDED, Provided

__all__ = ["NAMESPACE", "PROVIDED", "ArgoCD", "Provided"]
