"""Typed Kubernetes and Gateway API objects: one module an API group, plus schemas, validation and decoding.

Imports nothing else of gatewright.
"""
