"""What would happen to one request, and why: read from the topology, without sending it."""
