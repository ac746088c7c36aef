"""The certificate chain on each hop: client to load balancer, load balancer to Gateway; what AWS says of its own."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509

from gatewright.edge.front import Front, FrontBalancer
from gatewright.model.meta import Key
from gatewright.platform.report import Check
from gatewright.platform.verify.advice import advise
from gatewright.platform.verify.doors import Door
from gatewright.platform.verify.endpoints import doors_of, names_of_platform, places
from gatewright.platform.verify.findings import CannotLookError, failed, judged, passed, skipped
from gatewright.platform.verify.knocking import NoAnswerError, Shown, shake_hands, speaks_old_tls, trusting
from gatewright.platform.verify.names import NoSuchNameError
from gatewright.platform.verify.requests import concrete_name
from gatewright.platform.verify.view import View
from gatewright.resolve.hostnames import covers
from gatewright.topology import Certificate

SOON: Final = timedelta(days=14)
"""A certificate that expires within this time should have been renewed: ACM does it 60 days before, we do it 30."""


async def front(view: View) -> list[Check]:
    """What each door shows to clients, at each name; and which versions of TLS it speaks."""
    found = sorted({door for door in (await doors_of(view)).values() if door.port("HTTPS")}, key=lambda each: each.name)
    if not found:
        raise CannotLookError("no load balancer with an HTTPS listener is known")
    names = names_of_platform(view)
    checks = await asyncio.gather(*(_front(view, door, name) for door in found for name in names))
    versions = await asyncio.gather(*(_versions(view, door, name) for door in found for name in names[:1]))
    return [*checks, *versions]


async def _front(view: View, door: Door, name: str) -> Check:
    server_name = concrete_name(name)
    subject = f"client -> {door.name}, {server_name}"
    expected = "a certificate for the name, in time, from an authority that clients trust"
    try:
        trust = trusting(view.surroundings.trust)
        shown = await shake_hands(await _at(view, door), server_name, trust)
    except (NoSuchNameError, NoAnswerError) as error:
        advice = advise("endpoint", "connection", door=door.name, url=f"https://{server_name}/")
        return failed("certificate", subject, expected, str(error), advice)
    except OSError as error:
        return skipped("certificate", subject, expected, f"no authorities to check it with: {error}")
    certificate = shown.parsed
    problem, reason = problem_of(certificate, server_name, view.surroundings.clock())
    if shown.problem and not problem:
        problem, reason = shown.problem, "untrusted"
    text = described(certificate)
    advice = advise("certificate", reason or "untrusted", name=server_name, door=door.name)
    return judged("certificate", subject, expected, text, f"{problem}: {text}" if problem else "", advice)


async def _at(view: View, door: Door) -> tuple[str, int]:
    address, *_ = await places(view, door)
    return view.surroundings.open_at(address, door.port("HTTPS") or 443)


async def _versions(view: View, door: Door, name: str) -> Check:
    subject, expected = door.name, "TLS 1.2 or newer, and nothing older"
    server_name = concrete_name(name)
    try:
        at = await _at(view, door)
        shown: Shown = await shake_hands(at, server_name)
        old = await speaks_old_tls(at, server_name)
    except (NoSuchNameError, NoAnswerError) as error:
        return skipped("tls-version", subject, expected, str(error))
    if old:
        return failed(
            "tls-version", subject, expected, "takes TLS 1.0 or 1.1", advise("tls-version", "", door=door.name)
        )
    return passed("tls-version", subject, expected, f"{shown.version}; TLS 1.1 is refused")


# --- between load balancer and Gateway ------------------------------------------------------------------------------


async def gateways(view: View) -> list[Check]:
    """What each HTTPS listener of a Gateway shows to the load balancer in front, which doesn't send a server name."""
    snapshot = await view.cluster()
    resolution = snapshot.resolution
    listeners = [each for each in sorted(resolution.topology.listeners.values(), key=_order) if each.certificates]
    if not listeners:
        raise CannotLookError("no Gateway behind a load balancer terminates TLS")
    found = Front() if view.surroundings.aws is None else await view.front()
    checks = []
    for listener in listeners:
        gateway = listener.key.gateway
        subject = f"load balancer -> Gateway {gateway}, listener {listener.key.name}"
        expected = "a certificate that is in time and for the listener's names"
        certificate = resolution.topology.certificates.get(listener.certificates[0])
        if certificate is None:
            text = f"Secret {listener.certificates[0]} has no usable certificate"
            advice = advise("certificate", "secret", secret=str(listener.certificates[0]), gateway=str(gateway))
            checks.append(failed("backend-certificate", subject, expected, text, advice))
            continue
        checks.append(
            await _gateway(view, subject, expected, listener.hostname, certificate, gateway, listener.port, found)
        )
    return checks


def _order(listener: Any) -> Any:
    return listener.key


async def _gateway(
    view: View,
    subject: str,
    expected: str,
    hostname: str,
    certificate: Certificate,
    gateway: Key,
    port: int,
    found: Front,
) -> Check:
    leaf = x509.load_pem_x509_certificates(certificate.chain)[0]
    names = {"secret": str(certificate.key), "gateway": str(gateway)}
    # An ALB checks no names, but an Application Gateway does; what we deploy is for the platform's names on either.
    platform = next(iter(names_of_platform(view)), "") if view.surroundings.outputs else ""
    wanted = concrete_name(platform if hostname == "*" else hostname)
    problem, reason = problem_of(leaf, wanted, view.surroundings.clock())
    text = f"Secret {certificate.key}: {described(leaf)}"
    shown, how = await _shown_by(view, gateway, port, found)
    if shown is not None and shown != leaf and not problem:
        problem, reason = f"it shows another certificate than its Secret has: {described(shown)}", "stale"
    text += f"; {how}"
    advice = advise("certificate", f"backend-{reason}", **names) if reason else ""
    return judged("backend-certificate", subject, expected, text, f"{problem}; {text}" if problem else "", advice)


