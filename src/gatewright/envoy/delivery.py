"""What to send to an Envoy, and when: the delta xDS protocol as a state machine without I/O.

Rules, for each type of resource:

- One response is under way at a time. What changes meanwhile goes into the next, so a slow Envoy gets fewer, larger
  responses instead of a queue.
- A resource is sent when everything it needs is usable, and removed when nothing that Envoy has needs it any more: make
  before break, whatever the types.
- When Envoy refuses a response, its halves are sent by themselves, and so on, until the refused response has one
  resource. That version of it is not sent again; what Envoy had before stays in force.
- Of types that Envoy takes in part (`GATHERED`), removals are sent by themselves, since a refusal would leave open
  whether they were heeded.
- What a cluster waits for (`AWAITED`) is answered whenever Envoy asks for it: where nobody wants it, it is said to be
  gone.
- An Envoy that comes back on a new stream is believed about what it has. Until it has acknowledged something it may
  have more to say, so nothing is removed. Of collections it doesn't say; it is taken to have perhaps all that was sent.
- Where Envoy remembers what it refused and acknowledges a repetition unseen, what was in a refused response is sent as
  a variant that it doesn't know yet.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection as Names
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from envoy.service.discovery.v3 import discovery_pb2

from gatewright.envoy.resources import (
    AWAITED,
    COMPLETED_BY,
    GATHERED,
    PUSHED,
    ROOTS,
    TYPES,
    Ref,
    Resource,
    collection_of,
)
from gatewright.flow import Collection

_KEPT = object()
_PERHAPS = ""
"""The version of what Envoy perhaps has."""
_COMPLETES = {completing: completed for completed, completing in COMPLETED_BY.items()}


class Refusal(NamedTuple):
    """Envoy's refusal of one version of a resource, in its words."""

    version: str
    message: str


class Observer:
    """Hears what happens; a base class whose methods do nothing."""

    def connected(self, connected: bool) -> None:
        """Envoy came (and knows nothing yet that isn't acknowledged below) or went."""

    def sent(self, type_url: str, names: Names[str], removed: Names[str]) -> None:
        """A response went out."""

    def acknowledged(self, type_url: str, names: Names[str]) -> None:
        """Envoy has taken these resources, or their removal, or lets go of them."""

    def refused(self, type_url: str, resource: Resource, message: str) -> None:
        """Envoy has refused this version of a resource."""


class _Type:
    """What Envoy wants, has and refused of one type."""

    def __init__(self, url: str, wanted: Collection[str, Resource]) -> None:
        self.url = url
        self.wanted = wanted
        self.refused: dict[str, Refusal] = {}
        self.tainted: set[str] = set()  # in a refused response and not acknowledged since
        self.members: dict[str, set[str]] = {}  # of a collection: what is wanted in it, or perhaps there
        self.former: dict[str, dict[str, Resource]] = {}  # by name and version: what went out on earlier streams
        self.disconnect()
        self.edited(self.pending)

    def disconnect(self) -> None:
        self.open = False  # whether Envoy has asked for this type
        self.owes_answer = self.url in ROOTS
        self.names: set[str] = set()  # asked for by name; of gathered types, the collections
        self.unanswered: set[str] = set()  # of those, what a cluster waits for
        self.held: dict[str, Resource] = {}  # what Envoy has acknowledged
        self.claims: dict[str, frozenset[Ref]] = {}  # what those, and those under way, need
        self.pending: set[str] = set(self.wanted.keys())  # not yet as wanted
        self.dirty: set[str] = set(self.pending)  # those of them that can perhaps be sent now
        self.under_way: dict[str, Resource | None] | None = None
        self.nonce = ""
        self.splits: deque[list[str]] = deque()

    def asked(self, name: str) -> bool:
        if self.url in GATHERED:
            return collection_of(name) in self.names
        return self.open if self.url in PUSHED else name in self.names

    def meant(self, name: str) -> Names[str]:
        """The resources that a subscription to `name` is about."""
        return tuple(self.members.get(name, ())) if self.url in GATHERED else (name,)

    def edited(self, names: Iterable[str]) -> None:
        self.pending.update(names)
        self.dirty.update(names)
        if self.url in GATHERED:
            for name in names:
                self.members.setdefault(collection_of(name), set()).add(name)

    def done(self, name: str) -> None:
        """This one is as wanted."""
        self.pending.discard(name)
        if self.url in GATHERED and name not in self.wanted:
            self.members.get(collection_of(name), set()).discard(name)


