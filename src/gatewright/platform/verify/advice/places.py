"""What to look at next where pods are in the wrong place, or can be reached by the wrong way."""

from __future__ import annotations

from typing import Final

TABLE: Final[dict[tuple[str, str], str]] = {
    # --- node ---------------------------------------------------------------------------------------------------------
    ("node", "not-ready"): (
        "`kubectl describe node {node}` (conditions, events); a node that stays so: replace it in {group}."
    ),
    ("node", "no-taint"): (
        "Give the node group ({group}) the taint CriticalAddonsOnly=true:NoSchedule in Terraform, and node {node} now: "
        "`kubectl taint node {node} CriticalAddonsOnly=true:NoSchedule`; pods that run there stay until they are "
        "deleted."
    ),
    ("node", "no-label"): (
        "Give the node group ({group}) the label role=system in Terraform, since the system's pods select by it: "
        "`kubectl label node {node} role=system`."
    ),
    ("node", "no-system"): (
        "Make the system node group: `terraform plan`; `kubectl get nodes --show-labels` shows role."
    ),
    ("node", "no-user"): (
        "Make the user node group, or let it have nodes: `terraform plan`; `kubectl get nodes --show-labels` shows "
        "role. Until then applications stay Pending."
    ),
    # --- pod ----------------------------------------------------------------------------------------------------------
    ("pod", "no-nodes"): "The cluster has no node: see the node groups, `aws eks list-nodegroups`, and their health.",
    ("pod", "insufficient"): (
        "No node has room for Pod {namespace}/{pod}: let the node group have more or bigger nodes (Terraform), or "
        "lower the requests: `kubectl describe nodes`."
    ),
    ("pod", "taint"): (
        "The only nodes with a place have the taint {taint}, and Pod {namespace}/{pod} doesn't tolerate it: a system "
        "pod lacks the toleration (key {taint}, operator Exists), an application lacks nodes of the user group: "
        "`kubectl get nodes -L role`."
    ),
    ("pod", "selector"): (
        "No node has the labels that Pod {namespace}/{pod} selects: `kubectl get nodes --show-labels`, and "
        "nodeSelector and affinity of the pod; give the node group the label in Terraform (role=system, role=user)."
    ),
    ("pod", "spread"): (
        "Its topology spread can't be kept: see that nodes of two zones are ready: `kubectl get nodes -L "
        "topology.kubernetes.io/zone`."
    ),
    ("pod", "unschedulable"): (
        "`kubectl describe pod -n {namespace} {pod}` has the scheduler's words; compare them with `kubectl describe "
        "nodes`."
    ),
    ("pod", "no-toleration"): (
        "Give the workload of Pod {namespace}/{pod} the toleration of {taint} (operator Exists) and the nodeSelector "
        "{label}: without it, no system node takes it."
    ),
    ("pod", "no-selector"): (
        "Pod {namespace}/{pod} tolerates {taint}, but doesn't ask for system nodes: give its workload the nodeSelector "
        "{label}."
    ),
    ("pod", "node-untainted"): (
        "System node {node} lacks the taint {taint}, so that anything gets a place there: give it to the node group in "
        "Terraform, then delete the pod: `kubectl delete pod -n {namespace} {pod}`."
    ),
    ("pod", "tenant-tolerates"): (
        "An application tolerates {taint}, which is for the system's pods: take the toleration out of the workload of "
        "Pod {namespace}/{pod}."
    ),
    ("pod", "CrashLoopBackOff"): "`kubectl logs -n {namespace} {pod} --previous` tells why it ends.",
    ("pod", "ImagePullBackOff"): (
        "`kubectl describe pod -n {namespace} {pod}`: the image's name and tag, and whether nodes reach the registry."
    ),
    ("pod", "ErrImagePull"): (
        "`kubectl describe pod -n {namespace} {pod}`: the image's name and tag, and whether nodes reach the registry."
    ),
    ("pod", "CreateContainerConfigError"): (
        "`kubectl describe pod -n {namespace} {pod}`: a Secret or ConfigMap that it names is missing."
    ),
    ("pod", "not-ready"): (
        "`kubectl describe pod -n {namespace} {pod}` (readiness probe, readiness gates) and `kubectl logs -n "
        "{namespace} {pod}`."
    ),
    ("pod", ""): "`kubectl describe pod -n {namespace} {pod}` and `kubectl logs -n {namespace} {pod}`.",
    # --- isolation ----------------------------------------------------------------------------------------------------
    ("isolation", "reached"): (
        "Pod {namespace}/{name} takes connections that don't come through the Gateway. Chained: the namespace's label "
        "istio.io/dataplane-mode=ambient, PeerAuthentication STRICT, and a ztunnel on its node (`kubectl get pods -n "
        "istio-system -o wide`). Direct: a NetworkPolicy for it, and that the CNI enforces them."
    ),
    # --- mesh ---------------------------------------------------------------------------------------------------------
    ("mesh", "none"): "Istio isn't installed: look at the Applications istio-base, istiod, istio-cni and ztunnel.",
    ("mesh", "outside"): (
        "Put it into the mesh: `kubectl label namespace {namespace} istio.io/dataplane-mode=ambient`, in Git where the "
        "namespace is made."
    ),
    ("mesh", "not-strict"): (
        "Apply PeerAuthentication istio-system/default with mtls.mode STRICT, and take out exceptions of namespace "
        "{namespace}: `kubectl get peerauthentications -A`."
    ),
    ("mesh", "no-policy"): (
        "Apply an AuthorizationPolicy in namespace {namespace} that allows the principal of the Gateway's "
        "ServiceAccount only (cluster.local/ns/edge/sa/shared-gateway-istio); without one, everybody in the mesh gets "
        "in."
    ),
    ("mesh", "open"): (
        "Name sources in every rule: a rule without `from` lets anybody in: `kubectl get authorizationpolicies -n "
        "{namespace} -o yaml`."
    ),
    ("mesh", "nobody"): (
        "Nothing lets the Gateway into namespace {namespace}: apply an AuthorizationPolicy there that allows the "
        "principal of its ServiceAccount (cluster.local/ns/edge/sa/shared-gateway-istio)."
    ),
    # --- network-policy -----------------------------------------------------------------------------------------------
    ("network-policy", "none"): (
        "Apply a NetworkPolicy in namespace {namespace} for all pods whose ingress is from the public subnets only, "
        "where the ALB is; and see that the CNI enforces them (VPC CNI: enableNetworkPolicy)."
    ),
    ("network-policy", "wide"): (
        "Narrow the policies of namespace {namespace}: ingress from the CIDRs of the public subnets, `terraform output "
        "public_subnet_cidrs`."
    ),
}
"""By topic and reason; the texts' names are those that `advise` is given."""
