"""What nodeadm, which starts nodes of Amazon Linux 2023, reads of an instance's user data: taints of its node.

The format is NodeConfig, node.eks.aws/v1alpha1 (awslabs.github.io/amazon-eks-ami/nodeadm), by itself or as parts of a
MIME document.
"""

from __future__ import annotations

import base64
import binascii
from email import message_from_bytes
from typing import Any, NamedTuple

import yaml

_TYPE = "application/node.eks.aws"
_FLAG = "--register-with-taints="


class Taint(NamedTuple):
    """A taint with Kubernetes' name of its effect."""

    key: str
    value: str
    effect: str


def registered_taints(user_data: str) -> list[Taint]:
    """The taints that a node registers itself with, by its instance's user data (base64); later parts win.

    What isn't such a configuration, or can't be read, says nothing.
    """
    found: dict[tuple[str, str], Taint] = {}
    for config in _configs(user_data):
        kubelet = _mapping(_mapping(config.get("spec")).get("kubelet"))
        for each in _mapping(kubelet.get("config")).get("registerWithTaints") or ():
            taint = Taint(str(each.get("key", "")), str(each.get("value") or ""), str(each.get("effect", "")))
            found[taint.key, taint.effect] = taint
        for flag in kubelet.get("flags") or ():
            if str(flag).startswith(_FLAG):
                for text in str(flag).removeprefix(_FLAG).split(","):
                    pair, _, effect = text.rpartition(":")
                    key, _, value = pair.partition("=")
                    found[key, effect] = Taint(key, value, effect)
    return [taint for taint in found.values() if taint.key and taint.effect]


def _configs(user_data: str) -> list[dict[str, Any]]:
    try:
        data = base64.b64decode(user_data, validate=True)
    except (binascii.Error, ValueError):
        return []
    message = message_from_bytes(data)
    if message.is_multipart():
        texts = [part.get_payload(decode=True) for part in message.walk() if part.get_content_type() == _TYPE]
    else:
        texts = [message.get_payload(decode=True) if message.get_content_type() == _TYPE else data]
    found = []
    for text in texts:
        try:
            document = yaml.safe_load(text) if isinstance(text, bytes) else None
        except yaml.YAMLError:
            continue
        if isinstance(document, dict) and str(document.get("apiVersion", "")).startswith("node.eks.aws/"):
            found.append(document)
    return found


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