class Delivery:
    """Delivers collections of resources, by type URL, to one Envoy.

    Call `edited` when a collection changed, `request` with each request of Envoy's, and send what `responses` gives.
    """

    def __init__(self, collections: Mapping[str, Collection[str, Resource]], observer: Observer) -> None:
        self._types = {url: _Type(url, collections[url]) for url in TYPES if url in collections}
        self._observer = observer
        self._nonces = 0
        self._waiting: dict[Ref, set[Ref]] = {}  # what a resource waits for -> who waits
        self._holders: Counter[Ref] = Counter()  # how many resources that Envoy has, or is getting, need this one
        self._contents: dict[Ref, set[Ref]] = {}  # resource -> those within it that Envoy has
        self.is_connected = False
        self._is_heard = False  # whether Envoy has said what it has

    # --- questions -----------------------------------------------------------------------------------------------

    def refusal(self, ref: Ref) -> Refusal | None:
        """The refusal of the wanted version, if Envoy refused it."""
        state = self._types[ref.type]
        refusal, wanted = state.refused.get(ref.name), state.wanted.get(ref.name)
        return refusal if refusal and wanted and refusal.version == wanted.version else None

    def holds(self, ref: Ref) -> bool:
        """Whether Envoy has acknowledged the wanted version."""
        state = self._types[ref.type]
        held, wanted = state.held.get(ref.name), state.wanted.get(ref.name)
        return held is not None and wanted is not None and held.version == wanted.version

    def held(self, ref: Ref) -> Resource | None:
        """What Envoy has acknowledged last, of any version."""
        return self._types[ref.type].held.get(ref.name)

    def contents(self, ref: Ref) -> Names[Ref]:
        """The resources within this one that Envoy has acknowledged."""
        return self._contents.get(ref, ())

    def settled(self) -> bool:
        """Whether Envoy has everything that is wanted, except what it refused and what hangs on that."""
        return self.is_connected and all(
            self._is_moot(Ref(state.url, name)) for state in self._types.values() for name in state.pending
        )

    def _is_moot(self, ref: Ref) -> bool:
        state = self._types[ref.type]
        wanted = state.wanted.get(ref.name)
        if wanted is None:  # what is needed by something that a refusal keeps in force stays as well
            return ref.name not in state.held or self._holders[ref] > 0
        if self.refusal(ref):
            return True
        if ref.name not in state.pending or not wanted.within:
            return False
        if ref.type not in PUSHED and state.asked(ref.name):
            return False
        return all(self._is_moot(outer) for outer in wanted.within)

    # --- events --------------------------------------------------------------------------------------------------

    def edited(self, type_url: str, names: Iterable[str]) -> None:
        """The wanted resources of these names changed."""
        self._types[type_url].edited(tuple(names))

    def retry(self, ref: Ref) -> None:
        """Send a refused resource again, although it is the same."""
        if self._types[ref.type].refused.pop(ref.name, None):
            self.edited(ref.type, [ref.name])

    def connect(self) -> None:
        """A new stream begins: Envoy is taken to have nothing until it says otherwise."""
        for state in self._types.values():
            under_way = state.under_way or {}
            for each in (*state.held.values(), *under_way.values()):
                if each:
                    state.former.setdefault(each.name, {})[each.version] = each
            if state.url in GATHERED:
                state.tainted |= under_way.keys()
            state.disconnect()
        self._waiting.clear()
        self._holders.clear()
        self._contents.clear()
        self.is_connected, self._is_heard = True, False
        self._observer.connected(True)

    def disconnect(self) -> None:
        """The stream ended."""
        self.is_connected = False
        self._observer.connected(False)

    def request(self, request: discovery_pb2.DeltaDiscoveryRequest) -> None:
        """Take in a request: subscriptions, and the acknowledgement or refusal of a response."""
        state = self._types.get(request.type_url)
        if state is None:
            return
        adopted: Names[str] = ()
        if not state.open:
            state.open = True
            state.dirty |= state.pending
            state.names.update(request.resource_names_subscribe)
            adopted = self._adopt(state, request.initial_resource_versions)
        if request.response_nonce and request.response_nonce == state.nonce:
            self._answered(state, request.error_detail.message if request.HasField("error_detail") else None)
        for name in request.resource_names_unsubscribe:
            state.names.discard(name)
            state.unanswered.discard(name)
            if state.url not in PUSHED:
                for each in state.meant(name):
                    self._forget(state, each)
        for name in request.resource_names_subscribe:
            state.names.add(name)
            if state.url in PUSHED:
                continue
            for each in state.meant(name):  # a repeated subscription asks to be sent the resource again
                if each not in adopted:
                    self._forget(state, each)
                    if state.url in AWAITED:
                        state.unanswered.add(each)
                state.edited([each])

    def _adopt(self, state: _Type, versions: Mapping[str, str]) -> Names[str]:
        """Note what an Envoy that comes back has of a type; returns the names."""
        former, state.former = state.former, {}
        if state.url in GATHERED:  # to remove something that isn't there does no harm
            versions = {name: _PERHAPS for name in former if state.asked(name)}
        for name, version in versions.items():
            wanted, perhaps = state.wanted.get(name), former.get(name, {})
            if wanted is not None and wanted.version == version:
                self._take(state, name, wanted)
            elif version in perhaps:
                self._take(state, name, perhaps[version])
            else:
                needs = frozenset[Ref]().union(*[each.needs for each in perhaps.values()])
                self._take(state, name, Resource(name, version, b"", needs))
            state.edited([name])
        return versions.keys()

    def _answered(self, state: _Type, refusal: str | None) -> None:
        batch, state.under_way, state.nonce = state.under_way or {}, None, ""
        if not self._is_heard:
            self._is_heard = True
            for each in self._types.values():
                each.dirty |= each.pending
        if refusal is None:
            for name, resource in batch.items():
                self._take(state, name, resource)
                # Judge again: what is wanted may have changed while the response was under way.
                state.dirty.add(name)
            state.tainted.difference_update(batch)
            state.unanswered.difference_update(batch)
            self._observer.acknowledged(state.url, batch)
            return
        state.tainted.update(name for name, resource in batch.items() if resource is None or resource.variant)
        if len(batch) > 1:
            names = list(batch)
            self._release(state, names)
            state.splits.append(names[: len(names) // 2])
            state.splits.append(names[len(names) // 2 :])
        else:
            self._release(state, batch)
            for name, resource in batch.items():
                state.unanswered.discard(name)
                if resource is None:
                    self._forget(state, name)
                    continue
                state.refused[name] = Refusal(resource.version, refusal)
                state.dirty.add(name)
                self._wake(Ref(state.url, name))
                self._observer.refused(state.url, resource, refusal)

    def _take(self, state: _Type, name: str, resource: Resource | None) -> None:
        """Envoy has acknowledged this resource, or its removal."""
        if resource is None or not state.asked(name) or (state.url in PUSHED and self._is_lost(resource)):
            self._forget(state, name)
            self._claim(state, name, frozenset())
            state.edited([name])
            return
        ref = Ref(state.url, name)
        state.held[name] = resource
        state.refused.pop(name, None)
        self._claim(state, name, resource.needs)
        for outer in resource.within:
            self._contents.setdefault(outer, set()).add(ref)
        self._wake(ref)

    def _release(self, state: _Type, names: Iterable[str]) -> None:
        """What was under way was not taken."""
        for name in names:
            held = state.held.get(name)
            self._claim(state, name, held.needs if held else frozenset())

    def _forget(self, state: _Type, name: str) -> None:
        """Envoy no longer has this resource, nor what was within it."""
        ref = Ref(state.url, name)
        before = state.held.pop(name, None)
        if before is None:
            return
        self._claim(state, name, frozenset())
        for outer in before.within:
            self._contents.get(outer, set()).discard(ref)
        for inner in tuple(self._contents.pop(ref, ())):
            if inner.type in PUSHED:
                self._forget(self._types[inner.type], inner.name)
        if name in state.wanted:
            state.edited([name])

    def _claim(self, state: _Type, name: str, needs: frozenset[Ref]) -> None:
        """Note what `name` needs from now on; what nothing needs any more may be removed."""
        before = state.claims.get(name, frozenset())
        if before is needs:
            return
        state.claims[name] = needs
        self._holders.update(needs - before)
        for ref in before - needs:
            self._holders[ref] -= 1
            if self._holders[ref] <= 0:
                del self._holders[ref]
                self._redo(ref)

    def _redo(self, ref: Ref) -> None:
        state = self._types[ref.type]
        if ref.name in state.pending:
            state.dirty.add(ref.name)

    def _wake(self, ref: Ref) -> None:
        for awaited in (ref, Ref(_COMPLETES.get(ref.type, ""), ref.name)):
            for waiter in self._waiting.pop(awaited, ()):
                self._redo(waiter)

    # --- decisions -----------------------------------------------------------------------------------------------

    def responses(self) -> list[discovery_pb2.DeltaDiscoveryResponse]:
        """The responses to send now."""
        if not self.is_connected:
            return []
        return [response for state in self._types.values() if (response := self._respond(state))]

    def _respond(self, state: _Type) -> discovery_pb2.DeltaDiscoveryResponse | None:
        if state.under_way is not None or not state.open:
            return None
        batch: dict[str, Resource | None] = {}
        while not batch and (state.splits or state.dirty):
            if state.splits:
                names: Iterable[str] = state.splits.popleft()
            else:
                names, state.dirty = state.dirty, set()
            for name in sorted(names):
                self._judge(state, name, batch)
        if not batch and not state.owes_answer:
            return None
        if state.url in GATHERED and any(batch.values()):
            for name in [name for name, resource in batch.items() if resource is None]:
                del batch[name]
                state.dirty.add(name)
        state.owes_answer = False
        self._nonces += 1
        state.nonce = str(self._nonces)
        state.under_way = batch
        response = discovery_pb2.DeltaDiscoveryResponse(type_url=state.url, nonce=state.nonce)
        for name, resource in batch.items():
            if resource is None:
                response.removed_resources.append(name)
                continue
            held = state.held.get(name)
            self._claim(state, name, resource.needs | held.needs if held else resource.needs)
            message = response.resources.add(name=name, version=resource.version)
            message.resource.type_url = state.url
            again = name in state.tainted and resource.variant
            message.resource.value = again(resource.body, self._nonces) if again else resource.body
        self._observer.sent(state.url, [message.name for message in response.resources], response.removed_resources)
        return response

    def _judge(self, state: _Type, name: str, batch: dict[str, Resource | None]) -> None:
        """Put `name` into the batch, or note what it waits for, or that it is as wanted."""
        wanted, held = state.wanted.get(name), state.held.get(name)
        if wanted is None:
            state.refused.pop(name, None)
            if name in state.unanswered:
                batch[name] = None
            elif held is None or (state.url not in PUSHED and state.url not in GATHERED):
                state.done(name)
            elif self._is_heard and not self._holders[Ref(state.url, name)]:
                batch[name] = None
            return
        if held is not None and held.version == wanted.version:
            if held is not wanted:
                self._take(state, name, wanted)  # the same to Envoy, but perhaps made of something else
            state.done(name)
            return
        refused = state.refused.get(name)
        if refused and refused.version == wanted.version:
            state.done(name)
            return
        if not state.asked(name):
            return
        missing = self._missing(state, wanted)
        if missing:
            self._waiting.setdefault(missing, set()).add(Ref(state.url, name))
        else:
            batch[name] = wanted

    def _is_lost(self, resource: Resource) -> bool:
        """Whether what Envoy keeps the resource in isn't there."""
        return bool(resource.within) and not any(
            outer.name in self._types[outer.type].held for outer in resource.within
        )

    def _missing(self, state: _Type, wanted: Resource) -> Ref | None:
        """One resource that must be usable first."""
        if state.url in PUSHED and self._is_lost(wanted):
            return wanted.within[0]
        held = state.held.get(wanted.name)
        there = held.needs if held and held.version != _PERHAPS else frozenset[Ref]()
        return next((ref for ref in wanted.needs - there if not self._is_usable(ref)), None)

    def _is_usable(self, ref: Ref) -> bool:
        state = self._types[ref.type]
        if ref.name not in state.held:
            return self._is_hopeless(ref)
        if state.under_way and state.under_way.get(ref.name, _KEPT) is None:
            return False  # it is being removed; if it is wanted again, it comes again
        completing = COMPLETED_BY.get(ref.type)
        if completing is None or ref.name in self._types[completing].held:
            return True
        return self._is_hopeless(Ref(completing, ref.name))

    def _is_hopeless(self, ref: Ref) -> bool:
        """Whether waiting is of no use: Envoy has refused the resource, or there is none to send."""
        return self.refusal(ref) is not None or ref.name not in self._types[ref.type].wanted
