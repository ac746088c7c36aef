"""Azure by its command line `az`; and whether a subscription can take a platform."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from gatewright.local import tools
from gatewright.platform import programs
from gatewright.platform.prerequisites import Missing
from gatewright.platform.targets import Settings

PROVIDERS = (
    "Microsoft.ContainerService",
    "Microsoft.KeyVault",
    "Microsoft.ManagedIdentity",
    "Microsoft.Network",
    "Microsoft.OperationalInsights",
)
CORES = 12
"""How many cores the node pools take at their smallest, with room for one more node in an upgrade."""


async def az(*arguments: str) -> Any:
    """What `az` answers, as JSON; None for nothing. Raises PlatformError."""
    program = str(tools.need("az", "to ask Azure"))
    text = await programs.expect([program, *arguments, "--only-show-errors", "--output", "json"])
    return msgspec.json.decode(text) if text.strip() else None


async def ready(settings: Settings, *, begun: bool) -> list[Missing]:
    """What the subscription lacks. Where Terraform has begun already, names and cores are taken by this platform."""
    if tools.find("az") is None:
        return []  # told as a missing tool
    try:
        account = await az("account", "show")
    except programs.ProgramFailed as error:
        return [Missing(f"Azure takes no credentials: {error}", "`az login`, then `az account set --subscription ID`")]
    if account.get("state") != "Enabled":
        return [Missing(f"subscription {account.get('name')} is {account.get('state')}", "choose an enabled one")]
    checks = [_location(settings), _registered()]
    if not begun:
        checks += [_name(settings), _cores(settings)]
    return [missing for result in await asyncio.gather(*checks) for missing in result]


async def _location(settings: Settings) -> list[Missing]:
    names = {each["name"] for each in await az("account", "list-locations")}
    if settings.region in names:
        return []
    return [Missing(f"{settings.region} is no location of this subscription", "`az account list-locations` names them")]


async def _registered() -> list[Missing]:
    found = await az("provider", "list", "--query", "[].{name: namespace, state: registrationState}")
    states = {each["name"]: each["state"] for each in found or ()}
    return [
        Missing(
            f"resource provider {name} is {states.get(name, 'unknown')}", f"`az provider register -n {name} --wait`"
        )
        for name in PROVIDERS
        if states.get(name) != "Registered"
    ]


async def _name(settings: Settings) -> list[Missing]:
    if not await az("group", "exists", "--name", settings.name):
        return []
    return [
        Missing(
            f"there is a resource group {settings.name} already, which isn't of this folder",
            "name another with --name, or the folder that it was deployed from with --dir",
        )
    ]


async def _cores(settings: Settings) -> list[Missing]:
    for each in await az("vm", "list-usage", "--location", settings.region) or ():
        if (each.get("name") or {}).get("value") == "cores":
            free = int(each["limit"]) - int(each["currentValue"])
            if free < CORES:
                return [
                    Missing(
                        f"quota of vCPUs in {settings.region}: {free} are free, and the platform takes {CORES}",
                        "ask for more in the portal (Quotas), or name another location with --region",
                    )
                ]
    return []
