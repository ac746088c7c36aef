"""Network Load Balancers as Envoy's listeners: TCP, TLS and UDP that is passed on to the targets of one's zone."""

from gatewright.local.aws.nlb.translation import translate

__all__ = ["translate"]
