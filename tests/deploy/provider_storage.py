"""What the provider calls for keys, log groups and the bucket; see `provider_calls`."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
from collections.abc import Sequence

from tests.deploy.provider_calls import (
    ACCOUNT,
    BUCKET,
    TAG_MAP,
    TAGS,
    Call,
    Resource,
    document,
    tagged,
)

_KEY_POLICY = document(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, Action="kms:*", Resource="*")
KEY = Resource(
    "aws_kms_key, aws_kms_alias",
    made=[
        Call(
            "kms",
            "create_key",
            {
                "Description": "Secrets and logs",
                "KeySpec": "SYMMETRIC_DEFAULT",
                "KeyUsage": "ENCRYPT_DECRYPT",
                "MultiRegion": False,
                "BypassPolicyLockoutSafetyCheck": False,
                "Policy": _KEY_POLICY,
                "Tags": [{"TagKey": tag["Key"], "TagValue": tag["Value"]} for tag in TAGS],
            },
            keeps={"key": "KeyMetadata.KeyId", "key_arn": "KeyMetadata.Arn"},
        ),
        Call("kms", "enable_key_rotation", {"KeyId": "$key"}),
        Call("kms", "create_alias", {"AliasName": "alias/platform", "TargetKeyId": "$key"}),
    ],
    read=[
        Call("kms", "describe_key", {"KeyId": "$key"}, ["KeyMetadata.KeyState == 'Enabled'", "KeyMetadata.Enabled"]),
        Call("kms", "get_key_policy", {"KeyId": "$key", "PolicyName": "default"}, [f"Policy == '{_KEY_POLICY}'"]),
        # Asked until it says so five times; a period that is missing is no difference.
        Call("kms", "get_key_rotation_status", {"KeyId": "$key"}, ["KeyRotationEnabled"]),
        Call("kms", "list_resource_tags", {"KeyId": "$key"}, ["length(Tags) == `2`"]),
        Call("kms", "list_aliases", {}, ["Aliases[?AliasName == 'alias/platform'].TargetKeyId | [0] == '$key'"]),
    ],
    removed=[
        Call("kms", "delete_alias", {"AliasName": "alias/platform"}),
        Call("kms", "schedule_key_deletion", {"KeyId": "$key", "PendingWindowInDays": 7}),
        Call("kms", "describe_key", {"KeyId": "$key"}, ["KeyMetadata.KeyState == 'PendingDeletion'"]),
    ],
)


def log_group(name: str) -> Resource:
    """A log group of that name."""
    arn = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:{name}"
    found = f"logGroups[?logGroupName == '{name}'] | [0]"
    return Resource(
        "aws_cloudwatch_log_group",
        made=[
            Call("logs", "create_log_group", {"logGroupName": name, "kmsKeyId": "$key_arn", "tags": TAG_MAP}),
            Call("logs", "put_retention_policy", {"logGroupName": name, "retentionInDays": 365}),
        ],
        read=[
            Call(
                "logs",
                "describe_log_groups",
                {"logGroupNamePrefix": name},
                [f"({found}).arn == '{arn}:*'", f"({found}).retentionInDays == `365`", f"({found}).kmsKeyId"],
            ),
            Call("logs", "list_tags_for_resource", {"resourceArn": arn}, ["length(tags) == `2`"]),
        ],
        removed=[
            Call("logs", "delete_log_group", {"logGroupName": name}),
            Call("logs", "describe_log_groups", {"logGroupNamePrefix": name}, ["logGroups == `[]`"]),
        ],
    )


LIFECYCLE = {
    "ID": "expire",
    "Status": "Enabled",
    "Filter": {"Prefix": ""},  # of `filter {}`
    "Expiration": {"Days": 90},
    "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
}
_BLOCKED = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
_LOGGERS = ["logdelivery.elasticloadbalancing.amazonaws.com", "delivery.logs.amazonaws.com"]
_BUCKET_POLICY = document(Principal={"Service": _LOGGERS}, Action="s3:PutObject", Resource=f"arn:aws:s3:::{BUCKET}/*")
_IN_BUCKET = {"Bucket": BUCKET}
_CONTROL = {"AccountId": ACCOUNT, "ResourceArn": f"arn:aws:s3:::{BUCKET}"}
_OF_BUCKETS = ", ".join(
    ["aws_s3_bucket"]
    + [
        f"aws_s3_bucket_{name}"
        for name in (
            "lifecycle_configuration",
            "ownership_controls",
            "policy",
            "public_access_block",
            "server_side_encryption_configuration",
            "versioning",
        )
    ]
)
LOGS = Resource(
    _OF_BUCKETS,
    made=[
        Call("s3", "create_bucket", {**_IN_BUCKET, "CreateBucketConfiguration": {"Tags": TAGS}}),
        Call(
            "s3",
            "put_bucket_encryption",
            {
                **_IN_BUCKET,
                "ServerSideEncryptionConfiguration": {
                    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
                },
            },
        ),
        Call("s3", "put_bucket_versioning", {**_IN_BUCKET, "VersioningConfiguration": {"Status": "Enabled"}}),
        Call(
            "s3",
            "put_bucket_lifecycle_configuration",
            {
                **_IN_BUCKET,
                "TransitionDefaultMinimumObjectSize": "all_storage_classes_128K",
                "LifecycleConfiguration": {"Rules": [LIFECYCLE]},
            },
        ),
        Call(
            "s3",
            "put_public_access_block",
            {**_IN_BUCKET, "PublicAccessBlockConfiguration": dict.fromkeys(_BLOCKED, True)},
        ),
        Call(
            "s3",
            "put_bucket_ownership_controls",
            {**_IN_BUCKET, "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}},
        ),
        Call("s3", "put_bucket_policy", {**_IN_BUCKET, "Policy": _BUCKET_POLICY}),
    ],
    read=[
        Call("s3", "head_bucket", _IN_BUCKET, ["BucketRegion == 'us-east-1'"]),
        Call("s3", "get_bucket_policy", _IN_BUCKET, [f"Policy == '{_BUCKET_POLICY}'"]),
        Call("s3", "get_bucket_acl", _IN_BUCKET, ["Owner.ID", "Grants"]),
        Call("s3", "get_bucket_cors", _IN_BUCKET, refused="NoSuchCORSConfiguration"),
        Call("s3", "get_bucket_website", _IN_BUCKET, refused="NoSuchWebsiteConfiguration"),
        Call("s3", "get_bucket_versioning", _IN_BUCKET, ["Status == 'Enabled'"]),
        Call("s3", "get_bucket_accelerate_configuration", _IN_BUCKET),
        Call("s3", "get_bucket_request_payment", _IN_BUCKET),
        Call("s3", "get_bucket_logging", _IN_BUCKET),
        # Compared with what was sent, rule by rule, until they are equal.
        Call(
            "s3",
            "get_bucket_lifecycle_configuration",
            _IN_BUCKET,
            [f"Rules == `[{json.dumps(LIFECYCLE)}]`", "TransitionDefaultMinimumObjectSize=='all_storage_classes_128K'"],
        ),
        Call("s3", "get_bucket_replication", _IN_BUCKET, refused="ReplicationConfigurationNotFoundError"),
        Call(
            "s3",
            "get_bucket_encryption",
            _IN_BUCKET,
            [
                "ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm=='AES256'",
                "ServerSideEncryptionConfiguration.Rules[0].BucketKeyEnabled == `false`",
            ],
        ),
        Call("s3", "get_object_lock_configuration", _IN_BUCKET, refused="ObjectLockConfigurationNotFoundError"),
        # From 6.23 on tags aren't asked of S3, but of S3 Control.
        Call("s3control", "list_tags_for_resource", _CONTROL, [tagged("Tags")]),
        Call(
            "s3",
            "get_public_access_block",
            _IN_BUCKET,
            [f"PublicAccessBlockConfiguration.{name}" for name in _BLOCKED],
        ),
        Call(
            "s3",
            "get_bucket_ownership_controls",
            _IN_BUCKET,
            ["OwnershipControls.Rules[0].ObjectOwnership == 'BucketOwnerEnforced'"],
        ),
    ],
    removed=[
        Call("s3", "delete_bucket_policy", _IN_BUCKET),
        Call("s3", "get_bucket_policy", _IN_BUCKET, refused="NoSuchBucketPolicy"),
        Call("s3", "delete_bucket_ownership_controls", _IN_BUCKET),
        Call("s3", "delete_public_access_block", _IN_BUCKET),
        Call("s3", "get_public_access_block", _IN_BUCKET, refused="NoSuchPublicAccessBlockConfiguration"),
        Call("s3", "delete_bucket_lifecycle", _IN_BUCKET),
        Call("s3", "get_bucket_lifecycle_configuration", _IN_BUCKET, refused="NoSuchLifecycleConfiguration"),
        Call("s3", "delete_bucket_encryption", _IN_BUCKET),
        Call("s3", "put_object", {**_IN_BUCKET, "Key": "alb/AWSLogs/a", "Body": b"somebody's"}),
        Call("s3", "delete_bucket", _IN_BUCKET, refused="BucketNotEmpty"),
        Call(
            "s3",
            "list_object_versions",
            _IN_BUCKET,
            keeps={"versions": "Versions[].{Key: Key, VersionId: VersionId}"},
        ),
        Call(
            "s3",
            "delete_objects",
            {**_IN_BUCKET, "Delete": {"Objects": "$versions", "Quiet": True}},
            ["Errors == null"],
        ),
        Call("s3", "delete_bucket", _IN_BUCKET),
        Call("s3", "head_bucket", _IN_BUCKET, refused="404"),
    ],
)

ALL: Sequence[Resource] = (KEY, log_group("/aws/eks/platform/cluster"), log_group("aws-waf-logs-platform"), LOGS)
