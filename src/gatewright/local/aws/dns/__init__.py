"""The VPC's resolver: what the account's hosted zones hold, and where its load balancers are.

`names` answers questions from the state, `balancers` knows the addresses of a load balancer's name, `server` speaks
DNS.
"""

from gatewright.local.aws.dns.server import DnsServer

__all__ = ["DnsServer"]
