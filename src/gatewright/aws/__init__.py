"""What AWS is asked for and told: a client, and typed views of load balancers, target groups and targets."""
