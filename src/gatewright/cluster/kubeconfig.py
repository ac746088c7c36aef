"""What a kubeconfig says of a cluster, as a transport to it: lightkube finds and reads it, aiohttp goes there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import yaml
from lightkube.config.client_adapter import verify_cluster
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.config.models import User
from lightkube.core.exceptions import ConfigError

from gatewright.cluster.credentials import RenewedToken, from_file, from_program
from gatewright.cluster.errors import Unreachable
from gatewright.cluster.transport import Transport

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def connect(path: str | os.PathLike[str] | None, context: str | None) -> tuple[Transport, str]:
    """A transport to the cluster of a kubeconfig's context, and the context's namespace.

    Without a path: in-cluster credentials, `KUBECONFIG`, ~/.kube/config. Raises `Unreachable` when that names no usable
    server.
    """
    try:
        found = KubeConfig.from_file(Path(path)) if path else KubeConfig.from_env()
        config = found.get(context)
        if config is None:
            raise ConfigError("no context is selected")
        return _transport(config), config.namespace
    except (ConfigError, OSError, LookupError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        # What the library raises for a file that isn't a kubeconfig depends on how it isn't one.
        source = path or "from the environment"
        told = f"kubeconfig {source}: {str(error) or type(error).__name__}"
        raise Unreachable(f"{told}; name a kubeconfig (--kubeconfig, KUBECONFIG) and a context in it") from error


def _transport(config: SingleConfig) -> Transport:
    user = config.user or User()
    if user.auth_provider:
        raise ConfigError("user.auth-provider is no longer served by Kubernetes; use user.exec")
    cluster, program = _unread(config)
    url = urlsplit(config.cluster.server)
    context = verify_cluster(config.cluster, user, config.abs_file, trust_env=True)
    authorization, middlewares = "", []
    if user.token_file:
        middlewares.append(RenewedToken(from_file(str(config.abs_file(user.token_file)))))
    elif user.token:
        authorization = f"Bearer {user.token}"
    elif user.exec:
        issue = from_program(
            user.exec.apiVersion,
            [_program(config, user.exec.command), *(user.exec.args or [])],
            {variable.name: variable.value for variable in user.exec.env or []},
            cluster if program.get("provideClusterInfo") else None,
            context,
            user.exec.installHint or "",
        )
        middlewares.append(RenewedToken(issue))
    elif user.username and user.password:
        authorization = aiohttp.encode_basic_auth(user.username, user.password)
    proxy = cluster.get("proxy-url")
    if not proxy and url.hostname not in _LOOPBACK and not proxy_bypass(url.netloc):
        proxy = getproxies().get(url.scheme)
    if proxy and urlsplit(proxy).scheme not in ("http", "https"):
        raise ConfigError(f"proxy-url: found {proxy}, expected an HTTP proxy")
    return Transport(
        config.cluster.server,
        context,
        authorization=authorization,
        middlewares=middlewares,
        proxy=proxy,
        server_name=cluster.get("tls-server-name"),
    )


def _unread(config: SingleConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    """The cluster and the exec credentials as they are written: lightkube leaves fields out."""
    if config.fname is None:
        return {}, {}
    document = yaml.safe_load(config.fname.read_text())
    clusters = {entry["name"]: entry["cluster"] for entry in document["clusters"]}
    users = {entry["name"]: entry["user"] for entry in document.get("users") or []}
    return clusters[config.context.cluster], users.get(config.context.user, {}).get("exec") or {}


def _program(config: SingleConfig, command: str) -> str:
    """A command with a path is relative to the kubeconfig; one without is looked for in PATH."""
    return str(config.abs_file(command)) if os.sep in command else command
