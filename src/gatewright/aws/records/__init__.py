"""DNS records and certificates of what Gateways expose: what Route 53 and ACM are to hold, as values.

`desired` says which hostnames lead where, `zones` which hosted zones that concerns, `plan` compares with what there is,
`apply` carries it out, `read` reads. `ownership` marks what is ours as external-dns does.
"""
