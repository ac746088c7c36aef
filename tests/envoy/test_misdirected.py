"""Requests on a connection that another listener of the port took (RFC 9110 section 15.5.20)."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from typing import Any

from tests.envoy.test_tls import certificate, trust

from gatewright.topology import HostKey


async def test_a_host_of_another_listener_gets_421(world: Any, echo: Any, get: Any) -> None:
    cert = certificate("a.example.com", "cert")
    world.certificates.set(cert.key, cert)
    world.backend("one", await echo("one"))
    names = {"exact": "a.example.com", "wild": "*.example.com", "other": "*.org.test", "any": "*"}
    listeners = {name: world.listener(name, 443, "HTTPS", host, (cert.key,)) for name, host in names.items()}
    for name, host in names.items():
        world.rule(name, "/", "one", host=HostKey(listeners[name], host))
        for other in set(names.values()) - {host, "*"}:
            key = HostKey(listeners[name], other)
            world.misdirected.set(key, key)

    async def status(sni: str, host: str) -> int:
        context = trust(cert)
        context.check_hostname = False
        return int((await get("/", port=443, tls=context, sni=sni, host=host)).status)

    assert await status("a.example.com", "a.example.com") == 200
    assert await status("a.example.com", "A.example.com:443") == 200
    assert await status("a.example.com", "b.example.com") == 421
    assert await status("a.example.com", "x.org.test") == 421
    assert await status("a.example.com", "elsewhere.net") == 404
    assert await status("b.example.com", "c.example.com") == 200
    assert await status("b.example.com", "a.example.com") == 421
    assert await status("elsewhere.net", "a.example.com") == 421
    assert await status("elsewhere.net", "b.example.com") == 421
    assert await status("elsewhere.net", "elsewhere.net") == 200
    listener = listeners["wild"]
    with world.flow.batch():
        world.misdirected.delete(HostKey(listener, "a.example.com"))
        world.misdirected.delete(HostKey(listener, "*.org.test"))
    assert await status("b.example.com", "a.example.com") == 200
    assert await status("b.example.com", "x.org.test") == 404
