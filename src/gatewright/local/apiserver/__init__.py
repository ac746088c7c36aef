"""The embedded Kubernetes API: what `kubectl`, client-go and gatewright's own components talk to on a laptop.

store = Store.memory()                     # or Store.sqlite(path)
async with ApiServer(store) as server:
    server.write_kubeconfig(path)
    ...
"""

from gatewright.local.apiserver.logs import LogRequest, PodLogs
from gatewright.local.apiserver.server import ApiServer
from gatewright.local.apiserver.store import Store, StoreError

__all__ = ["ApiServer", "LogRequest", "PodLogs", "Store", "StoreError"]
