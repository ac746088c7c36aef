"""gatewright builds, runs and proves the edge in front of a Kubernetes cluster."""

__version__ = "0.1.0"
