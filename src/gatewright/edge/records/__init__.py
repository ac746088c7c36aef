"""Names and certificates in front of a cluster: keeps Route 53 and ACM as Gateways and routes ask.

`dns` writes records, `certificates` requests certificates, whose validation records `dns` writes, too. Both tell what
is wrong as Events of the objects that ask (`telling`).
"""

from gatewright.edge.records.certificates import CertificateRequests
from gatewright.edge.records.dns import DnsRecords

__all__ = ["CertificateRequests", "DnsRecords"]
