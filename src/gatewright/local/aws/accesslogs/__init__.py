"""Access logs of Application Load Balancers: Envoy tells of each request, entries in AWS's format go to S3.

`records` is what Envoy tells, `entries` the format, `collector` takes records, `delivery` brings entries to the bucket,
`buckets` says whether it takes them.
"""

from gatewright.local.aws.accesslogs.records import access_log, static_cluster

__all__ = ["access_log", "static_cluster"]
