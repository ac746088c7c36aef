"""Azure by its command line `az`; and whether a subscription can take a platform."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from gatewright.local import tools
from gatewright.platform import programs
from gatewright.platform.prerequisites import Missing
from gatewright.platform.targets import Settings

Ask: TypeAlias = Callable[..., Awaitable[Any]]
"""`az`, for one subscription."""

PROVIDERS = (
    "Microsoft.ContainerService",
    "Microsoft.Insights",
    "Microsoft.KeyVault",
    "Microsoft.ManagedIdentity",
    "Microsoft.Network",
    "Microsoft.OperationalInsights",
    "Microsoft.PolicyInsights",
)
"""Resource providers that are used. Terraform registers a few of Azure's by itself, and not all of these."""

SIZE = "Standard_D4ds_v5"
POOLS = {"system_nodes": 3, "user_nodes": 2}
"""The variables of the node pools, each with its least number of nodes where nothing else is said."""
ZONES = ("1", "2", "3")

_ADMINISTRATORS = "cluster_admin_group_ids"


async def az(*arguments: str, subscription: str = "") -> Any:
    """What `az` answers, as JSON; None for nothing. Raises PlatformError.

    It is asked about its current subscription, unless another one is named.
    """
    program = str(tools.need("az", "to ask Azure"))
    which = ("--subscription", subscription) if subscription else ()
    text = await programs.expect([program, *arguments, *which, "--only-show-errors", "--output", "json"])
    return msgspec.json.decode(text) if text.strip() else None


async def subscription_id(known: str = "") -> str:
    """The subscription to work in: ARM_SUBSCRIPTION_ID, the known one, or the current one of `az`.

    Raises PlatformError.
    """
    named = os.environ.get("ARM_SUBSCRIPTION_ID") or known
    return named or str((await az("account", "show"))["id"])


async def ready(settings: Settings, subscription: str, *, begun: bool) -> list[Missing]:
    """What the subscription lacks. Where Terraform has begun already, names and cores are taken by this platform."""
    if tools.find("az") is None:
        return []  # told as a missing tool
    ask = partial(az, subscription=subscription)
    try:
        account = await ask("account", "show")
    except programs.ProgramFailed as error:
        return [Missing(f"Azure takes no credentials: {error}", "`az login`, then `az account set --subscription ID`")]
    if account.get("state") != "Enabled":
        return [Missing(f"subscription {account.get('name')} is {account.get('state')}", "choose an enabled one")]
    unknown = await _location(ask, settings)
    if unknown:
        return unknown
    checks = [_registered(ask)]
    if not begun:
        checks += [_name(ask, settings), _room(ask, settings)]
    return [missing for result in await asyncio.gather(*checks) for missing in result]


def login_there(settings: Settings, files: Iterable[Path]) -> list[Missing]:
    """Whether there is a program that logs in to a cluster that asks Entra ID, where variables say that ours does."""
    named = settings.variables.get(_ADMINISTRATORS) or any(_ADMINISTRATORS in path.read_text() for path in files)
    if not named or tools.find("kubelogin"):
        return []
    return [
        Missing(
            f"kubelogin isn't there; with {_ADMINISTRATORS} the cluster asks Entra ID who comes",
            "`az aks install-cli` installs it",
        )
    ]


async def _location(ask: Ask, settings: Settings) -> list[Missing]:
    names = {each["name"] for each in await ask("account", "list-locations")}
    if settings.region in names:
        return []
    return [Missing(f"{settings.region} is no location of this subscription", "`az account list-locations` names them")]


async def _registered(ask: Ask) -> list[Missing]:
    found = await ask("provider", "list", "--query", "[].{name: namespace, state: registrationState}")
    states = {each["name"].lower(): each["state"] for each in found or ()}  # one is called microsoft.insights
    return [
        Missing(
            f"resource provider {name} is {states.get(name.lower(), 'unknown')}",
            f"`az provider register -n {name} --wait`",
        )
        for name in PROVIDERS
        if states.get(name.lower()) != "Registered"
    ]


async def _name(ask: Ask, settings: Settings) -> list[Missing]:
    if not await ask("group", "exists", "--name", settings.name):
        return []
    return [
        Missing(
            f"there is a resource group {settings.name} already, which isn't of this folder",
            "name another with --name, or the folder that it was deployed from with --dir",
        )
    ]


def pools(settings: Settings) -> list[tuple[str, int]]:
    """Size and least number of the nodes of each pool, as far as single variables say other than the defaults."""
    found = []
    for name, least in POOLS.items():
        given = settings.variables.get(name)
        given = given if isinstance(given, dict) else {}
        found.append((str(given.get("vm_size", SIZE)), int(given.get("min", least))))
    return found


async def _room(ask: Ask, settings: Settings) -> list[Missing]:
    """Whether the sizes of nodes are offered in all zones, and the quotas have room for the least number of them."""
    wanted = pools(settings)
    where = ("--location", settings.region)
    offers, usage = await asyncio.gather(
        asyncio.gather(
            *(
                ask("vm", "list-skus", *where, "--resource-type", "virtualMachines", "--size", size)
                for size in dict(wanted)
            )
        ),
        ask("vm", "list-usage", *where),
    )
    sizes = {sku["name"]: sku for offer in offers for sku in offer or ()}
    zones = [str(zone) for zone in settings.variables.get("zones") or ZONES]
    missing = [told for size in dict(wanted) for told in _offered(sizes.get(size), size, settings.region, zones)]
    needed: Counter[str] = Counter()
    for size, count in wanted:
        if size in sizes:
            for quota in ("cores", str(sizes[size].get("family"))):
                needed[quota.lower()] += count * _cores(sizes[size])
    for each in usage or ():
        name = each.get("name") or {}
        count = needed.get(str(name.get("value")).lower(), 0)
        free = int(each["limit"]) - int(each["currentValue"])
        if free < count:
            missing.append(
                Missing(
                    f"quota of {name.get('localizedValue') or name.get('value')} in {settings.region}: {free} are "
                    f"free, and the platform takes {count}",
                    "ask for more in the portal (Quotas), or name another location with --region",
                )
            )
    return missing


def _offered(sku: Mapping[str, Any] | None, size: str, location: str, zones: Sequence[str]) -> Iterator[Missing]:
    another = "name another size (--var system_nodes=..., user_nodes=...), or another location with --region"
    if sku is None:
        yield Missing(f"{location} doesn't offer {size} to this subscription", another)
        return
    offered = {zone for each in sku.get("locationInfo") or () for zone in each.get("zones") or ()}
    for each in sku.get("restrictions") or ():
        if each.get("type") == "Zone":
            offered -= {*((each.get("restrictionInfo") or {}).get("zones") or ())}
    lacking = [zone for zone in zones if zone not in offered]
    if lacking:
        yield Missing(
            f"{location} doesn't offer {size} to this subscription in zone {', '.join(lacking)}",
            f"give --var 'zones=[...]' with two or more of {', '.join(sorted(offered)) or 'none'}; or {another}",
        )


def _cores(sku: Mapping[str, Any]) -> int:
    capabilities = {each.get("name"): each.get("value") for each in sku.get("capabilities") or ()}
    return int(capabilities.get("vCPUs") or 0)
