"""The emulated AWS: an API that any AWS client talks to, and load balancers that carry traffic by its state alone."""
