"""The laptop edge: puts the other rooms together for `gatewright up`."""
