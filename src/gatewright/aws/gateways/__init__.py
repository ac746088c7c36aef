"""From a topology and settings to the stacks of its load balancers."""
