"""Checks of what stands in front on Azure: the Application Gateway, its backends, its firewall."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from gatewright.platform.certificates import GATEWAY
from gatewright.platform.errors import EXPECTED
from gatewright.platform.outputs import Outputs
from gatewright.platform.report import Check
from gatewright.platform.verify.advice import advise
from gatewright.platform.verify.findings import CannotLookError, failed, judged, passed
from gatewright.platform.verify.view import View


async def application_gateway(view: View) -> list[Check]:
    """The Application Gateway runs, with its firewall, and every backend of it is healthy."""
    az, outputs = view.surroundings.azure, view.surroundings.outputs
    if az is None:
        raise CannotLookError("no access to Azure was given")
    if outputs is None or not outputs.application_gateway:
        raise CannotLookError("nobody says which Application Gateway it is")
    which = ("--resource-group", outputs.resource_group, "--name", outputs.application_gateway)
    try:
        shown, health = await asyncio.gather(  # the latter takes half a minute
            az("network", "application-gateway", "show", *which),
            az("network", "application-gateway", "show-backend-health", *which),
        )
    except EXPECTED as error:
        raise CannotLookError(f"Azure can't be asked: {error}") from error
    return [*_standing(shown, outputs), *_backends(health, outputs)]


def _names(outputs: Outputs) -> dict[str, str]:
    return {"group": outputs.resource_group, "name": outputs.application_gateway}


def _standing(shown: Mapping[str, Any], outputs: Outputs) -> Iterator[Check]:
    subject, expected = f"Application Gateway {outputs.application_gateway}", "running"
    running, state = str(shown.get("operationalState")), str(shown.get("provisioningState"))
    text = f"{running}, provisioning {state}"
    bad = "" if (running, state) == ("Running", "Succeeded") else text
    yield judged("application-gateway", subject, expected, text, bad, advise("azure", "state", **_names(outputs)))
    policy = str((shown.get("firewallPolicy") or {}).get("id") or "").rpartition("/")[2]
    expected = "has a WAF policy"
    if policy:
        yield passed("application-gateway", subject, expected, policy)
    else:
        yield failed(
            "application-gateway", subject, expected, "has none", advise("azure", "firewall", **_names(outputs))
        )


def _backends(health: Mapping[str, Any], outputs: Outputs) -> Iterator[Check]:
    count = 0
    for pool in health.get("backendAddressPools") or ():
        for settings in pool.get("backendHttpSettingsCollection") or ():
            for server in settings.get("servers") or ():
                count += 1
                state, said = str(server.get("health")), str(server.get("healthProbeLog") or "")
                subject = f"backend {server.get('address')} of {outputs.application_gateway}"
                text = f"{state}: {said}" if said else state
                bad = "" if state == "Healthy" else text
                yield judged(
                    "target-health", subject, "Healthy", text, bad, advise("azure", "backend", **_names(outputs))
                )
    if not count:
        subject = f"backends of {outputs.application_gateway}"
        yield failed(
            "target-health", subject, "at least one", "there is none", advise("azure", "backend", **_names(outputs))
        )


async def gateway_address(view: View) -> list[Check]:
    """The internal load balancer of the Gateway has the address that the Application Gateway sends to."""
    outputs = view.surroundings.outputs
    if outputs is None or not outputs.gateway_address:
        raise CannotLookError("nobody says which address it is to have")
    snapshot = await view.cluster()
    gateway = snapshot.inputs.gateways.get(GATEWAY)
    addresses = [each.value for each in gateway.status.addresses] if gateway else []
    expected = f"has the address {outputs.gateway_address}"
    text = ", ".join(addresses) or ("has none" if gateway else "is not there")
    advice = advise("azure", "address", address=outputs.gateway_address)
    bad = "" if outputs.gateway_address in addresses else text
    return [judged("load-balancer", f"Gateway {GATEWAY}", expected, text, bad, advice)]
