"""What `gatewright verify` looks at: a platform from outside and inside, layer by layer, changing nothing.

`Surroundings` says how it is reached, `verify` looks, `render` words what was found. Each module beside makes checks
of one layer; `advice` is the table of what to do about which reason.
"""

from __future__ import annotations

from gatewright.platform.verify.inspections import IDS
from gatewright.platform.verify.rendering import render
from gatewright.platform.verify.running import verify
from gatewright.platform.verify.surroundings import Surroundings

__all__ = ["IDS", "Surroundings", "render", "verify"]
