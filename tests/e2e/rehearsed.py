"""A platform of `--target local` as people have it: the commands, its folder, its account, its cluster, its door."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.resolver
import msgspec
from tests.deploy import tools
from tests.deploy.aws_account import Account
from tests.deploy.terraform import Terraform
from tests.e2e.edge_process import _KINDS, Answer, Cluster, Gatewright, eventually, fetch

from gatewright.local.aws.process import read_sockets
from gatewright.platform.outputs import Outputs
from gatewright.platform.report import Check, Report

_KINDS["Application"] = ("/apis/argoproj.io/v1alpha1", "applications")
_KINDS["EdgeBinding"] = ("/apis/gatewright.dev/v1alpha1", "edgebindings")
_KINDS["Node"] = ("/api/v1", "nodes")
_LONGEST = 600.0
CONTROLLER = "gatewright-system"


class Rehearsed:
    """A platform in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs: list[Gatewright] = []

    def start(self, command: str, *options: str) -> Gatewright:
        """Start a command of `gatewright` on this platform."""
        target = ("--target", "local") if command == "deploy" else ()
        self.runs.append(Gatewright(command, *target, "--dir", self.folder, *options, directory=self.folder.parent))
        return self.runs[-1]

    def run(self, command: str, *options: str, status: int = 0) -> str:
        """What a command prints; it ends with this status."""
        return self.ended(self.start(command, *options), status)

    @staticmethod
    def ended(run: Gatewright, status: int = 0) -> str:
        """What a command that was started has printed; waits for its end."""
        found = run.wait(_LONGEST)
        assert found == status, run.out + run.err
        assert "Traceback" not in run.out + run.err
        return run.out

    def close(self) -> None:
        """End whatever is left of it."""
        for run in reversed(self.runs):
            run.close()

    def said(self) -> str:
        """All that its commands have printed."""
        return "".join(run.out + run.err for run in self.runs)

    # What is in the folder

    def files(self) -> Iterator[Path]:
        """All files but Terraform's providers."""
        for place, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if name != ".terraform"]
            yield from (path for name in names if (path := Path(place) / name).is_file())

    @property
    def edge(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "edge" / "edge.json").read_bytes())
        return found

    @property
    def outputs(self) -> Outputs:
        """As the platform keeps them."""
        state = json.loads((self.folder / "state.json").read_bytes())
        return msgspec.convert(state["outputs"], Outputs)

    @property
    def account(self) -> Account:
        return Account(self.edge["aws"]["AWS_ENDPOINT_URL"])

    @property
    def cluster(self) -> Cluster:
        return Cluster(self.folder / "kubeconfig")

    @property
    def terraform(self) -> Terraform:
        """Terraform in the platform's own folder, as somebody would run it there by hand."""
        return Terraform(tools.terraform(), self.folder / "terraform", environment=self.edge["aws"])

    # What clients see

    def addresses(self, name: str) -> list[str]:
        """What a name is, by the zone's own name servers."""
        host, _, port = self.edge["dns"].rpartition(":")
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port, resolver.lifetime = [host], int(port), 5.0
        return sorted(str(record) for record in resolver.resolve(name, "A"))

    async def get(self, url: str, **headers: str) -> Answer:
        """What clients get who know nothing but the name, and the authority that signed its certificate."""
        scheme, _, rest = url.partition("://")
        name, slash, path = rest.partition("/")
        address = self.addresses(name)[0]
        port = {"http": 80, "https": 443}[scheme]
        host, real = (await read_sockets(self.edge["aws"]["AWS_ENDPOINT_URL"]))[address, port]
        return fetch(f"{scheme}://{host}:{real}{slash}{path}", host=name, ca=self.edge["ca"], sni=name, headers=headers)

    # What is found

    def report(self, *only: str, status: int = 0) -> Report:
        """What `gatewright verify` finds; of these checks only, where some are named."""
        printed = self.run("verify", "-o", "json", *(("--only", ",".join(only)) if only else ()), status=status)
        return msgspec.json.decode(printed, type=Report)

    def failures(self, *only: str) -> dict[str, Check]:
        """What fails, by what was looked at."""
        return {check.subject: check for check in self.report(*only, status=1).checks if check.outcome == "failed"}

    def binding(self, condition: str) -> tuple[str, str]:
        """Status and reason of a condition of the EdgeBinding."""
        found = self.cluster.get("EdgeBinding", "edge", "shared-gateway")["status"]["conditions"]
        [each] = [each for each in found if each["type"] == condition]
        return each["status"], each["reason"]

    def controllers(self) -> dict[str, str]:
        """The logs of the controller's pods, by their names."""
        pods = self.cluster.request("GET", f"/api/v1/namespaces/{CONTROLLER}/pods")["items"]
        names = [pod["metadata"]["name"] for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        return {name: self.cluster.log(CONTROLLER, name) for name in names}

    def restart_controllers(self) -> None:
        """Let others take over, who know nothing of what the former ones have seen."""
        self.cluster.request("DELETE", f"/api/v1/namespaces/{CONTROLLER}/pods")

    def events(self, namespace: str) -> set[str]:
        """The reasons of all events in a namespace."""
        found = self.cluster.request("GET", f"/api/v1/namespaces/{namespace}/events")
        return {event["reason"] for event in found["items"]}

    def objects(self) -> set[str]:
        """All that is in the cluster, whatever its kind."""
        places = ["/api/v1"]
        for group in self.cluster.request("GET", "/apis")["groups"]:
            places += [f"/apis/{version['groupVersion']}" for version in group["versions"]]
        found = set()
        for place in places:
            for resource in self.cluster.request("GET", place)["resources"]:
                if "list" not in resource["verbs"] or "/" in resource["name"]:
                    continue
                for obj in self.cluster.request("GET", f"{place}/{resource['name']}")["items"]:
                    name = "/".join(filter(None, (obj["metadata"].get("namespace"), obj["metadata"]["name"])))
                    found.add(f"{resource['kind']} {name}")
        return found

    def renew(self, namespace: str) -> None:
        """Have all pods of a namespace made anew, and wait until they are ready."""
        path = f"/api/v1/namespaces/{namespace}/pods"
        old = {pod["metadata"]["uid"] for pod in self.cluster.request("GET", path)["items"]}
        self.cluster.request("DELETE", path)

        def ready() -> bool:
            pods = self.cluster.request("GET", path)["items"]
            assert len(pods) == len(old)
            assert not old & {pod["metadata"]["uid"] for pod in pods}
            ready = [each["status"] for pod in pods for each in pod["status"]["conditions"] if each["type"] == "Ready"]
            return ready == ["True"] * len(old)

        eventually(ready, f"pods of {namespace} are ready", 60)

    # What runs

    def processes(self) -> dict[int, str]:
        """Everything on this machine that works in the folder or was told of it; command lines by process id."""
        return dict(_processes(os.fsencode(self.folder)))

    def applying(self) -> int | None:
        """The process of Terraform that changes things at this moment."""
        for pid, command in self.processes().items():
            words = command.split()
            if "apply" in words and words[0].endswith("terraform") and not ended(pid):
                return pid
        return None

    def made(self) -> int:
        """How many things Terraform's state has at this moment."""
        with contextlib.suppress(OSError, ValueError):
            state = json.loads((self.folder / "terraform" / "terraform.tfstate").read_bytes())
            return len(state["resources"])
        return 0


def ended(pid: int) -> bool:
    """Whether a process is gone, or would be if whoever started it looked."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _processes(folder: bytes) -> Iterator[tuple[int, str]]:
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (place / "cmdline").read_bytes()
            if command and folder in b"\0".join(
                (command, (place / "environ").read_bytes(), os.fsencode((place / "cwd").readlink()))
            ):
                yield int(place.name), command.replace(b"\0", b" ").decode(errors="replace")
