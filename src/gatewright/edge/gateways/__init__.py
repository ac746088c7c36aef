"""Gateways that are load balancers of AWS: the loop that brings them about, and keeps them so."""

from gatewright.edge.gateways.controller import GatewayLoadBalancers
from gatewright.edge.gateways.pipeline import Pipeline, Side

__all__ = ["GatewayLoadBalancers", "Pipeline", "Side"]
