"""Trust stores: whose certificates the clients of an ALB have to show (ALB guide, "Mutual authentication")."""

from __future__ import annotations

from cryptography import x509
from moto.core.exceptions import ServiceException
from moto.moto_api._internal import mock_random

from gatewright.local.aws.backends import backend
from gatewright.local.aws.elbv2 import paging, tags
from gatewright.local.aws.elbv2.backend import Backend
from gatewright.local.aws.elbv2.errors import Refusal, invalid
from gatewright.local.aws.elbv2.models import Document, TrustStore

_LARGEST_BUNDLE = 1024 * 1024
"""Bytes ("CA certificate bundle size", quotas of ALBs)."""


def create_trust_store(elb: Backend, request: Document) -> Document:
    """CreateTrustStore."""
    name = request["Name"]
    if any(one.name == name for one in elb.trust_stores.values()):
        raise Refusal("DuplicateTrustStoreName", f"A trust store with the name '{name}' already exists")
    asked = tags.checked(request.get("Tags"))
    bundle, count = _bundle(request)
    account = f"arn:aws:elasticloadbalancing:{elb.region_name}:{elb.account_id}"
    store = TrustStore(f"{account}:truststore/{name}/{mock_random.get_random_hex(16)}", name, bundle, count)
    elb.trust_stores[store.arn] = store
    tags.set_tags(elb, store.arn, asked)
    return {"TrustStores": [store.document()]}


def modify_trust_store(elb: Backend, request: Document) -> Document:
    """ModifyTrustStore: another bundle; listeners that use it go by it at once."""
    store = elb.trust_store(request["TrustStoreArn"])
    store.bundle, store.count = _bundle(request)
    return {"TrustStores": [store.document()]}


def describe_trust_stores(elb: Backend, request: Document) -> Document:
    """DescribeTrustStores."""
    arns, names = request.get("TrustStoreArns") or [], request.get("Names") or []
    found = [elb.trust_store(arn) for arn in arns]
    for name in names:
        named = [one for one in elb.trust_stores.values() if one.name == name]
        if not named:
            raise Refusal("TrustStoreNotFound", "One or more trust stores not found")
        found += named
    if not arns and not names:
        found = list(elb.trust_stores.values())
    return paging.page(found, request, "TrustStores", TrustStore.document, lambda one: one.arn)


def describe_trust_store_associations(elb: Backend, request: Document) -> Document:
    """DescribeTrustStoreAssociations: the listeners that verify by it."""
    store = elb.trust_store(request["TrustStoreArn"])
    users = [{"ResourceArn": arn} for arn in _users(elb, store.arn)]
    return paging.page(users, request, "TrustStoreAssociations", dict, lambda one: one["ResourceArn"])


def delete_trust_store(elb: Backend, request: Document) -> Document:
    """DeleteTrustStore: not while a listener uses it."""
    store = elb.trust_store(request["TrustStoreArn"])
    if _users(elb, store.arn):
        raise Refusal("TrustStoreInUse", f"Trust store '{store.arn}' is currently in use by a listener")
    del elb.trust_stores[store.arn]
    tags.forget(elb, store.arn)
    return {}


def _users(elb: Backend, arn: str) -> list[str]:
    return [
        listener.arn
        for _, listener in elb.listeners()
        if (listener.mutual_authentication or {}).get("TrustStoreArn") == arn
    ]


def _bundle(request: Document) -> tuple[bytes, int]:
    """The bundle that a request names, from S3, and how many certificates it has."""
    bucket, key = request["CaCertificatesBundleS3Bucket"], request["CaCertificatesBundleS3Key"]
    try:
        found = backend("s3").get_object(bucket, key, version_id=request.get("CaCertificatesBundleS3ObjectVersion"))
    except ServiceException:
        found = None
    if found is None:
        raise Refusal("CaCertificatesBundleNotFound", f"The CA certificates bundle '{key}' in '{bucket}' was not found")
    bundle: bytes = found.value
    if len(bundle) > _LARGEST_BUNDLE:
        raise invalid(f"The CA certificates bundle has {len(bundle)} bytes, of at most {_LARGEST_BUNDLE}")
    try:
        count = len(x509.load_pem_x509_certificates(bundle))
    except ValueError:
        raise Refusal("InvalidCaCertificatesBundle", f"The CA certificates bundle '{key}' is not valid PEM") from None
    return bundle, count
