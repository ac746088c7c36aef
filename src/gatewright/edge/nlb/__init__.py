"""Services of type LoadBalancer as Network Load Balancers: wanted, found, planned, carried out."""
