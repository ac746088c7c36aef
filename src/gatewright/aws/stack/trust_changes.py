"""How trust stores, and what they are made from in S3, become what they are to be (pure)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from gatewright.aws.stack.desired import DesiredTrustStore, Stack, StackKey, bundle_key
from gatewright.aws.stack.holdings import (
    BUCKET_TAG,
    FINGERPRINT_TAG,
    ActualLoadBalancer,
    ActualStack,
    ActualTrustStore,
    Bundle,
)
from gatewright.aws.stack.operations import (
    CreateTrustStore,
    DeleteBundle,
    DeleteTrustStore,
    ModifyTrustStore,
    PutBundle,
    SetTags,
)
from gatewright.aws.stack.security_changes import Prepared
from gatewright.aws.stack.steps import Draft
from gatewright.aws.stack.tags import tag_changes


def trust_store_steps(draft: Draft, desired: Stack, actual: ActualStack) -> Prepared:
    """Trust stores. Other authorities take the place of old ones, under the same ARN.

    The tags that tell what is in one are set last, so that a change which was broken off is made again.
    """
    prepared = Prepared()
    for wanted in desired.trust_stores:
        made_from = {FINGERPRINT_TAG: wanted.fingerprint, BUCKET_TAG: wanted.bucket}
        tags = {**wanted.tags, **desired.key.tags, desired.key.resource_tag: wanted.resource, **made_from}
        found = _trust_store(actual.trust_stores, desired.key.resource_tag, wanted)
        if found is None:
            put = draft.add(PutBundle(wanted))
            prepared.steps[wanted.resource] = [draft.add(CreateTrustStore(wanted, tags), [put])]
            continue
        prepared.references[wanted.resource] = found.arn
        prepared.used.add(found.arn)
        modified: list[int] = []
        if not made_from.items() <= found.tags.items():
            put = draft.add(PutBundle(wanted, found.arn))
            modified = [draft.add(ModifyTrustStore(found.arn, wanted), [put])]
            prepared.steps[found.arn] = modified
        add, remove = tag_changes(tags, found.tags)
        if add or remove:
            draft.add(SetTags(found.arn, add, remove), modified)
    return prepared


def _trust_store(
    found: Mapping[str, ActualTrustStore], resource_tag: str, wanted: DesiredTrustStore
) -> ActualTrustStore | None:
    """The one of a resource; of several, one that is right already."""
    return min(
        (each for each in found.values() if each.tags.get(resource_tag) == wanted.resource),
        key=lambda each: (each.tags.get(FINGERPRINT_TAG) != wanted.fingerprint, each.arn),
        default=None,
    )


def removal_steps(
    draft: Draft,
    desired: Stack | None,
    actual: ActualStack,
    used: Collection[str],
    retained: Iterable[ActualLoadBalancer],
    after: Iterable[int],
) -> None:
    """What nothing needs any more goes; `used` are the ARNs of trust stores that stay, beside those of `retained`.

    An object in S3 goes before its trust store, which is what it is known by.
    """
    kept = {*used} | {
        arn for each in retained for port in each.listeners.values() if (arn := port.mutual_authentication.trust_store)
    }
    needed = {Bundle(each.bucket, each.key) for each in desired.trust_stores} if desired else set()
    needed |= {
        bundle
        for arn, each in actual.trust_stores.items()
        if arn in kept - {*used} and (bundle := bundle_of(actual.key, each))
    }
    before = [*after]
    removed = [draft.add(DeleteBundle(each.bucket, each.key), before) for each in sorted(actual.bundles - needed)]
    for arn in sorted(actual.trust_stores.keys() - kept):
        draft.add(DeleteTrustStore(arn), [*before, *removed])


def bundle_of(key: StackKey, store: ActualTrustStore) -> Bundle | None:
    """What a trust store was made from, as its tags tell."""
    bucket, resource = store.tags.get(BUCKET_TAG), store.tags.get(key.resource_tag)
    return Bundle(bucket, bundle_key(key, resource)) if bucket and resource else None
