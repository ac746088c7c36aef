"""Checks from the clients' side: names, every route's every match over HTTPS and HTTP, redirects."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from gatewright.cluster import NotFound
from gatewright.edge.front import Front
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.meta import Key
from gatewright.platform.report import Check
from gatewright.platform.targets import Target
from gatewright.platform.verify.advice import advise, has_advice
from gatewright.platform.verify.doors import Door, doors
from gatewright.platform.verify.findings import CannotLookError, failed, passed, skipped
from gatewright.platform.verify.knocking import Answer, NoAnswerError, ask, trusting
from gatewright.platform.verify.names import NoSuchNameError, addresses_of
from gatewright.platform.verify.requests import Request, concrete_name, requests
from gatewright.platform.verify.view import View

_AT_ONCE: Final = 12
_FRONTS: Final = ("awselb/", "microsoft-azure-application-gateway")
_PROXIES: Final = ("istio-envoy", "envoy")
_UPSTREAM: Final = "x-envoy-upstream-service-time"
_MOVED: Final = (301, 302, 303, 307, 308)


async def doors_of(view: View) -> dict[Key, Door]:
    """Where clients come in to each Gateway."""

    async def bindings() -> list[EdgeBinding]:
        try:
            return await view.surroundings.client.list(EdgeBinding)
        except NotFound:
            return []

    async def read() -> dict[Key, Door]:
        snapshot, found = await asyncio.gather(view.cluster(), view.once(("bindings",), bindings))
        outputs = view.surroundings.outputs
        front = Front() if view.surroundings.aws is None else await view.front()
        return doors(front, found, snapshot.inputs.gateways, outputs)

    return await view.once(("doors",), read)


def names_of_platform(view: View) -> tuple[str, ...]:
    """The names that clients use, wildcards as such, the domain first."""
    settings, outputs = view.surroundings.settings, view.surroundings.outputs
    if outputs and outputs.hostnames:
        return outputs.hostnames
    return (settings.domain, f"*.{settings.domain}") if settings.domain else ()


async def places(view: View, door: Door) -> tuple[str, ...]:
    """The addresses of a door, by its name; of a rehearsal those that its nodes have, where the name has none.

    Raises NoSuchNameError.
    """
    try:
        return await view.once(("name", door.host), lambda: addresses_of(door.host, view.surroundings.dns))
    except NoSuchNameError:
        if view.surroundings.settings.target is Target.LOCAL and door.addresses:
            return door.addresses
        raise


# --- names -----------------------------------------------------------------------------------------------------------


async def dns(view: View) -> list[Check]:
    """Every name leads to the load balancer in front."""
    found = sorted(set((await doors_of(view)).values()), key=lambda door: door.name)
    if not found:
        raise CannotLookError("no load balancer in front is known")
    return list(await asyncio.gather(*(_dns(view, name, found) for name in names_of_platform(view))))


async def _dns(view: View, name: str, found: list[Door]) -> Check:
    settled, outputs = view.surroundings, view.surroundings.outputs
    asked = concrete_name(name)
    door = ", ".join(f"{each.name} ({each.host})" for each in found)
    expected = f"resolves to the addresses of {door}"
    wanted: set[str] = set()
    for each in found:
        try:
            wanted |= {*await places(view, each)}
        except NoSuchNameError as error:
            return failed("dns", name, expected, str(error), advise("dns", "door"))
    try:
        addresses = await addresses_of(asked, settled.dns)
    except NoSuchNameError as error:
        if not (outputs and outputs.hosted_zone_id):
            return skipped(
                "dns", name, expected, f"{error}; no hosted zone of the platform's has it: let it lead to {door}"
            )
        return failed("dns", name, expected, str(error), advise("dns", "missing", name=asked, door=door))
    text = f"{asked} is {', '.join(addresses)}"
    if not wanted.intersection(addresses):
        text += f", and the load balancer {', '.join(sorted(wanted))}"
        return failed("dns", name, expected, text, advise("dns", "elsewhere", name=asked, door=door))
    return passed("dns", name, expected, text)


# --- endpoints -------------------------------------------------------------------------------------------------------


async def endpoints(view: View) -> list[Check]:
    """Every match of every route over HTTPS and, unless that redirects, HTTP; and every redirect."""
    snapshot, known = await asyncio.gather(view.cluster(), doors_of(view))
    names = names_of_platform(view)
    wanted = [
        request for resolution in (snapshot.resolution, *snapshot.balanced) for request in requests(resolution, names)
    ]
    if not wanted and view.surroundings.outputs:
        expected, text = "attached to the shared Gateway", "no HTTPRoute is attached to a Gateway"
        return [failed("endpoint", "the routes", expected, text, advise("endpoint", "no-routes"))]
    if not wanted:
        raise CannotLookError("no HTTPRoute is attached to a Gateway")
    try:
        trust = trusting(view.surroundings.trust)
    except OSError as error:
        raise CannotLookError(f"{view.surroundings.trust}: no certificates of authorities: {error}") from error
    slots = asyncio.Semaphore(_AT_ONCE)

    async def tried(request: Request) -> list[Check]:
        async with slots:
            return await _tried(view, request, known, trust)

    found = [check for each in await asyncio.gather(*map(tried, wanted)) for check in each]
    return sorted(found, key=lambda check: check.id != "endpoint")


async def _tried(view: View, request: Request, known: Mapping[Key, Door], trust: ssl.SSLContext) -> list[Check]:
    door = known.get(request.gateway)
    subject, expected = f"{request.route}", "answers through the front door"
    if door is None:
        advice = advise("endpoint", "no-door", gateway=str(request.gateway))
        text = f"no load balancer in front of Gateway {request.gateway} is known"
        if view.surroundings.aws is None and view.surroundings.outputs is None:
            return [skipped("endpoint", subject, expected, text)]
        return [failed("endpoint", subject, expected, text, advice)]
    host = request.host or door.host
    if request.why_not:
        return [skipped("endpoint", f"{request.method} {host}{request.target}", expected, request.why_not)]
    try:
        address, *_ = await places(view, door)
    except NoSuchNameError as error:
        return [failed("endpoint", subject, expected, str(error), advise("dns", "door"))]
    secure, plain = door.port("HTTPS"), door.port("HTTP")
    ways = ways_of(request, door, deployed=view.surroundings.outputs is not None)
    checks = []
    if "https" in ways and secure:
        at = view.surroundings.open_at(address, secure)
        checks.append(await _endpoint(request, door, host, at, ("https", secure), trust))
    if "http" in ways and plain:
        at = view.surroundings.open_at(address, plain)
        checks.append(await _endpoint(request, door, host, at, ("http", plain), None))
    if "redirect" in ways and plain:
        at = view.surroundings.open_at(address, plain)
        real = view.surroundings.open_at(address, secure)[1] if secure else 443
        checks.append(await _redirect(request, door, host, at, plain, {secure or 443, real}))
    if not ways:
        why = f"{door.name} doesn't lead to the listeners that it is attached to"
        checks.append(skipped("endpoint", subject, expected, why))
    return checks


def ways_of(request: Request, door: Door, *, deployed: bool) -> frozenset[str]:
    """How a request is tried: over `https`, over `http`, and whether the latter leads to the former (`redirect`).

    A platform that we `deployed` doesn't serve anything in the clear where it has HTTPS.
    """
    secure, plain = door.port("HTTPS"), door.port("HTTP")
    spoken = door.behind or "HTTPS"
    ways = set()
    if secure and spoken in request.protocols:
        ways.add("https")
    if plain and request.redirected and not door.behind:
        ways |= {"http"} if "HTTP" in request.protocols else set()
    elif plain and "https" in ways and (plain in door.redirects or deployed or "HTTP" not in request.protocols):
        ways.add("redirect")
    elif plain and "HTTP" in request.protocols and plain not in door.redirects:
        ways.add("http")
    return frozenset(ways)


def _url(scheme: str, host: str, port: int, target: str) -> str:
    usual = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{host}{'' if port == usual else f':{port}'}{target}"


async def _endpoint(
    request: Request,
    door: Door,
    host: str,
    at: tuple[str, int],
    scheme: tuple[str, int],
    trust: ssl.SSLContext | None,
) -> Check:
    url = _url(*scheme[:1], host, scheme[1], request.target)
    subject = url if request.method == "GET" else f"{request.method} {url}"
    expected = "redirects" if request.redirected else "an answer of the application"
    expected += f" ({request.route})"
    names = {
        "door": door.name,
        "url": url,
        "host": host,
        "route": f"{request.rule.kind.lower()} -n {request.rule.route.namespace} {request.rule.route.name}",
        "namespace": request.rule.route.namespace,
        "gateway": str(request.gateway),
        "gateway_namespace": request.gateway.namespace,
        "gateway_name": request.gateway.name,
    }
    try:
        answer = await ask(at, host, request.target, tls=trust, method=request.method, headers=request.headers)
    except NoAnswerError as error:
        reason = "certificate" if error.certificate else "connection"
        return failed("endpoint", subject, expected, str(error), advise("endpoint", reason, **names))
    text = _words(answer)
    reason = wrong_with(request, answer)
    if reason:
        return failed("endpoint", subject, expected, text, advise("endpoint", reason, **names))
    return passed("endpoint", subject, expected, text)


def _words(answer: Answer) -> str:
    who = {"front": "of the load balancer itself", "gateway": "of the Gateway itself"}.get(answered_by(answer), "")
    told = f"{answer.status} {who}".strip()
    location = answer.headers.get("location")
    return f"{told}, to {location}" if location and answer.status in _MOVED else told


def answered_by(answer: Answer) -> str:
    """Who made an answer: `front` (ALB, Application Gateway), `gateway` (its proxy) or `application`."""
    server = answer.server.lower()
    if server.startswith(_FRONTS):
        return "front"
    if server in _PROXIES and _UPSTREAM not in answer.headers:
        return "gateway"
    return "application"


def wrong_with(request: Request, answer: Answer) -> str:
    """What is wrong with an answer, as a reason of the advice on endpoints; empty where nothing is."""
    if request.redirected:
        return "" if answer.status in _MOVED else "redirect"
    who = answered_by(answer)
    if answer.status < 400 or (request.guarded and answer.status in (401, 403)):
        return ""
    if who == "application":
        # What an application says of one path is its own business, unless it fails.
        return "application" if answer.status >= 500 else ""
    reason = f"{who}-{answer.status}"
    return reason if has_advice("endpoint", reason) else who


async def _redirect(request: Request, door: Door, host: str, at: tuple[str, int], port: int, secure: set[int]) -> Check:
    url = _url("http", host, port, request.target)
    expected = f"301 to {_url('https', host, 443, request.target)}"
    try:
        answer = await ask(at, host, request.target, tls=None, method=request.method, headers=request.headers)
    except NoAnswerError as error:
        advice = advise("endpoint", "connection", door=door.name, url=url)
        return failed("redirect", url, expected, str(error), advice)
    location = answer.headers.get("location", "")
    if answer.status not in _MOVED or not location:
        return failed("redirect", url, expected, _words(answer), advise("redirect", "none", door=door.name))
    if answer.status != 301 or not leads_to_https(location, host, request.target, secure):
        return failed("redirect", url, expected, _words(answer), advise("redirect", "location", door=door.name))
    return passed("redirect", url, expected, _words(answer))


def leads_to_https(location: str, host: str, target: str, ports: set[int]) -> bool:
    """Whether a redirect leads to the same place over HTTPS."""
    try:
        found = urlsplit(location)
        port = found.port or 443
    except ValueError:
        return False
    same = found.path + (f"?{found.query}" if found.query else "") == target
    return found.scheme == "https" and (found.hostname or "") == host.lower() and port in ports and same
