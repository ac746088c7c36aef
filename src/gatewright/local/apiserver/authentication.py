"""Who sends a request: the administrator by one token, ServiceAccounts by tokens that the API issues and signs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from gatewright.local.apiserver.authorization import (
    ACCOUNT,
    AUTHENTICATED,
    MASTERS,
    UNAUTHENTICATED,
    Attributes,
    User,
    service_account,
)
from gatewright.local.apiserver.errors import StatusError, bad_request, invalid, not_found, unauthorized
from gatewright.local.apiserver.exchange import Request
from gatewright.local.apiserver.metadata import later
from gatewright.local.apiserver.request import Target
from gatewright.local.apiserver.store import Json, Record, Store
from gatewright.model.causes import Cause

ADMINISTRATOR = User("kubernetes-admin", (MASTERS, AUTHENTICATED))
AUDIENCE = "https://kubernetes.default.svc"
"""Who tokens are for unless somebody else is asked for; also who issues them."""

_DEFAULT_SECONDS, _SHORTEST = 3600, 600
_LONGEST = 1 << 32
_HEADER = {"alg": "HS256", "typ": "JWT"}
_EXTRA = "impersonate-extra-"


class Tokens:
    """Issues tokens of ServiceAccounts and knows them again, while the server runs: its key is never written down."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = secrets.token_bytes(32)

    def request(self, target: Target, obj: Json) -> Json:
        """The answer to a TokenRequest (authentication/v1) for the ServiceAccount of the path."""
        account = self._object("serviceaccounts", target.namespace or "", target.name)
        if account is None:
            raise not_found(target.resource, target.name)
        spec = obj.get("spec") or {}
        if not isinstance(spec, dict):
            raise bad_request("spec: expected an object")
        seconds = spec.get("expirationSeconds") or _DEFAULT_SECONDS
        if not isinstance(seconds, int) or not _SHORTEST <= seconds <= _LONGEST:
            text = (
                f"Invalid value: {seconds}: may not specify a duration less than 10 minutes or more than 2^32 seconds"
            )
            raise invalid(target.resource, "", [Cause("FieldValueInvalid", text, "spec.expirationSeconds")])
        audiences = spec.get("audiences") or [AUDIENCE]
        if not isinstance(audiences, list) or not all(isinstance(each, str) for each in audiences):
            raise bad_request("spec.audiences: expected a list of strings")
        claims = self._claims(account, audiences, seconds)
        bound = spec.get("boundObjectRef")
        if bound:
            claims["kubernetes.io"] |= self._bound(target, bound)
        status = {"token": self._signed(claims), "expirationTimestamp": later(seconds)}
        return {
            "kind": "TokenRequest",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": target.name, "namespace": target.namespace, "creationTimestamp": None},
            "spec": {"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": bound},
            "status": status,
        }

    def user(self, token: str, audiences: Iterable[str] = (AUDIENCE,)) -> User | None:
        """Whose token it is; None for one that isn't ours, has run out, or whose account (or pod) is gone."""
        claims = self._verified(token)
        if claims is None or not claims["nbf"] - 60 <= time.time() < claims["exp"]:
            return None
        if not set(audiences) & set(claims["aud"]):
            return None
        ours = claims["kubernetes.io"]
        namespace, account = ours["namespace"], ours["serviceaccount"]
        pod = ours.get("pod")
        if not self._there("serviceaccounts", namespace, account):
            return None
        if pod and not self._there("pods", namespace, pod):
            return None
        extra = {"authentication.kubernetes.io/credential-id": [f"JTI={claims['jti']}"]}
        if pod:
            extra["authentication.kubernetes.io/pod-name"] = [pod["name"]]
            extra["authentication.kubernetes.io/pod-uid"] = [pod["uid"]]
        return service_account(namespace, account["name"], account["uid"], extra)

    def _claims(self, account: Record, audiences: list[str], seconds: int) -> Json:
        now = int(time.time())
        return {
            "aud": audiences,
            "exp": now + seconds,
            "iat": now,
            "iss": AUDIENCE,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": {
                "namespace": account.namespace,
                "serviceaccount": {"name": account.name, "uid": account.metadata["uid"]},
            },
            "nbf": now,
            "sub": f"{ACCOUNT}{account.namespace}:{account.name}",
        }

    def _bound(self, target: Target, bound: Json) -> Json:
        if not isinstance(bound, dict):
            raise bad_request("spec.boundObjectRef: expected an object")
        if bound.get("kind") != "Pod":
            raise bad_request(
                f"cannot bind token for serviceaccount to object of type {bound.get('kind')}: only to Pods"
            )
        name = bound.get("name", "")
        pod = self._object("pods", target.namespace or "", name)
        if pod is None:
            raise StatusError(404, "NotFound", f'pods "{name}" not found', {"name": name, "kind": "pods"})
        uid = pod.metadata["uid"]
        if bound.get("uid") not in (None, "", uid):
            text = f"the UID in the bound object reference ({bound['uid']}) does not match the UID in record ({uid})"
            raise StatusError(409, "Conflict", f'Operation cannot be fulfilled on pods "{name}": {text}')
        account = pod.obj.get("spec", {}).get("serviceAccountName") or "default"
        if account != target.name:
            raise bad_request(f"cannot bind token for serviceaccount {target.name} to pod running as {account}")
        return {"pod": {"name": name, "uid": uid}}

    def _object(self, resource: str, namespace: str, name: str) -> Record | None:
        return self._store.table(resource).get(namespace, name)

    def _there(self, resource: str, namespace: str, claim: Json) -> bool:
        found = self._object(resource, namespace, claim["name"])
        return found is not None and found.metadata["uid"] == claim["uid"]

    def _signed(self, claims: Json) -> str:
        text = b".".join(_encode(msgspec.json.encode(part)) for part in (_HEADER, claims))
        return (text + b"." + self._signature(text)).decode()

    def _verified(self, token: str) -> Json | None:
        text, _, signature = token.rpartition(".")
        if not hmac.compare_digest(self._signature(text.encode()), signature.encode()):
            return None
        body = text.partition(".")[2]
        claims: Json = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return claims

    def _signature(self, text: bytes) -> bytes:
        return _encode(hmac.digest(self._key, text, hashlib.sha256))


