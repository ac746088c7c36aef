"""DNS records in Route 53 and certificates of ACM, for the hostnames of Gateways and routes."""
