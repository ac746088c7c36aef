# Provider 3.x has no access entries: whoever makes the cluster is the only one who administers it.
