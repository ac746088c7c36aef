"""How ELBv2 refuses: an error code and a message, as the API reference and users' reports have them."""

from __future__ import annotations

from moto.elbv2.exceptions import ELBClientError


class Refusal(ELBClientError):
    """A request that isn't done. `code` is one of those that the service's model has, or `ValidationError`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)


def invalid(message: str) -> Refusal:
    """A value that the API doesn't take: `ValidationError`."""
    return Refusal("ValidationError", message)


def misconfigured(message: str) -> Refusal:
    """Values that don't go together: `InvalidConfigurationRequest`."""
    return Refusal("InvalidConfigurationRequest", message)


def bad_action(message: str) -> Refusal:
    """An action that the load balancer can't do: `InvalidLoadBalancerAction`."""
    return Refusal("InvalidLoadBalancerAction", message)
