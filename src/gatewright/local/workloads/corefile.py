"""Reads a Corefile: server blocks, the zones and ports that they serve, and their plugins."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import dns.exception
import dns.name

from gatewright.local.workloads.program import port_number

DEFAULT_PORT = 53
SERVED = ("hosts", "forward", "whoami")
"""The plugins that answer here, in the order in which CoreDNS asks them (its plugin.cfg)."""
PASSIVE = frozenset(
    {"log", "errors", "reload", "loop", "loadbalance", "cache", "health", "ready", "prometheus", "pprof", "bufsize"}
)
"""Plugins that change no answer of those above. Of them `log` and `errors` write; the others have no effect."""
_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*)"|([{}])(?=\s|$)|([^\s"]+)')
_VARIABLE = re.compile(r"\{\$([^}]+)\}|\{%([^%}]+)%\}")


class CorefileError(Exception):
    """The Corefile can't be served; worded as CoreDNS words it."""


class Plugin(NamedTuple):
    """A plugin's line: its arguments, and the lines of its block."""

    args: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...] = ()


class Zone(NamedTuple):
    """A zone on a port, with its plugins by name."""

    name: dns.name.Name
    port: int
    plugins: Mapping[str, Plugin]


def parse_corefile(text: str, env: Mapping[str, str], port: int = DEFAULT_PORT) -> list[Zone]:
    """The zones that a Corefile serves; `port` is that of zones that name none. Raises CorefileError."""
    text = _VARIABLE.sub(lambda match: env.get(match[1] or match[2], ""), text)
    lines = [_words(line) for line in text.splitlines()]
    rows = [(number, words) for number, words in enumerate(lines, 1) if words]
    zones: list[Zone] = []
    at = 0
    while at < len(rows):
        keys: list[str] = []
        while at < len(rows) and rows[at][1][-1:] != ["{"]:
            keys += rows[at][1]
            at += 1
        if at == len(rows):
            if zones or len(rows) == 0:
                raise CorefileError(f"Corefile:{rows[-1][0]} - Error during parsing: expected '{{' after {keys}")
            return _zones(["."], _plugins(rows), port)  # no block: all of it serves the root zone
        keys += rows[at][1][:-1]
        body, at = _block(rows, at + 1)
        zones += _zones(keys, _plugins(body), port)
    return zones


Row = tuple[int, list[str]]


def _words(line: str) -> list[str]:
    words = []
    for quoted, brace, bare in _TOKEN.findall(line):
        if bare.startswith("#"):
            break
        words.append(brace or bare or quoted)
    return words


def _block(rows: Sequence[Row], at: int) -> tuple[list[Row], int]:
    """The lines up to the brace that closes a block, and where the next begins."""
    body: list[Row] = []
    depth = 1
    while at < len(rows):
        number, words = rows[at]
        at += 1
        if words == ["}"]:
            depth -= 1
            if depth == 0:
                return body, at
        elif words[-1] == "{":
            depth += 1
        body.append((number, words))
    raise CorefileError(f"Corefile:{rows[-1][0]} - Error during parsing: Unexpected EOF, expected '}}'")


def _plugins(rows: Sequence[Row]) -> dict[str, Plugin]:
    plugins: dict[str, Plugin] = {}
    at = 0
    while at < len(rows):
        number, words = rows[at]
        at += 1
        name, args, lines = words[0], words[1:], []
        if args[-1:] == ["{"]:
            args = args[:-1]
            inner, at = _block(rows, at)
            lines = [tuple(words) for _, words in inner]
        if name not in SERVED and name not in PASSIVE:
            why = f"gatewright stands in for {', '.join((*SERVED, *sorted(PASSIVE)))}"
            raise CorefileError(f"Corefile:{number} - Error during parsing: Unknown directive '{name}' ({why})")
        plugins[name] = Plugin(tuple(args), tuple(lines))
    return plugins


def _zones(keys: Sequence[str], plugins: dict[str, Plugin], port: int) -> list[Zone]:
    zones = []
    for key in keys:
        scheme, found, rest = key.strip(",").rpartition("://")
        if found and scheme != "dns":
            raise CorefileError(f"Corefile - Error during parsing: gatewright serves dns:// only, found {key}")
        name, colon, number = rest.rpartition(":")
        if not colon:
            name, number = rest, str(port)
        on = port_number(number)
        try:
            origin = dns.name.from_text(name.lower() or ".")
        except (dns.exception.DNSException, ValueError):
            on = None
        if on is None:
            raise CorefileError(f"Corefile - Error during parsing: invalid zone {key}")
        zones.append(Zone(origin, on, plugins))
    return zones
