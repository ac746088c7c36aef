"""What names resolve to: by the resolver that a platform has of its own, or by the system's."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver


class NoSuchNameError(Exception):
    """A name leads nowhere; the text says why."""


async def addresses_of(name: str, resolver: str = "") -> tuple[str, ...]:
    """The IPv4 and IPv6 addresses of a name, sorted; an address stands for itself. Raises NoSuchNameError."""
    try:
        return (str(ipaddress.ip_address(name.strip("[]"))),)
    except ValueError:
        pass
    found = await (_asked(name, resolver) if resolver else _known(name))
    if not found:
        raise NoSuchNameError(f"{name} has no address")
    return tuple(sorted(found))


async def _asked(name: str, resolver: str) -> set[str]:
    host, _, port = resolver.rpartition(":")
    asking = dns.asyncresolver.Resolver(configure=False)
    asking.nameservers, asking.port, asking.lifetime = [host.strip("[]")], int(port), 5.0
    found: set[str] = set()
    for type_ in (dns.rdatatype.A, dns.rdatatype.AAAA):
        try:
            answer = await asking.resolve(name, type_, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN as error:
            raise NoSuchNameError(f"{name} doesn't exist (NXDOMAIN)") from error
        except dns.resolver.NoNameservers as error:
            raise NoSuchNameError(f"{name} is no name that the resolver {resolver} answers for") from error
        except (dns.exception.DNSException, OSError) as error:
            raise NoSuchNameError(f"{name} can't be resolved: {error}") from error
        found |= {str(record.address) for record in answer.rrset or ()}
    return found


async def _known(name: str) -> set[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NoSuchNameError(f"{name} can't be resolved: {error}") from error
    return {str(address[0]) for *_, address in found}
