"""What stands in front of Gateways: controllers that keep load balancers made, and bound to them."""
