"""The stand-in for pods: what runs Deployments, Pods and Services where there is no kubelet.

Everything here is a client of the Kubernetes API. Deployments become ReplicaSets, ReplicaSets become Pods, each Pod
becomes live endpoints on loopback, and Services with a selector become EndpointSlices.
"""

from gatewright.local.workloads.addresses import PodAddresses
from gatewright.local.workloads.programs import Programs
from gatewright.local.workloads.slices import Backend
from gatewright.local.workloads.workloads import Workloads

__all__ = ["Backend", "PodAddresses", "Programs", "Workloads"]
