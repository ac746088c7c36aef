"""Ingresses of class `alb` and their annotations, as a topology and settings like those of Gateways."""
