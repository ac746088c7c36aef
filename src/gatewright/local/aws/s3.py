"""S3 as moto has it, with the tags that a new bucket may be given; and S3 Control, by which tags are read and changed.

Terraform's provider does both since its version 6.23.
"""

from __future__ import annotations

from typing import Any

from gatewright.local.aws import startup  # noqa: F401 - imports moto quickly

# isort: split

import xmltodict  # type: ignore[import-untyped]
from moto.s3.responses import S3Response
from moto.s3.urls import url_paths as moto_paths


class Responses(S3Response):
    """moto's answers; CreateBucket heeds `CreateBucketConfiguration.Tags`."""

    def _bucket_response_put(self, request: Any, bucket_name: str, querystring: dict[str, Any]) -> Any:
        answer = super()._bucket_response_put(request, bucket_name, querystring)
        if not querystring and (tags := _given(self.body)):
            self.backend.put_bucket_tagging(bucket_name, tags)
        return answer


def _given(body: Any) -> dict[str, str]:
    """The tags in the body of a CreateBucket, which may be empty."""
    if not body:
        return {}
    document = xmltodict.parse(body, force_list=("Tag",)).get("CreateBucketConfiguration") or {}
    tags = (document.get("Tags") or {}).get("Tag") or ()
    return {tag["Key"]: tag["Value"] or "" for tag in tags}


def control(request: Any, url: str, headers: Any) -> Any:
    """Answer a call of S3 Control."""
    from moto.s3control.responses import S3ControlResponse  # few ask for it

    return S3ControlResponse.dispatch(request, url, headers)


url_paths = {path: getattr(Responses, run.__name__) for path, run in moto_paths.items()}
"""As moto's: which function answers which paths."""