async def _shown_by(view: View, gateway: Key, port: int, found: Front) -> tuple[x509.Certificate | None, str]:
    """The certificate that the Gateway shows at its load balancer where that can be reached, and how that went."""
    for address in _addresses(view, await _services(view, gateway), found):
        at = view.surroundings.open_at(address, port)
        try:
            shown = await asyncio.wait_for(shake_hands(at, None), 3.0)
        except (NoAnswerError, TimeoutError):
            continue
        return shown.parsed, f"shown at {address}:{port}, {shown.version}"
    return None, "not asked for it, since the Gateway's own address can't be reached from here"


async def _services(view: View, gateway: Key) -> set[str]:
    label = "gateway.networking.k8s.io/gateway-name"
    snapshot = await view.cluster()
    services = snapshot.inputs.services.values()
    return {
        str(each.key)
        for each in services
        if each.namespace == gateway.namespace and each.metadata.labels.get(label) == gateway.name
    }


def _addresses(view: View, services: set[str], found: Front) -> Iterator[str]:
    balancers: Iterable[FrontBalancer] = (each for each in found.balancers if each.service in services)
    for balancer in balancers:
        yield from balancer.addresses
    outputs = view.surroundings.outputs
    if outputs and outputs.gateway_address:
        yield outputs.gateway_address


# --- what AWS says of its own ----------------------------------------------------------------------------------------


async def acm(view: View) -> list[Check]:
    """Whether AWS has issued each certificate of a listener in front, and will renew it."""
    found = await view.front()
    doors = {door.arn for door in (await doors_of(view)).values()}
    arns = {
        arn: each.balancer.name
        for each in found.balancers
        if each.balancer.arn in doors
        for listener in each.listeners
        for arn in listener.listener.certificates
        if ":acm:" in arn
    }
    if not arns:
        raise CannotLookError("no listener in front has a certificate of ACM")
    told = await asyncio.gather(*(view.aws.call("acm", "describe_certificate", CertificateArn=arn) for arn in arns))
    now = view.surroundings.clock()
    return [_acm(arn, answer.get("Certificate") or {}, now) for arn, answer in zip(arns, told, strict=True)]


def _acm(arn: str, told: Mapping[str, Any], now: datetime) -> Check:
    subject, expected = f"certificate {arn}", "ISSUED, and renewed in time"
    status, kind = str(told.get("Status", "")), str(told.get("Type", ""))
    text = f"{status}, {kind.lower().replace('_', ' ')}, for {', '.join(told.get('SubjectAlternativeNames') or ())}"
    if status != "ISSUED":
        why = told.get("FailureReason")
        reason = "pending" if status == "PENDING_VALIDATION" else "not-issued"
        return failed("acm", subject, expected, f"{text}{f', {why}' if why else ''}", advise("acm", reason, arn=arn))
    renewal = str((told.get("RenewalSummary") or {}).get("RenewalStatus", ""))
    if renewal in ("PENDING_VALIDATION", "FAILED"):
        return failed("acm", subject, expected, f"{text}; its renewal is {renewal}", advise("acm", "renewal", arn=arn))
    until: datetime | None = told.get("NotAfter")
    if until is not None and until - now < SOON:
        reason = "imported" if kind == "IMPORTED" else "renewal"
        return failed("acm", subject, expected, f"{text}, until {_day(until)}", advise("acm", reason, arn=arn))
    return passed("acm", subject, expected, text + (f", until {_day(until)}" if until else ""))


# --- judging ---------------------------------------------------------------------------------------------------------


def problem_of(certificate: x509.Certificate, name: str, now: datetime) -> tuple[str, str]:
    """What is wrong with a certificate for a name, in words and as a reason of the advice; both empty where nothing is.

    An empty `name` is any.
    """
    if now < certificate.not_valid_before_utc:
        return f"not valid before {_day(certificate.not_valid_before_utc)}", "early"
    if now > certificate.not_valid_after_utc:
        return f"expired on {_day(certificate.not_valid_after_utc)}", "expired"
    if name and not any(_matches(each, name) for each in names_in(certificate)):
        return f"not for {name}", "name"
    if certificate.not_valid_after_utc - now < SOON:
        return f"expires on {_day(certificate.not_valid_after_utc)}", "soon"
    return "", ""


def _matches(pattern: str, name: str) -> bool:
    """RFC 9525 section 6.3: a wildcard stands for one label."""
    return covers(pattern.lower(), name.lower()) and (pattern.count(".") == name.count(".") or "*" not in pattern)


def names_in(certificate: x509.Certificate) -> tuple[str, ...]:
    """The names and addresses that a certificate is for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses: list[ipaddress.IPv4Address | ipaddress.IPv6Address | Any] = found.get_values_for_type(x509.IPAddress)
    return (*found.get_values_for_type(x509.DNSName), *map(str, addresses))


def described(certificate: x509.Certificate) -> str:
    """A certificate in words: for which names, by whom, until when."""
    names = ", ".join(names_in(certificate)) or "no name"
    issuer = certificate.issuer.rfc4514_string() or "nobody"
    own = " (self-signed)" if certificate.issuer == certificate.subject else ""
    return f"for {names}, by {issuer}{own}, until {_day(certificate.not_valid_after_utc)}"


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")
