"""How clients find an emulated AWS."""

from __future__ import annotations

import os
from typing import Any

REGION = "us-east-1"
ACCOUNT = "123456789012"

_NO_CONFIGURATION = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
"""As botocore's session wants it: no environment variable names these."""


def environment(url: str) -> dict[str, str]:
    """The environment variables with which any AWS client finds an emulated AWS at `url`."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }


class Clients:
    """boto3 clients of an emulated AWS, whatever the user's own configuration says; one a service, made when needed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session: Any = None
        self._clients: dict[str, Any] = {}

    def client(self, service: str, **options: Any) -> Any:
        """A client of `service`; one of its own with `options`, which are boto3's."""
        import boto3.session
        import botocore.session

        if self._session is None:
            keys = environment(self._url)
            self._session = boto3.session.Session(
                botocore_session=botocore.session.Session(session_vars=_NO_CONFIGURATION),
                aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
                region_name=REGION,
            )
        if options:
            return self._session.client(service, endpoint_url=self._url, **options)
        if service not in self._clients:
            self._clients[service] = self._session.client(service, endpoint_url=self._url)
        return self._clients[service]
