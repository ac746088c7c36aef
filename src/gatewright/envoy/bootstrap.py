"""The bootstrap configuration of an Envoy that takes everything else over delta ADS."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

_MAX_REGEX_PROGRAM = 32768
_LISTENING = 256
"""How many files Envoy has open without any client, at least."""
_CONNECTIONS = "envoy.resource_monitors.global_downstream_max_connections"


def most_connections() -> int:
    """How many connections Envoy may accept at a time: each leads to another one, and it ends where files run out."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if files == resource.RLIM_INFINITY else max(64, (files - _LISTENING) * 9 // 20)


def bootstrap(node: str, ads_socket: Path, admin_socket: Path, *, source: str | None = None) -> dict[str, Any]:
    """A Bootstrap message as JSON. Both sockets are UNIX domain sockets; nothing listens on a port.

    Connections to endpoints are made from the address `source`, where there is one.
    """
    ads = {"ads": {}, "resource_api_version": "V3"}
    http2_options = {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    return {
        "node": {"id": node, "cluster": "gatewright"},
        "admin": {
            "address": {"pipe": {"path": str(admin_socket), "mode": 0o600}},
            "ignore_global_conn_limit": True,
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": _CONNECTIONS,
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3"
                        ".DownstreamConnectionsConfig",
                        "max_active_downstream_connections": most_connections(),
                    },
                }
            ]
        },
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [{"envoy_grpc": {"cluster_name": "ads"}}],
            },
            "lds_config": ads,
            "cds_config": ads,
        },
        "static_resources": {
            "clusters": [
                {
                    "name": "ads",
                    "connect_timeout": "1s",
                    "typed_extension_protocol_options": {
                        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2_options
                    },
                    "load_assignment": {
                        "cluster_name": "ads",
                        "endpoints": [
                            {"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": str(ads_socket)}}}}]}
                        ],
                    },
                }
            ]
        },
        "cluster_manager": {"upstream_bind_config": _from(source)} if source else {},
        # Thousands of clusters and virtual hosts: their statistics are made when first used.
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        "layered_runtime": {
            "layers": [
                {
                    "name": "static",
                    "static_layer": {
                        # Envoy's own limit of 100 refuses regular expressions that people write.
                        "re2.max_program_size.error_level": _MAX_REGEX_PROGRAM,
                        "re2.max_program_size.warn_level": _MAX_REGEX_PROGRAM,
                    },
                }
            ]
        },
    }


def _from(address: str) -> dict[str, Any]:
    return {"source_address": {"address": address, "port_value": 0}}
