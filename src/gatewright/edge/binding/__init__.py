"""EdgeBindings: a Gateway's addresses as targets of what stands in front of it."""
