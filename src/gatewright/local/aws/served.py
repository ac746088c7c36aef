"""Which listeners of load balancers Envoy serves, from what it acknowledges and refuses.

Convention: a LISTENER resource's `parts` hold the ARN of its listener, and a `Ref` of everything else that Envoy must
have before it serves that (routes, secrets). A listener of several nodes has several resources.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Collection as Names

import structlog

from gatewright.envoy.ads import AdsServer
from gatewright.envoy.delivery import Observer
from gatewright.envoy.resources import LISTENER, Ref, Resource
from gatewright.envoy.syntax import readable
from gatewright.flow import Change, Collection
from gatewright.local.aws.state import CloudState
from gatewright.local.aws.state import Listener as AwsListener

_log = structlog.get_logger(__name__)

_RETRY = 2.0
"""Seconds until a refused listener is sent again: a port that is in use may become free."""


class Served(Observer):
    """Writes `state.served`, and logs what Envoy refuses.

    A listener that nothing was made of is not served. A refused one is tried again while it is wanted; `refused_again`
    is called with the LISTENER resource when it is refused a second time: its port may be another's for good.
    """

    def __init__(
        self,
        state: CloudState,
        resources: Mapping[str, Collection[str, Resource]],
        refused_again: Callable[[Resource], None] = lambda _: None,
    ) -> None:
        self._state = state
        self._resources = resources
        self._listeners = resources[LISTENER]
        self._by_arn = self._listeners.index(lambda _, resource: _arns(resource), name="resources by listener")
        self._by_awaited = self._listeners.index(
            lambda _, resource: _awaited(resource), name="resources by what they await"
        )
        self._server: AdsServer | None = None
        self._told: dict[Ref, str] = {}  # what was logged last about a refused resource
        self._refused_again = refused_again
        self._retry: asyncio.TimerHandle | None = None
        self._retried: set[tuple[str, str]] = set()  # names and versions of listeners that were refused and sent again
        self._unsure: set[str] = set()  # an Envoy that comes back doesn't acknowledge again what it has
        state.listeners.subscribe(self._edited)
        self._listeners.subscribe(self._changed)

    def attach(self, server: AdsServer) -> None:
        """Tell which server delivers the resources."""
        self._server = server
        self._judge(self._state.listeners.keys())

    def close(self) -> None:
        """Stop trying refused listeners again."""
        self._server = None
        if self._retry:
            self._retry.cancel()

    # --- what happens -------------------------------------------------------------------------------------------------

    def connected(self, connected: bool) -> None:
        """Without Envoy nothing is served."""
        if self._server and not connected:
            with self._state.flow.batch():
                for arn in tuple(self._state.served):
                    self._state.served.set(arn, False)
                    self._unsure.add(arn)

    def acknowledged(self, type_url: str, names: Names[str]) -> None:
        """More may be served now."""
        for name in names:
            self._told.pop(Ref(type_url, name), None)
        self._judge(self._concerned(type_url, names) | self._unsure)

    def refused(self, type_url: str, resource: Resource, message: str) -> None:
        """Log why; once for the same refusal."""
        ref, words = Ref(type_url, resource.name), readable(message)
        if self._told.get(ref) != words:
            self._told[ref] = words
            _log.warning("envoy refused a resource", resource=str(ref), concerns=_arns(resource), message=words)
        self._judge(self._concerned(type_url, [resource.name]))
        if type_url != LISTENER:
            return
        if (resource.name, resource.version) in self._retried:
            self._retried.discard((resource.name, resource.version))
            self._refused_again(resource)
        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(_RETRY, self._try_again)

    def _edited(self, changes: list[Change[str, AwsListener]]) -> None:
        with self._state.flow.batch():
            for change in changes:
                if change.new is None:
                    self._state.served.delete(change.key)
        self._judge([change.key for change in changes if change.new is not None])

    def _changed(self, changes: list[Change[str, Resource]]) -> None:
        self._judge(arn for change in changes for each in (change.old, change.new) if each for arn in _arns(each))

    def _try_again(self) -> None:
        self._retry = None
        if self._server is None:
            return
        refused = [name for name in self._listeners if self._server.delivery.refusal(Ref(LISTENER, name))]
        self._retried = {(name, self._listeners[name].version) for name in refused}
        for name in refused:
            self._server.retry(Ref(LISTENER, name))

    # --- what follows -------------------------------------------------------------------------------------------------

    def _concerned(self, type_url: str, names: Iterable[str]) -> set[str]:
        """ARNs of the listeners that these resources are of, or that await them."""
        if type_url == LISTENER:
            found = [self._listeners.get(name) for name in names]
            return {arn for each in found if each for arn in _arns(each)}
        return {arn for name in names for each in self._by_awaited.lookup(Ref(type_url, name)) for arn in _arns(each)}

    def _judge(self, arns: Iterable[str]) -> None:
        if self._server is None:
            return
        with self._state.flow.batch():
            for arn in set(arns):
                served = self._is_served(arn) if arn in self._state.listeners else None
                if served is not None:
                    self._state.served.set(arn, served)
                if served or arn not in self._state.listeners:
                    self._unsure.discard(arn)

    def _is_served(self, arn: str) -> bool | None:
        """None while Envoy hasn't answered yet."""
        if self._server is None:
            return None
        delivery = self._server.delivery
        resources = self._by_arn.lookup(arn)
        refs = [Ref(LISTENER, resource.name) for resource in resources]
        refs += [ref for resource in resources for ref in _awaited(resource) if ref.type in self._resources]
        if not refs or any(delivery.refusal(ref) for ref in refs):
            return False
        return True if all(delivery.holds(ref) for ref in refs) else None


def _arns(resource: Resource) -> list[str]:
    return [part for part in resource.parts if isinstance(part, str)]


def _awaited(resource: Resource) -> list[Ref]:
    return [part for part in resource.parts if isinstance(part, Ref)]