def _encode(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


class Authentication:
    """Knows users by the bearer token of their requests."""

    def __init__(self, administrator: str, tokens: Tokens) -> None:
        self._administrator = f"Bearer {administrator}".encode()
        self._tokens = tokens

    def user(self, request: Request) -> User:
        """Who sends the request; 401 when nobody is known by it."""
        found = request.headers.get("authorization", "")
        if not found.isascii():
            raise unauthorized()
        if hmac.compare_digest(found.encode(), self._administrator):
            return ADMINISTRATOR
        kind, _, token = found.partition(" ")
        user = self._tokens.user(token.strip()) if kind.lower() == "bearer" and token.count(".") == 2 else None
        if user is None:
            raise unauthorized()
        return user


def impersonated(headers: Mapping[str, str]) -> tuple[User, list[Attributes]] | None:
    """Who a request wants to be taken for, and what its sender has to be allowed for that; None for nobody else.

    See Kubernetes docs, "User impersonation".
    """
    name = headers.get("impersonate-user", "")
    groups, uid = _all(headers, "impersonate-group"), headers.get("impersonate-uid", "")
    extra: dict[str, list[str]] = {}
    for header in headers:
        if header.lower().startswith(_EXTRA):
            key = unquote(header.lower().removeprefix(_EXTRA))
            extra.setdefault(key, _all(headers, header))
    if not name:
        if groups or uid or extra:
            raise bad_request("requested impersonation of groups, a UID or extra fields without impersonating a user")
        return None
    needed = []
    parts = name.removeprefix(ACCOUNT).split(":")
    if name.startswith(ACCOUNT) and len(parts) == 2:
        namespace, account = parts
        needed.append(Attributes("impersonate", resource="serviceaccounts", namespace=namespace, name=account))
        default = service_account(namespace, account).groups
        groups = groups or list(default)
    else:
        needed.append(Attributes("impersonate", resource="users", name=name))
    needed += [Attributes("impersonate", resource="groups", name=group) for group in _all(headers, "impersonate-group")]
    authentication = "authentication.k8s.io"
    if uid:
        needed.append(Attributes("impersonate", authentication, "uids", name=uid))
    for key, values in extra.items():
        needed += [Attributes("impersonate", authentication, "userextras", key, name=value) for value in values]
    if not {AUTHENTICATED, UNAUTHENTICATED} & set(groups):
        groups = [*groups, UNAUTHENTICATED if name == "system:anonymous" else AUTHENTICATED]
    return User(name, tuple(groups), uid, extra), needed


def _all(headers: Mapping[str, str], name: str) -> list[str]:
    """All values of a header."""
    every: Any = getattr(headers, "getall", None)
    if every is None:
        return [headers[name]] if name in headers else []
    return list(every(name, ()))
