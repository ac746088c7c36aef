"""One load balancer with all that belongs to it, as a value: what it is to be, what it is, and the way between."""
