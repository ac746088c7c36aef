"""Calls of AWS's API from asyncio: boto3 in threads, without its retries where who calls knows better when."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Self, TypeVar

import gatewright
from gatewright.aws.errors import AwsError, Invalid, NotConfigured, Unavailable, classify

T = TypeVar("T")


_NO_CONFIGURATION = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
"""As botocore's session wants it: no environment variable names these."""


class Call(NamedTuple):
    """What `Aws.calls` counts by. `result` is `ok` or the error's code."""

    service: str
    operation: str
    result: str


class Aws:
    """AWS as this process's credentials see it (`async with`, or `close`). Every method raises `AwsError` only.

    Credentials, region and endpoint are found as AWS's other clients find them (AWS_PROFILE, AWS_REGION,
    AWS_ENDPOINT_URL, a role of the pod or instance, ...) unless they are given. A call that is cancelled may still be
    carried out by AWS.
    """

    def __init__(
        self,
        *,
        region: str = "",
        endpoint_url: str = "",
        credentials: tuple[str, str] | None = None,
        concurrency: int = 8,
        attempts: int = 1,
        connect_timeout: float = 3.0,
        read_timeout: float = 15.0,
        permit: Callable[[str, str], None] | None = None,
    ) -> None:
        """`credentials` are access key and secret key; where they are given, nothing of the user's own configuration
        counts: no profile, no proxy.

        Timeouts are in seconds; `attempts` is how often a call is sent that fails in passing.

        `permit` is asked before each request, in a thread, by service and operation; it raises an `AwsError` to forbid
        it.
        """
        self._permit = permit
        self.calls: Counter[Call] = Counter()
        """How many requests were sent (each page is one), by service, operation and result."""
        self._region = region
        self._endpoint_url = endpoint_url
        self._credentials = credentials
        self._concurrency = concurrency
        self._attempts = attempts
        self._timeouts = (connect_timeout, read_timeout)
        self._threads = ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="aws")
        self._counting = threading.Lock()
        self._making = threading.Lock()  # a boto3 session is not for several threads at once; its clients are
        self._session: Any = None
        self._clients: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of threads and connections; calls that are under way are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._let_go()

    async def prepare(self, *services: str) -> None:
        """Load what calls of these services need, which takes most of a second, before the first of them is made."""
        for service in services:
            await self._in_thread(service, "prepare", functools.partial(self._prepared, service))

    def move(self, endpoint_url: str) -> None:
        """Send further calls to another endpoint. What was prepared needn't be loaded again."""
        with self._making:
            self._endpoint_url = endpoint_url
            self._let_go()

    def _let_go(self) -> None:
        """Close the clients that are there; a call that is under way may still make another one for itself."""
        left, self._clients = self._clients, {}
        for client in list(left.values()):
            client.close()

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """One operation by its boto3 names: `call("elbv2", "describe_target_health", TargetGroupArn=arn)`."""

        def send() -> dict[str, Any]:
            answer: dict[str, Any] = self._send(service, operation, parameters)
            answer.pop("ResponseMetadata", None)
            return answer

        return await self._in_thread(service, operation, send)

    async def pages(self, service: str, operation: str, items: str, **parameters: Any) -> list[Any]:
        """What an operation lists under the name `items`, of all pages."""

        def send() -> list[Any]:
            found: list[Any] = []
            token: dict[str, Any] = {}
            while True:
                answer = self._send(service, operation, {**parameters, **token})
                found += answer.get(items) or ()
                token = _next_page(service, answer)
                if not token:
                    return found

        return await self._in_thread(service, operation, send)

    async def _in_thread(self, service: str, operation: str, send: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, send)
        except RuntimeError as error:  # the pool's, after close
            raise Unavailable("Closed", str(error), f"{service}:{operation}") from error

    def _send(self, service: str, operation: str, parameters: dict[str, Any]) -> Any:
        """In a thread: send one request, and count it."""
        if self._permit:
            self._permit(service, operation)
        try:
            answer = getattr(self._client(service), operation)(**parameters)
        except Exception as error:
            translated = _translate(error, f"{service}:{operation}")
            if translated is None:
                raise
            self._count(Call(service, operation, translated.code))
            raise translated from error
        self._count(Call(service, operation, "ok"))
        return answer

    def _prepared(self, service: str) -> None:
        try:
            self._client(service)
        except Exception as error:
            raise (_translate(error, f"{service}:prepare") or error) from error

    def _count(self, call: Call) -> None:
        with self._counting:
            self.calls[call] += 1

    def _client(self, service: str) -> Any:
        client = self._clients.get(service)
        if client is not None:
            return client
        # Imported here, in a thread: it takes most of a second that nobody else should wait for.
        from botocore.config import Config

        connect, read = self._timeouts
        alone: dict[str, Any] = {}
        if self._credentials:
            alone = {"proxies": {}, "use_fips_endpoint": False, "use_dualstack_endpoint": False}
        settings = Config(
            retries={"total_max_attempts": self._attempts, "mode": "standard"},
            connect_timeout=connect,
            read_timeout=read,
            max_pool_connections=self._concurrency,
            user_agent_extra=f"gatewright/{gatewright.__version__}",
            **alone,
        )
        with self._making:
            if service not in self._clients:
                if self._session is None:
                    self._session = self._new_session()
                self._clients[service] = self._session.client(
                    service,  # type: ignore[call-overload, unused-ignore]
                    config=settings,
                    endpoint_url=self._endpoint_url or None,
                )
            return self._clients[service]

    def _new_session(self) -> Any:
        import boto3
        import botocore.session

        # boto3 knows AWS_DEFAULT_REGION alone, where all other clients of AWS heed AWS_REGION first.
        region = self._region or os.environ.get("AWS_REGION") or None
        if self._credentials is None:
            return boto3.Session(region_name=region)
        key, secret = self._credentials
        return boto3.Session(
            botocore_session=botocore.session.Session(session_vars=_NO_CONFIGURATION),
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
        )


def _next_page(service: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The parameter that asks for the page after `answer`, or none after the last one."""
    given = {"NextToken": "NextToken", "nextToken": "nextToken", "NextContinuationToken": "ContinuationToken"}
    given["NextMarker"] = "Marker" if service == "elbv2" else "NextMarker"
    return next(({asked: answer[name]} for name, asked in given.items() if answer.get(name)), {})


def _translate(error: Exception, operation: str) -> AwsError | None:
    """What an exception of boto3's means; None for one that is no business of AWS's."""
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError

    name = type(error).__name__
    if isinstance(error, boto.ClientError):
        found = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        code = found.get("Code") or f"HTTP{status}"
        return classify(code, status)(code, found.get("Message") or f"HTTP status {status}", operation)
    if isinstance(
        error, boto.NoCredentialsError | boto.NoRegionError | boto.ProfileNotFound | boto.CredentialRetrievalError
    ):
        return NotConfigured(name, str(error), operation)
    if isinstance(error, boto.ParamValidationError):
        return Invalid("ParamValidation", str(error), operation)
    if isinstance(error, UnicodeError | RecursionError):  # a parameter that can't be sent at all
        return Invalid("ParamValidation", str(error), operation)
    if isinstance(error, boto.BotoCoreError | boto.HTTPClientError | ResponseParserError | OSError):
        return Unavailable(name, str(error), operation)
    return None
