"""What stands in for a cloud's account and a cluster when the reference platform is rehearsed on one machine.

An edge whose AWS is empty: Terraform fills it. Node groups that Terraform makes become nodes, Argo CD's stand-in brings
about what the repository says, and our controllers run as pods, from the chart, with the rights that it gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from ipaddress import IPv4Network
from pathlib import Path

import structlog

from gatewright.aws.client import Aws
from gatewright.local.ahead import Ahead, EdgeError
from gatewright.local.argocd import ArgoCD
from gatewright.local.aws.endpoint import CREDENTIALS, REGION
from gatewright.local.aws.process import AwsProcess, AwsProcessError
from gatewright.local.edge import Hosting, LocalEdge
from gatewright.local.news import News
from gatewright.local.nodes import NodeGroups
from gatewright.model.meta import Key

_log = structlog.get_logger(__name__)

_CONTROLLER = Key("gatewright-system", "gatewright")
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class Network:
    """What the VPC has to be like, so that each address in it answers on this machine."""

    def __init__(self, vpc: IPv4Network) -> None:
        """`vpc` is a /16: pods have its upper half, Gateways its first addresses."""
        self.vpc = vpc
        self.zones = (f"{REGION}a", f"{REGION}b")
        self.private = (self._part(0, 18), self._part(0x8000, 17))
        self.public = (self._part(0x4000, 20), self._part(0x5000, 20))

    def _part(self, offset: int, length: int) -> IPv4Network:
        return IPv4Network((int(self.vpc.network_address) + offset, length))


class Rehearsal:
    """Runs all of it while the context lasts."""

    def __init__(self, folder: Path, tree: Path, repository: str, on_loss: Callable[[], None]) -> None:
        """What it writes is in `folder`. `tree` is the folder that Argo CD takes for the repository with this URL.

        `on_loss` is called when the emulated AWS has ended by itself, and with it all that Terraform made.
        """
        self._folder = folder
        self._tree = tree
        self._repository = repository
        self._on_loss = on_loss
        self._stack = AsyncExitStack()
        self.aws: AwsProcess
        self.edge: LocalEdge
        self.network: Network

    async def __aenter__(self) -> Rehearsal:
        async with AsyncExitStack() as stack:
            ahead = await stack.enter_async_context(Ahead(aws=True, seed=False))
            assert ahead.aws
            self.aws, self.network = ahead.aws, Network(ahead.network)
            try:
                await ahead.aws.ready()
            except (AwsProcessError, TimeoutError) as error:
                raise EdgeError(f"the emulated AWS can't start: {error}") from error
            self.edge = await stack.enter_async_context(
                LocalEdge(_tell, ahead=ahead, hosting=Hosting(self._folder, self._identity))
            )
            self._heed_loss(ahead)
            self.edge.newsroom.hold = False
            self.edge.write_ca()
            await self.edge.introduce(ahead.aws)
            aws = await stack.enter_async_context(
                Aws(region=REGION, endpoint_url=ahead.aws.url, credentials=CREDENTIALS)
            )
            await stack.enter_async_context(NodeGroups(self.edge.client, aws))
            await stack.enter_async_context(ArgoCD(self.edge.client, {self._repository: self._tree}))
            self._stack = stack.pop_all()
        return self

    def _heed_loss(self, ahead: Ahead) -> None:
        tell = ahead.on_exit

        def ended(status: int) -> None:
            if tell:
                tell(status)
            self._on_loss()

        ahead.on_exit = ended

    def _identity(self, account: Key) -> Mapping[str, str]:
        """The emulated AWS, with credentials for the controller's pods: what EKS Pod Identity gives them there.

        Others have none, and are led there too: what they would find by themselves is an account of the user's.
        """
        found = self.aws.environment
        return found if account == _CONTROLLER else {name: found[name] for name in found if name not in _CREDENTIALS}

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


def _tell(news: News) -> None:
    _log.info(news.text, about=news.subject, level=news.level)
