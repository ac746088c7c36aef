"""One load balancer with all that belongs to it, as a value: what it is to be, what it is, and the way between.

`desired` and `holdings` are the values, `actual` reads; `plan` decides (`balancer_changes`, `listener_changes`,
`rule_changes`, `group_changes`, `security_changes`), `operations` is what it decides in, `apply` carries out (`calls`,
`carrying`, `adoption`, `effects`). `changes` and `rendering` tell a plan to users, `quotas` and `costs` what it takes.
`access` is the same for what the targets let in, of a whole cluster.
"""
