"""What a platform is to be: what is asked for now, on top of what was asked for before. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gatewright.local.aws.endpoint import REGION
from gatewright.platform.errors import UsageError
from gatewright.platform.gitops import GitOpsError, check_repository
from gatewright.platform.targets import Architecture, Settings, Target
from gatewright.platform.tree import RESERVED

LOCAL_REPOSITORY = "https://git.local/platform.git"
"""What the rehearsal's Argo CD knows this machine's files as; nobody looks this name up."""

_NAME = re.compile(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+")
_IMAGE = re.compile(r"[a-z0-9][a-z0-9._:/-]*[a-z0-9](:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})")
_CREDENTIALS = {
    *("access_key", "secret_key", "token", "sse_customer_key"),  # S3
    *("client_certificate", "client_certificate_password", "client_secret", "oidc_request_token", "oidc_token"),
    *("sas_token",),  # Azure's, as the line above
}
"""What a backend of Terraform's takes and nobody else may see."""
_REGION = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True)
class Asked:
    """What somebody asks for now; None is "as before, or by default"."""

    target: Target
    architecture: Architecture | None = None
    name: str | None = None
    region: str | None = None
    domain: str | None = None
    repository: str | None = None
    revision: str | None = None
    image: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    backend: Mapping[str, str] = field(default_factory=dict)


def settle(asked: Asked, before: Settings | None, *, begun: bool, region: str = "") -> Settings:
    """The settings. `begun` says that Terraform may have made something; `region` is that of the environment.

    Raises UsageError for what can't be meant, and for a change that would replace what stands.
    """
    if before is not None and before.target is not asked.target:
        raise UsageError(
            f"this folder has a platform on {before.target}, not on {asked.target}", "name another folder with --dir"
        )
    given = {
        name: value
        for name in ("architecture", "name", "region", "domain", "repository", "revision", "image")
        if (value := getattr(asked, name)) is not None
    }
    if asked.variables:
        given["variables"] = {**(before.variables if before else {}), **asked.variables}
    if asked.backend:
        given["backend"] = dict(asked.backend)
    settings = msgspec.structs.replace(before or _default(asked.target, region), **given)
    _check(settings)
    if before is not None and begun:
        for name in ("architecture", "name", "region", "domain", "backend"):
            was, wanted = getattr(before, name), getattr(settings, name)
            if was != wanted:
                raise UsageError(
                    f"--{name}: the platform in this folder has {was or 'none'}, and {wanted} would replace it",
                    "`gatewright destroy` it first, or name another folder with --dir",
                )
    return settings


def _default(target: Target, region: str) -> Settings:
    if target is Target.LOCAL:
        return Settings(target=target, region=REGION, repository=LOCAL_REPOSITORY)
    return Settings(target=target, region=region if target is Target.AWS else "")


def _check(settings: Settings) -> None:
    """Raises UsageError."""
    if not _NAME.fullmatch(settings.name):
        raise UsageError(
            f"--name: found {settings.name!r}, expected 1 to 20 small letters, digits and hyphens, a letter first"
        )
    if not _DOMAIN.fullmatch(settings.domain) or len(settings.domain) > 200:
        raise UsageError(
            f"--domain: found {settings.domain!r}, expected a name in small letters, such as platform.example.com"
        )
    if not settings.region:
        what = "a location, such as westeurope" if settings.target is Target.AZURE else "a region, such as eu-central-1"
        raise UsageError(f"--region: expected {what}")
    if not _REGION.fullmatch(settings.region):
        raise UsageError(f"--region: found {settings.region!r}, expected small letters, digits and hyphens")
    if settings.target is Target.LOCAL and settings.region != REGION:
        raise UsageError(f"--region: the emulated AWS has {REGION} only, found {settings.region}")
    if settings.target is Target.AZURE and settings.architecture is Architecture.DIRECT:
        raise UsageError("--architecture direct: on Azure there is `chained` only")
    if not settings.repository:
        raise UsageError(
            "--repository: expected the URL of the Git repository from which Argo CD gets deploy/gitops",
            "push a copy of this repository to where the cluster can read it, and name that",
        )
    if settings.target is Target.AWS and not settings.image:
        raise UsageError(
            "--image: expected the controller's image, as registry.example.com/gatewright/gatewright:0.1.0",
            "build it from deploy/Dockerfile, push it to where the cluster can pull it, and name that",
        )
    if settings.image and not _IMAGE.fullmatch(settings.image):
        raise UsageError(f"--image: found {settings.image!r}, expected REPOSITORY:TAG or REPOSITORY@sha256:DIGEST")
    try:
        check_repository(settings.repository)  # before its credentials get anywhere, if it has some
    except GitOpsError as error:
        raise UsageError(str(error)) from error
    for name in sorted(_CREDENTIALS & settings.backend.keys()):
        raise UsageError(
            f"--backend-config {name}: everybody on this machine sees the arguments of a program, and they are kept",
            "log in with `aws` or `az`, or set the environment variables of the backend (AWS_..., ARM_...)",
        )
    for name in settings.variables:
        if name in RESERVED:
            option = "region" if name == "location" else name
            raise UsageError(f"--var {name}: more than Terraform depends on it", f"give --{option} instead")


def parse_pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    """`KEY=VALUE` texts. Raises UsageError."""
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"{option}: found {text!r}, expected KEY=VALUE")
        pairs[key] = value
    return pairs


def parse_variables(texts: Sequence[str]) -> dict[str, Any]:
    """`KEY=VALUE` texts whose values are JSON, or plain text. Raises UsageError."""
    return {key: _value(text) for key, text in parse_pairs(texts, "--var").items()}


def _value(text: str) -> Any:
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return text if isinstance(value, float) else value  # 1.40 is a version, and Terraform makes a number of any text
