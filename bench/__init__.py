"""Measurements; nothing here is asserted by a test. `make bench` prints the tables."""
