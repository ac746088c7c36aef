"""What Envoy tells of each request of an ALB: an access logger, and the texts that it sends.

The records go to a socket of this process in Fluentd's forward protocol, half a second's worth at a time; there is no
file. A record is one text: the parts of `FIELDS`, separated by a character that no header may have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog
from envoy.extensions.access_loggers.fluentd.v3 import fluentd_pb2

from gatewright.local.aws.state import Listener, Node
from gatewright.local.aws.waf import OUTCOME

CLUSTER = "access-logs"
"""The name of the cluster that `static_cluster` makes."""

_FLUSH, _SHORTEST_FLUSH = 0.5, 0.02

SEPARATOR = "\x1f"
KEY = "r"

_OWN = "gatewright.aws"
_MICROSECONDS = "%COMMON_DURATION({}:{}:us)%"

FIELDS: Mapping[str, str] = {
    "started": "%START_TIME(%Y-%m-%dT%H:%M:%S.%6fZ)%",
    "took": _MICROSECONDS.format("DS_RX_BEG", "DS_TX_END"),
    "lasted": "%DURATION%",
    "client": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
    "target": "%UPSTREAM_HOST%",
    "until_sent": _MICROSECONDS.format("DS_RX_BEG", "US_TX_BEG"),
    "until_answered": _MICROSECONDS.format("US_TX_BEG", "US_RX_BEG"),
    "until_passed_on": _MICROSECONDS.format("US_RX_BEG", "DS_TX_BEG"),
    "status": "%RESPONSE_CODE%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "received": "%DOWNSTREAM_WIRE_BYTES_RECEIVED%",
    "sent": "%DOWNSTREAM_WIRE_BYTES_SENT%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(:PATH)%",
    "host": "%REQ(:AUTHORITY)%",
    "asked_path": f"%DYNAMIC_METADATA({_OWN}:asked-path)%",
    "asked_host": f"%DYNAMIC_METADATA({_OWN}:asked-host)%",
    "protocol": "%PROTOCOL%",
    "content_type": "%REQ(CONTENT-TYPE)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "cipher": "%DOWNSTREAM_TLS_CIPHER%",
    "tls": "%DOWNSTREAM_TLS_VERSION%",
    "server_name": "%REQUESTED_SERVER_NAME%",
    "certificate": "%DOWNSTREAM_LOCAL_DNS_SAN%",
    "trace": "%REQ(X-AMZN-TRACE-ID)%",
    "group": f"%METADATA(CLUSTER:{_OWN}:target_group)%",
    "priority": f"%METADATA(ROUTE:{_OWN}:rule_priority)%",
    "actions": f"%METADATA(ROUTE:{_OWN}:actions)%",
    "location": "%RESP(LOCATION)%",
    "connection": "%CONNECTION_ID%",
    "waf": f"%DYNAMIC_METADATA({OUTCOME})%",
}
"""By name: Envoy's format of a part of a record. Times are in microseconds, except for
`lasted`: milliseconds until all was over. What there isn't is `-`.

`asked_path` and `asked_host` are what the client asked for, where a rule's transforms have changed it.
"""

_NAMES = tuple(FIELDS)


def access_log(listener: Listener, node: Node, pace: float = 1.0) -> AccessLog:
    """The access logger for the HTTP connection manager of a listener at a node."""
    message = fluentd_pb2.FluentdAccessLogConfig(cluster=CLUSTER, tag=tag(listener, node), stat_prefix="alb")
    message.buffer_flush_interval.FromMilliseconds(round(flush_interval(pace) * 1000))
    message.record.update({KEY: SEPARATOR.join(FIELDS.values())})
    log = AccessLog(name="access-logs")
    log.typed_config.Pack(message)
    return log


def flush_interval(pace: float) -> float:
    """Seconds after which Envoy tells of a request at the latest; what it hasn't told when it ends is lost."""
    return max(_SHORTEST_FLUSH, _FLUSH / pace)


def tag(listener: Listener, node: Node) -> str:
    """What records are tagged with: the listener's ARN and the node's address."""
    return f"{listener.arn} {node.address}"


def static_cluster(path: str) -> dict[str, Any]:
    """The cluster that leads to the socket at `path`, for the bootstrap's static resources: loggers take no other."""
    endpoint = {"endpoint": {"address": {"pipe": {"path": path}}}}
    return {
        "name": CLUSTER,
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def record_of(text: str) -> dict[str, str]:
    """The parts of a record by their names; raises ValueError for what is none."""
    return dict(zip(_NAMES, text.split(SEPARATOR), strict=True))
