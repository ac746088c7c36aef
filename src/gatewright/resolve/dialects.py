"""What an implementation of the Gateway API takes, where implementations differ.

One call of `resolve` serves the classes of one dialect: a proxy's, or that of a cloud's load balancers.
"""

from __future__ import annotations

from msgspec import Struct

from gatewright.resolve.features import FEATURES


class Dialect(Struct, frozen=True):
    """What the classes of one implementation take.

    `features` are what it claims (GatewayClassStatus.supportedFeatures). `protocols` are those of its listeners.
    `class_parameters`, `gateway_parameters` and `extensions` are the kinds, as (group, kind), that a GatewayClass's
    parametersRef, a Gateway's infrastructure.parametersRef and a route's ExtensionRef filters may name; of those other
    than ConfigMap, `Inputs.verdicts` says which there are. `addresses` are the types of spec.addresses.

    `certificates_elsewhere`: a listener that terminates TLS may do so without certificateRefs, since its certificates
    are not the cluster's only. `verifies_backends`: whether certificates of backends are verified; where they aren't, a
    Service may ask for TLS (`appProtocol: https`) without a BackendTLSPolicy, and a policy has no effect.
    `heeds_rejections`: whether `Inputs.rejections` are of the data plane that serves these classes.
    """

    features: tuple[str, ...] = FEATURES
    protocols: tuple[str, ...] = ("HTTP", "HTTPS", "TLS", "TCP", "UDP")
    class_parameters: tuple[tuple[str, str], ...] = ()
    gateway_parameters: tuple[tuple[str, str], ...] = (("", "ConfigMap"),)
    extensions: tuple[tuple[str, str], ...] = ()
    addresses: tuple[str, ...] = ("IPAddress",)
    certificates_elsewhere: bool = False
    verifies_backends: bool = True
    heeds_rejections: bool = True
    noun: str = "proxy"
    """What serves a Gateway, as messages say it: `the {noun} serves the Gateway`."""


PROXY = Dialect()
"""Envoy's, which takes all that the Gateway API says and nothing besides."""
