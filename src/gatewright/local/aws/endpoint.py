"""How clients find an emulated AWS."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

REGION = "us-east-1"
ACCOUNT = "123456789012"
CREDENTIALS = ("test", "test")
"""Access key and secret key; any are taken, and these are nobody's."""

_READ = ("AWS_", "BOTO_", "MOTO_")
"""How the environment variables begin that AWS clients, or moto, read."""

_NO_CONFIGURATION = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
"""As botocore's session wants it: no environment variable names these."""


def environment(url: str) -> dict[str, str]:
    """The environment variables with which any AWS client finds an emulated AWS at `url`, and no other one.

    Files with the user's profiles are out of sight: a command that names one fails, and reaches no real account.
    """
    return {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": CREDENTIALS[0],
        "AWS_SECRET_ACCESS_KEY": CREDENTIALS[1],
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }


def surroundings(inherited: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """An environment with `own` (see `environment`) in place of all that AWS clients would read.

    A profile, a session token, or an endpoint for a single service would otherwise win over what is said in `own`.
    """
    return {**{name: value for name, value in inherited.items() if not name.startswith(_READ)}, **own}


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
            key, secret = CREDENTIALS
            self._session = boto3.session.Session(
                botocore_session=botocore.session.Session(session_vars=_NO_CONFIGURATION),
                aws_access_key_id=key,
                aws_secret_access_key=secret,
                region_name=REGION,
            )
        if options:
            return self._session.client(service, endpoint_url=self._url, **options)
        if service not in self._clients:
            self._clients[service] = self._session.client(service, endpoint_url=self._url)
        return self._clients[service]
