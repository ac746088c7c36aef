"""What the configuration kinds of group gateway.k8s.aws come to: settings, merged, checked, with what is wrong."""

from gatewright.aws.configuration.sources import Configurations

__all__ = ["Configurations"]
