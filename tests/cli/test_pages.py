"""What is shown, on terminals of several widths, and piped."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from gatewright.cli.pages import Screen, table
from gatewright.edge.chain import Hop
from gatewright.local.manifests import Problem
from gatewright.local.news import News
from gatewright.local.state import AwsState, ConditionState, EdgeState, GatewayState, ListenerState, Trial

GOOD = ConditionState("Accepted", "True", "Accepted", "")
NOT_CONFLICTED = ConditionState("Conflicted", "False", "NoConflicts", "")
BAD = ConditionState("ResolvedRefs", "False", "RefNotPermitted", "no grant")
CONFLICT = ConditionState("Conflicted", "True", "HostnameConflict", "")


def listener(name: str, port: int, *conditions: ConditionState, bound: int | None = None) -> ListenerState:
    url = f"http://127.64.0.1:{bound or port}"
    return ListenerState(name, "HTTP", port, bound or port, "*.example.com", url, 3, conditions)


GATEWAY = GatewayState(
    "edge",
    "shared",
    "istio",
    "127.64.0.1",
    (listener("plain", 8080, GOOD, NOT_CONFLICTED), listener("other", 80, BAD, CONFLICT, bound=8080)),
    (GOOD,),
)
STATE = EdgeState((GATEWAY,), "http://127.64.0.1:8080", "https://127.64.0.1", "/tmp/some where/kubeconfig", "/tmp/ca")
TRIALS = [Trial("http://x", "curl http://x/[a]", "ns/app:80")]


def shown(width: int | None, *, quiet: bool = False, **environment: str) -> tuple[Screen, io.StringIO]:
    out = io.StringIO()
    console = Console(
        file=out, width=width, force_terminal=width is not None, _environ={"TERM": "xterm", **environment}
    )
    return Screen(console, quiet=quiet), out


def test_piped_a_row_is_a_line_whatever_its_length() -> None:
    header, gateway, plain, other = table([GATEWAY])
    assert header.split() == ["[bold]GATEWAY", "CLASS", "ADDRESS", "HOSTNAME", "ROUTES", "CONDITIONS[/]"]
    assert gateway.split() == ["edge/shared", "istio", "127.64.0.1", "[green]Accepted[/]"]
    assert plain.split() == [
        "plain",
        "HTTP",
        "8080",
        "http://127.64.0.1:8080",
        "*.example.com",
        "3",
        "[green]Accepted[/]",
    ]
    assert other.split()[-2:] == ["[red]ResolvedRefs=RefNotPermitted[/]", "[red]Conflicted=HostnameConflict[/]"]


@pytest.mark.parametrize("width", [80, 160])
def test_on_a_terminal_no_line_is_broken(width: int) -> None:
    screen, out = shown(width, NO_COLOR="1")
    screen.overview(STATE, TRIALS)
    lines = re.sub(r"\x1b\[\d+m", "", out.getvalue()).splitlines()
    rows = lines[1 : lines.index("", 1)]
    assert max(map(len, rows)) <= width
    assert ("CONDITIONS" in rows[0]) == (width == 160)
    assert "http://127.64.0.1:8080" in out.getvalue()
    assert "note: port 80 is open as 8080: 80 is in use, or not ours to bind" in lines
    assert "  curl http://x/[a]  # ns/app:80" in lines
    assert "  export KUBECONFIG='/tmp/some where/kubeconfig'" in lines
    assert "\x1b[3" not in out.getvalue(), "NO_COLOR is honoured"


def test_colour_on_a_terminal_only() -> None:
    for width, coloured in ((80, True), (None, False)):
        screen, out = shown(width)
        screen.news(News("bad", "HTTPRoute a/b", "is [gone]"))
        assert ("\x1b[31m" in out.getvalue()) == coloured
        assert "is [gone]" in out.getvalue()


def test_quiet_says_only_what_is_wrong() -> None:
    screen, out = shown(None, quiet=True)
    with screen.progress("doing something"):
        screen.news(News("good", "x", "went well"))
    assert out.getvalue() == ""
    screen.news(News("bad", "Envoy", "died"))
    screen.problems([Problem("a.yaml:1", "X y", "is [wrong]")])
    assert "Envoy: died" in out.getvalue()
    assert out.getvalue().endswith("error: a.yaml:1: X y: is [wrong]\n1 problem\n")


def test_an_edge_without_a_gateway_says_so() -> None:
    screen, out = shown(None)
    screen.overview(EdgeState((), "", "", "/k", "/c"), [])
    assert "No Gateway of a class that is served here is there" in out.getvalue()
    assert "EDGE_CA" not in out.getvalue()


def chained(address: str, open_at: dict[str, str]) -> str:
    screen, out = shown(None)
    hops = (Hop("ALB", "platform", f"{address}, 127.64.95.254"),)
    aws = AwsState("http://127.0.0.1:1", "us-east-1", {}, open_at)
    screen.overview(EdgeState((GATEWAY,), "", "", "/k", "/ca", chain=hops, aws=aws), [])
    return out.getvalue()


def test_a_port_that_is_not_ours_to_bind_is_told_of_once_for_gateways_and_load_balancers() -> None:
    text = chained(
        "127.64.79.254", {"127.64.79.254:80": "127.64.79.254:8080", "127.64.79.254:443": "127.64.79.254:8443"}
    )
    assert text.count("port 80 is open as 8080") == 1
    assert text.count("port 443 is open as 8443") == 1


def test_without_addresses_of_their_own_load_balancers_are_told_to_be_elsewhere() -> None:
    text = chained("10.0.79.254", {"10.0.79.254:443": "127.0.0.1:33333", "10.0.63.254:443": "127.0.0.1:33334"})
    assert "10.0.79.254:443 of ALB platform is open at 127.0.0.1:33333" in text
    assert "33334" not in text  # what is behind another one isn't asked by clients


def test_a_chain_of_nothing_says_so() -> None:
    screen, out = shown(None)
    screen.chain(())
    assert out.getvalue() == "Nothing is there that a client could reach: no load balancer and no Gateway.\n"
