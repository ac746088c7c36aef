"""Rules of the topology as rules of an ALB listener: conditions, actions, transforms, and what can't be one."""
