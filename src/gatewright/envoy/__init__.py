"""Topology to xDS to a running Envoy.

Two halves that meet in `resources.Resource`:

- The translation, pure: `listeners`, `routes`, `clusters` and `secrets` turn a `Topology` into collections of xDS
  resources, one small resource a thing that changes by itself. `target.EnvoyTarget` puts them together and turns what
  Envoy refuses into rejections of the objects that asked for it.
- The delivery, which knows nothing of Gateways: `delivery.Delivery` decides what to send when, `ads.AdsServer` speaks
  delta ADS over a UNIX domain socket, `process.EnvoyProcess` keeps an Envoy running.

`edge.EnvoyEdge` runs both. Facts about Envoy that the code relies on are in the docstrings of the modules that do.
"""
