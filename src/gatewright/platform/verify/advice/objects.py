"""What to look at next where objects say of themselves that something is wrong."""

from __future__ import annotations

from typing import Final

TABLE: Final[dict[tuple[str, str], str]] = {
    # --- status -------------------------------------------------------------------------------------------------------
    ("status", "NoMatchingParent"): (
        "`kubectl describe {object}`: parentRefs names no Gateway or listener (name, namespace, sectionName, port); "
        "the platform's is `edge/shared-gateway`."
    ),
    ("status", "NotAllowedByListeners"): (
        "The Gateway's listeners don't let namespace {namespace} in: give the namespace the label that allowedRoutes "
        "selects: `kubectl get namespace {namespace} --show-labels`."
    ),
    ("status", "NoMatchingListenerHostname"): (
        "No hostname of the route is one of the listener's: `kubectl describe {object}`, and the hostname of the "
        "Gateway's listeners."
    ),
    ("status", "BackendNotFound"): (
        "The Service or port that the route names doesn't exist: `kubectl get services -n {namespace}`, and see "
        "whether the application is synced."
    ),
    ("status", "RefNotPermitted"): (
        "A reference goes to another namespace without permission: add a ReferenceGrant in the namespace that is "
        "referred to, from this kind and namespace {namespace}; the message names both."
    ),
    ("status", "InvalidKind"): (
        "A reference is to a kind that can't be used there: the message names it; use a Service."
    ),
    ("status", "InvalidCertificateRef"): (
        "The Secret of the listener is missing or no key pair: `kubectl get secrets -n {namespace}`; `gatewright "
        "deploy` makes edge/gateway-tls in its step `secrets`."
    ),
    ("status", "UnsupportedValue"): (
        "The implementation can't do what a field asks for; the message names it and what to use instead. For load "
        "balancers of AWS docs/alb-support.md lists all of them."
    ),
    ("status", "PartiallyInvalid"): (
        "Some rules are left out; the message names field and reason: `kubectl describe {object}`."
    ),
    ("status", "Conflicted"): (
        "Two listeners or routes claim the same; the older one has it: `kubectl describe {object}`."
    ),
    ("status", "AddressNotAssigned"): (
        "The Gateway has no address yet: look at the check load-balancer. `kubectl get services -n {namespace}` shows "
        "whether its Service has one; `kubectl logs -n gatewright-system deploy/gatewright` why not."
    ),
    ("status", "Pending"): (
        "No controller has taken it up: see that the GatewayClass is accepted (`kubectl get gatewayclass`) and that "
        "its controller runs: istiod for `istio`, gatewright for `alb`, `nlb` and EdgeBindings."
    ),
    ("status", "TargetGroupNotFound"): (
        "The target group that the EdgeBinding names doesn't exist in this account and region: compare `terraform "
        "output target_group_name` with `kubectl get {object} -o yaml` (spec.aws.targetGroup), and run `gatewright "
        "deploy` again, so that the root Application says the new name."
    ),
    ("status", "NotPermitted"): (
        "The target group's tag gatewright.dev/namespaces doesn't name namespace {namespace}: add it where Terraform "
        "makes the group, so that EdgeBindings of other namespaces stay out."
    ),
    ("status", "AccessDenied"): (
        "AWS denies the controller a call, which the message names: compare the IAM role's policy with "
        "config/iam/policy.json, and see that the pods have the role: `aws eks list-pod-identity-associations "
        "--cluster-name CLUSTER --namespace gatewright-system`. Targets may only be registered in target groups that "
        "have the tag gatewright.dev/namespaces."
    ),
    ("status", "NotConfigured"): (
        "The controller has no credentials: its ServiceAccount gatewright-system/gatewright needs a pod identity "
        "association (add-on eks-pod-identity-agent), or a role by annotation."
    ),
    ("status", "NoAddress"): (
        "The Gateway has no load balancer to bind: look at the check load-balancer; `kubectl get gateway -A` shows "
        "addresses."
    ),
    ("status", "AddressNotFound"): (
        "The Gateway's address belongs to no load balancer of this account and region: see with `aws elbv2 "
        "describe-load-balancers` whether somebody deleted it."
    ),
    ("status", "GatewayNotFound"): "The Gateway that the EdgeBinding names doesn't exist: `kubectl get gateway -A`.",
    ("status", "NoEndpoints"): (
        "No pod of the Gateway is ready: `kubectl get pods -A -l gateway.networking.k8s.io/gateway-name`."
    ),
    ("status", "NotInUse"): (
        "Let a listener of the ALB forward to the target group: `terraform plan` shows who changed it."
    ),
    ("status", "RouteMissing"): (
        "The Gateway has no route for the health check's path, so that the load balancer in front takes it out of "
        "service: apply the HTTPRoute of the health responder in namespace gateway-health for /healthz, without "
        "hostnames."
    ),
    ("status", "UnexpectedAnswer"): (
        "The health check's path is answered with another status than the target group expects: `kubectl get pods -n "
        "gateway-health`, and the group's matcher."
    ),
    ("status", "HostnameLimited"): (
        "The listener or the route takes only some hostnames, and a health check comes without any: leave hostnames "
        "out of the health responder's route, and hostname out of the Gateway's listener."
    ),
    ("status", "ProtocolMismatch"): (
        "The target group and the Gateway's listener speak different protocols: HTTPS to 443, HTTP to 80; compare "
        "`terraform output` with spec.port of the EdgeBinding."
    ),
    ("status", "NoListener"): (
        "Set spec.port of the EdgeBinding to the port of a listener of the Gateway; the message names them."
    ),
    ("status", "Unhealthy"): "Look at the check target-health, which has AWS's reason for each target.",
    ("status", "behind"): (
        "Nobody looks after it now: see that its controller runs and has the right to write its status: `kubectl logs "
        "-n gatewright-system deploy/gatewright`, `kubectl logs -n istio-system deploy/istiod`."
    ),
    ("status", "Ingress"): (
        "No load balancer was made for it: `kubectl describe {object}` (events), and whether its ingressClassName is a "
        "controller's."
    ),
    ("status", ""): "`kubectl describe {object}` has the condition in full; its message says what to change.",
    # --- finalizer ----------------------------------------------------------------------------------------------------
    ("finalizer", "resources-finalizer.argocd.argoproj.io"): (
        "Argo CD still deletes what belongs to it: `kubectl get {object} -o yaml` (status.resources) names what is "
        "left, and that has a finalizer of its own. See that argocd-application-controller runs."
    ),
    ("finalizer", "gatewright.dev/edge-binding"): (
        "The controller has to deregister targets first: see that it runs and may, `kubectl logs -n gatewright-system "
        "deploy/gatewright`. Only when it is gone for good: deregister them by hand, then remove the finalizer."
    ),
    ("finalizer", "service.k8s.aws/resources"): (
        "The controller has to delete the Service's load balancer first: `kubectl describe {object}` (events) says "
        "what AWS refuses; see that the controller runs. Removing the finalizer leaves the load balancer behind."
    ),
    ("finalizer", "gateway.k8s.aws/alb"): (
        "The controller has to delete the Gateway's ALB first: `kubectl describe {object}` and `kubectl logs -n "
        "gatewright-system deploy/gatewright`. Removing the finalizer leaves the ALB behind."
    ),
    ("finalizer", "gateway.k8s.aws/nlb"): (
        "The controller has to delete the Gateway's NLB first: `kubectl describe {object}` and `kubectl logs -n "
        "gatewright-system deploy/gatewright`. Removing the finalizer leaves the NLB behind."
    ),
    ("finalizer", "kubernetes"): (
        "Something in the namespace doesn't go: `kubectl api-resources --verbs=list --namespaced -o name | xargs -n 1 "
        "kubectl get -n {namespace} --ignore-not-found` lists it."
    ),
    ("finalizer", "none"): (
        "Nothing holds it but its own end: `kubectl describe {object}` (events, terminating containers)."
    ),
    ("finalizer", ""): (
        "Whoever put {finalizers} on it has to take it off: see that this controller runs and what it logs; `kubectl "
        "get {object} -o yaml` shows the object."
    ),
    # --- application --------------------------------------------------------------------------------------------------
    ("application", "none"): (
        "The root Application isn't there: run `gatewright deploy` again, whose step `applications` applies it; "
        "`kubectl get applications -n argocd`."
    ),
    ("application", "ComparisonError"): (
        "Argo CD can't make its manifests, or can't reach the repository: the message says why; `kubectl logs -n "
        "argocd deploy/argocd-repo-server`. `kubectl get application {name} -n {namespace} -o yaml` shows the source. "
        "A private one asks for credentials: a Secret labelled argocd.argoproj.io/secret-type: repository."
    ),
    ("application", "InvalidSpecError"): (
        "Its project doesn't permit the repository, the destination or a kind: `kubectl get appprojects -n {namespace} "
        "-o yaml`; the message names it."
    ),
    ("application", "SyncError"): (
        "The last sync failed: `kubectl get application {name} -n {namespace} -o yaml` (status.operationState) names "
        "the object that was refused, and why."
    ),
    ("application", "DeletionError"): (
        "Its deletion failed: the message names what doesn't go; look at the check deletion."
    ),
    ("application", "sync-Failed"): (
        "The last sync failed: `kubectl get application {name} -n {namespace} -o yaml` "
        "(status.operationState.syncResult) names the object that was refused, and why."
    ),
    ("application", "sync-Error"): (
        "The last sync broke off: `kubectl get application {name} -n {namespace} -o yaml` (status.operationState), "
        "`kubectl logs -n argocd statefulset/argocd-application-controller`."
    ),
    ("application", "Degraded"): (
        "A resource of it is broken: the one named here; `kubectl describe` it, and look at its pods and events."
    ),
    ("application", "Progressing"): (
        "A resource of it isn't there yet: the one named here; when it stays so, `kubectl describe` it. Later waves "
        "wait for it."
    ),
    ("application", "Missing"): (
        "Something that Git has isn't in the cluster: the resource named here; sync it, and see status.operationState "
        "of `kubectl get application {name} -n {namespace} -o yaml`."
    ),
    ("application", "OutOfSync"): (
        "The cluster differs from Git: somebody changed an object by hand, or a sync is due: `kubectl get application "
        "{name} -n {namespace} -o yaml` (status.resources); see that selfHeal is on."
    ),
    ("application", "Unknown"): (
        "Argo CD hasn't looked at it yet: see that argocd-application-controller runs: `kubectl get pods -n argocd`."
    ),
    ("application", ""): "`kubectl get application {name} -n {namespace} -o yaml` (status) says more.",
    # --- argocd -------------------------------------------------------------------------------------------------------
    ("argocd", "missing"): (
        "Argo CD isn't installed: run `gatewright deploy` again, whose step `argocd` does it; `kubectl get all -n "
        "{namespace}`."
    ),
    ("argocd", "scaled"): "Somebody scaled it down: `kubectl scale -n {namespace} deployment/{name} --replicas=1`.",
    ("argocd", "unavailable"): (
        "`kubectl get pods -n {namespace}` and `kubectl describe deployment -n {namespace} {name}`: an image that "
        "can't be pulled, or no node that takes it (check placement)."
    ),
    ("argocd", "unreachable"): (
        "Argo CD can't be reached: `kubectl get pods,endpointslices -n {namespace}`, then `kubectl port-forward "
        "svc/{name} -n {namespace} 8080:443` and https://localhost:8080."
    ),
    # --- controller ---------------------------------------------------------------------------------------------------
    ("controller", "missing"): (
        "The controller isn't installed: look at its Application (`kubectl get applications -n argocd`), whose chart "
        "is deploy/chart/gatewright."
    ),
    ("controller", "scaled"): "Somebody scaled it down: `kubectl scale -n {namespace} deployment/{name} --replicas=2`.",
    ("controller", "unavailable"): (
        "`kubectl get pods -n {namespace}` and `kubectl logs -n {namespace} deploy/{name}`: it ends when it can't "
        "reach AWS or may not read what it needs."
    ),
    ("controller", "no-lease"): (
        "No replica leads, so that nothing is brought about: `kubectl get lease -n {namespace} {name} -o yaml`, "
        "`kubectl logs -n {namespace} deploy/{name}`; its Role gatewright-leader has to let it patch the lease."
    ),
    ("controller", "denied"): (
        "AWS denies it calls: compare its role's policy with config/iam/policy.json; `aws eks "
        "list-pod-identity-associations --cluster-name CLUSTER --namespace {namespace}` names the role."
    ),
    ("controller", "forbidden"): (
        "The cluster denies it what the message names: compare ClusterRole gatewright-controller with "
        "config/rbac/role.yaml (the chart has the same): `kubectl auth can-i --list "
        "--as=system:serviceaccount:{namespace}:{name}`."
    ),
}
"""By topic and reason; the texts' names are those that `advise` is given."""
