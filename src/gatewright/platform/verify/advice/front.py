"""What to look at next where clients don't get what they should, from names to load balancers and targets."""

from __future__ import annotations

from typing import Final

TABLE: Final[dict[tuple[str, str], str]] = {
    # --- reach --------------------------------------------------------------------------------------------------------
    ("reach", "cluster"): (
        "See whether the API server answers and who you are to it: `kubectl get --raw /readyz` and `kubectl auth "
        "whoami` with the same kubeconfig; write the kubeconfig anew where its credentials have expired."
    ),
    ("reach", "credentials"): (
        "Give credentials for the platform's account: `aws sts get-caller-identity` says whose these are; set "
        "AWS_PROFILE, or sign in again."
    ),
    ("reach", "aws"): (
        "Look at what AWS refused, and at who you are: `aws sts get-caller-identity`. Reading needs the Describe "
        "actions of Elastic Load Balancing, EC2, ACM and WAF."
    ),
    ("reach", "slow"): "Run it again with a longer --timeout; if it stays so, look at what this part depends on first.",
    ("reach", "broken"): (
        "This is a fault of gatewright, not of the platform: report it, with the traceback on standard error."
    ),
    # --- dns ----------------------------------------------------------------------------------------------------------
    ("dns", "missing"): (
        "Look for the record of {name}: `aws route53 list-resource-record-sets --hosted-zone-id ZONE`, and whether the "
        "domain is delegated to the zone's name servers: `dig +trace {name}`. It has to lead to {door}."
    ),
    ("dns", "elsewhere"): (
        "Point {name} at {door}, by an alias record or a CNAME, and wait for the old record's time to live: `dig "
        "{name}` shows it."
    ),
    ("dns", "door"): (
        "See whether the load balancer is still there and active: `aws elbv2 describe-load-balancers`; its name exists "
        "for as long as it does."
    ),
    # --- endpoint -----------------------------------------------------------------------------------------------------
    ("endpoint", "no-routes"): (
        "See whether the applications are synced (check application) and which Gateway their routes name: `kubectl get "
        "httproutes -A -o wide`, `kubectl get gateway -A`."
    ),
    ("endpoint", "no-door"): (
        "No load balancer leads to Gateway {gateway}: look at the checks load-balancer and statuses; `gatewright "
        "chain` shows where the chain ends."
    ),
    ("endpoint", "connection"): (
        "See whether {door} listens and lets you in: its listeners, its security groups (ports 80 and 443 from where "
        "you are), and whether a firewall is in between: `curl -v {url}`."
    ),
    ("endpoint", "certificate"): (
        "Look at the check certificate: clients refuse what {door} shows. `openssl s_client -connect {host}:443 "
        "-servername {host}` shows the chain."
    ),
    ("endpoint", "gateway-404"): (
        "The Gateway has no route for it: `kubectl describe {route}` (hostnames, parentRefs, Accepted), and whether "
        "the listener lets its namespace in (allowedRoutes). `kubectl get httproute -A` shows who else claims it."
    ),
    ("endpoint", "gateway-500"): (
        "A reference of the route leads nowhere or isn't permitted: `kubectl describe {route}` says so in "
        "ResolvedRefs; a Service of another namespace needs a ReferenceGrant there."
    ),
    ("endpoint", "gateway-503"): (
        "No pod answers behind the route: `kubectl get endpointslices,pods -n {namespace}`; see whether the Service's "
        "selector and port fit the pods, and whether the pods are ready."
    ),
    ("endpoint", "gateway-403"): (
        "The mesh or a policy refuses it: `kubectl get authorizationpolicies -A`; the one of namespace {namespace} has "
        "to let the Gateway's service account in."
    ),
    ("endpoint", "gateway"): (
        "The Gateway's proxy refuses it: look at its log, `kubectl logs -n {gateway_namespace} -l "
        "gateway.networking.k8s.io/gateway-name={gateway_name}`, for the response flags of this path."
    ),
    ("endpoint", "front-403"): (
        "The web ACL blocks it: look at its sampled requests (WAF console, or `aws wafv2 get-sampled-requests`) for "
        "the rule, and count instead of block where it is wrong."
    ),
    ("endpoint", "front-404"): (
        "The load balancer has no rule for it: `kubectl describe {route}` says why it was left out (Accepted, "
        "PartiallyInvalid); `aws elbv2 describe-rules --listener-arn ARN` lists what there is."
    ),
    ("endpoint", "front-502"): (
        "The target closed the connection or the TLS handshake with it failed: compare the target group's protocol "
        "with what the targets speak on that port, and look at the checks target-health and certificate."
    ),
    ("endpoint", "front-503"): (
        "The target group has no target: look at the checks target-health and statuses (EdgeBinding); `aws elbv2 "
        "describe-target-health` and `kubectl describe edgebindings -A` say why."
    ),
    ("endpoint", "front-504"): (
        "The target doesn't answer in time: security groups and network ACLs between the load balancer and its "
        "targets, then how long the application takes."
    ),
    ("endpoint", "front"): (
        "{door} refuses it itself: look at its listeners and rules, and at its access log for this request."
    ),
    ("endpoint", "application"): (
        "The application itself answers so: look at its log, `kubectl logs -n {namespace} --tail=50 SERVICE'S PODS`."
    ),
    ("endpoint", "redirect"): (
        "The route is to redirect: `kubectl describe {route}`, and see with `gatewright chain` whether another route "
        "takes the request first."
    ),
    # --- redirect -----------------------------------------------------------------------------------------------------
    ("redirect", "location"): (
        "Look at the default action of the HTTP listener of {door}: a redirect, HTTP_301, to HTTPS port 443 with host, "
        "path and query kept (`#{{host}}`, `/#{{path}}`, `#{{query}}`)."
    ),
    ("redirect", "none"): (
        "Make the HTTP listener of {door} redirect to HTTPS: in Terraform the listener of port 80, in the direct "
        "architecture the route or LoadBalancerConfiguration that redirects."
    ),
    # --- certificate --------------------------------------------------------------------------------------------------
    ("certificate", "expired"): (
        "Renew the certificate that {door} shows: one that AWS issued renews by its DNS validation record, an imported "
        "one has to be imported again: `aws acm describe-certificate --certificate-arn ARN` tells which it is."
    ),
    ("certificate", "soon"): (
        "It should have been renewed by now: `aws acm describe-certificate` (RenewalSummary), and whether the "
        "validation record still exists; an imported one has to be imported again."
    ),
    ("certificate", "early"): "Compare the clocks: `date -u` here, and when the certificate was issued.",
    ("certificate", "name"): (
        "Give the listener of {door} a certificate that is for {name} as well: in Terraform the names of the "
        "certificate are those of `domain`; a wildcard stands for one label only."
    ),
    ("certificate", "untrusted"): (
        "See who signed it: `openssl s_client -connect {name}:443 -servername {name} -showcerts`. An imported "
        "certificate needs its whole chain; a private authority has to be known to clients."
    ),
    ("certificate", "secret"): (
        "Look at the Secret and at the Gateway's ResolvedRefs: `kubectl get secret {secret}`, `kubectl describe "
        "gateway {gateway}`. `gatewright deploy` makes the Secret anew where it is missing; one of another namespace "
        "needs a ReferenceGrant."
    ),
    ("certificate", "backend-expired"): (
        "Run `gatewright deploy` again: its step `secrets` renews the certificate in Secret {secret}. An ALB goes on "
        "with an expired one, an Application Gateway doesn't: it answers 502."
    ),
    ("certificate", "backend-soon"): (
        "Run `gatewright deploy` again: its step `secrets` renews the certificate in Secret {secret} when less than 30 "
        "days are left."
    ),
    ("certificate", "backend-early"): (
        "Compare the clocks: `date -u` here, and when the certificate in {secret} was issued."
    ),
    ("certificate", "backend-name"): (
        "The certificate in Secret {secret} is for other names than clients of Gateway {gateway} use: delete the "
        "Secret and run `gatewright deploy` again, with the domain that is meant. An Application Gateway checks this "
        "name."
    ),
    ("certificate", "backend-stale"): (
        "Gateway {gateway} hasn't taken the Secret's new content: look at its listener's conditions and at the log of "
        "what serves it (istiod and the Gateway's pods); restart those where they say nothing."
    ),
    # --- tls-version --------------------------------------------------------------------------------------------------
    ("tls-version", ""): (
        "Set the security policy of the HTTPS listener of {door} to one from TLS 1.2 on, as "
        "ELBSecurityPolicy-TLS13-1-2-2021-06: in Terraform the variable for it."
    ),
    # --- acm ----------------------------------------------------------------------------------------------------------
    ("acm", "pending"): (
        "The certificate waits for its validation: the CNAME in `aws acm describe-certificate --certificate-arn {arn}` "
        "(DomainValidationOptions) has to exist in public DNS, so the hosted zone has to be delegated to."
    ),
    ("acm", "not-issued"): "Request it anew: `terraform apply -replace` of the certificate; ACM doesn't repair {arn}.",
    ("acm", "renewal"): (
        "Put the validation record back that `aws acm describe-certificate --certificate-arn {arn}` names "
        "(RenewalSummary), and see that CAA records permit amazon.com."
    ),
    ("acm", "imported"): (
        "Import a new one over it: `aws acm import-certificate --certificate-arn {arn} ...`; ACM doesn't renew what it "
        "hasn't issued."
    ),
    # --- load-balancer ------------------------------------------------------------------------------------------------
    ("load-balancer", "no-gateway"): (
        "See whether Gateway edge/shared-gateway exists and its class is accepted: `kubectl get gateway,gatewayclass "
        "-A`; it comes with the platform's Applications (check application)."
    ),
    ("load-balancer", "gone"): (
        "Somebody deleted it: run `terraform plan` for what Terraform made, or restart the controller for what it "
        "made; CloudTrail tells who called DeleteLoadBalancer."
    ),
    ("load-balancer", "silent"): (
        "Nobody makes a load balancer for Service {namespace}/{service}: see whether a controller runs that does "
        "(`kubectl logs -n gatewright-system deploy/gatewright`), and whether the Service's class is its: `kubectl "
        "describe service -n {namespace} {service}` (loadBalancerClass, annotation "
        "service.beta.kubernetes.io/aws-load-balancer-type: external, set by Gateway {gateway})."
    ),
    ("load-balancer", "denied"): (
        "The controller's IAM role lacks the action that the message names: compare it with config/iam/policy.json, "
        "and see that the pods run with that role: `aws eks list-pod-identity-associations --cluster-name CLUSTER`, "
        "`kubectl describe service -n {namespace} {service}`."
    ),
    ("load-balancer", "subnets"): (
        "Tag at least two subnets of different zones for it: kubernetes.io/role/internal-elb=1 for an internal load "
        "balancer, kubernetes.io/role/elb=1 for an internet-facing one; `aws ec2 describe-subnets --filters "
        "Name=tag-key,Values=kubernetes.io/role/internal-elb`."
    ),
    ("load-balancer", "quota"): (
        "Ask for a higher quota, or delete load balancers that nobody needs: `aws service-quotas list-service-quotas "
        "--service-code elasticloadbalancing`."
    ),
    ("load-balancer", "FailedBuildModel"): (
        "What the Service asks for can't be made: its annotations come from Gateway {gateway} "
        "(spec.infrastructure.annotations); `kubectl describe service -n {namespace} {service}` names the one."
    ),
    ("load-balancer", "FailedDeployModel"): (
        "AWS refused what the controller asked for: `kubectl describe service -n {namespace} {service}` and `kubectl "
        "logs -n gatewright-system deploy/gatewright` have AWS's words."
    ),
    ("load-balancer", "no-service"): (
        "Whoever implements the Gateway's class hasn't made its Service: `kubectl describe gateway {gateway}` "
        "(Accepted, Programmed), `kubectl logs -n istio-system deploy/istiod`; see that the GatewayClass is accepted."
    ),
    ("load-balancer", "none"): (
        "The controller hasn't made it: `kubectl describe gateway {service} -n {namespace}` (Programmed, events), "
        "`kubectl logs -n gatewright-system deploy/gatewright`."
    ),
    ("load-balancer", "failed"): (
        "AWS couldn't make {name}: `aws elbv2 describe-load-balancers --names {name}` has the reason; delete it, so "
        "that it is made anew."
    ),
    ("load-balancer", "provisioning"): "Wait a minute or two and run it again; AWS is still making {name}.",
    ("load-balancer", "zones"): (
        "{name} doesn't survive the loss of its zone: give it subnets of two zones or more (Terraform: the subnets; a "
        "Service: tags of the subnets)."
    ),
    ("load-balancer", "listeners"): (
        "Nothing listens on {name}: see what was to make its listeners, Terraform or the controller."
    ),
    # --- target -------------------------------------------------------------------------------------------------------
    ("target", "group-gone"): (
        "Target group {group} is gone: run `terraform plan`, and apply; then the EdgeBinding binds anew."
    ),
    ("target", "none"): (
        "Nothing is registered in {group}: `kubectl describe edgebindings -A` says why (Bound); for a group of a "
        "Service or Gateway, look whether the Service has ready endpoints: `kubectl get endpointslices -A`."
    ),
    ("target", "Target.ResponseCodeMismatch"): (
        "The health check ({check}) expects {matcher}: what it gets instead is in the description. 404 says that no "
        "route of the Gateway is for its path: apply the HTTPRoute of the health responder (namespace gateway-health, "
        "/healthz); 503 that its pods aren't ready."
    ),
    ("target", "Target.Timeout"): (
        "The health check ({check}) gets no answer: security groups and network ACLs between the load balancer and "
        "{target}, then whether anything listens there: `kubectl get pods -o wide -A`."
    ),
    ("target", "Target.FailedHealthChecks"): (
        "The connection to {target} fails: see that it speaks {protocol} on that port (a Gateway without certificate "
        "resets TLS: check backend-certificate), and that security groups let the load balancer in."
    ),
    ("target", "Target.NotInUse"): (
        "No listener forwards to {group}, or the target's zone isn't one of the load balancer's: `aws elbv2 "
        "describe-listeners`, and its subnets."
    ),
    ("target", "Target.InvalidState"): (
        "The instance is stopped or terminated: see the node group and the Auto Scaling group."
    ),
    ("target", "Target.IpUnusable"): (
        "{target} is an address that can't be a target, as it is a load balancer's own: an EdgeBinding with via "
        "Endpoints registers the pods themselves."
    ),
    ("target", "Target.NotRegistered"): (
        "{target} was deregistered: `kubectl describe edgebindings -A` tells by whom it is bound."
    ),
    ("target", "Elb.InitialHealthChecking"): (
        "Its first health checks are under way: wait for interval times threshold, and run it again."
    ),
    ("target", "Elb.RegistrationInProgress"): "It is being registered: wait a minute, and run it again.",
    ("target", "Elb.InternalError"): "AWS's own fault, by its words: see the AWS Health Dashboard.",
    ("target", ""): "`aws elbv2 describe-target-health --target-group-arn ARN` of {group} says more about {target}.",
    # --- access-logs --------------------------------------------------------------------------------------------------
    ("access-logs", "off"): (
        "Turn them on for {door}: in Terraform the ALB's access_logs, in the direct architecture the attribute "
        "access_logs.s3.enabled of the LoadBalancerConfiguration; the bucket's policy has to let the service in."
    ),
    ("access-logs", "elsewhere"): (
        "Somebody changed the attribute access_logs.s3.bucket of {door}: run `terraform plan`."
    ),
    # --- web-acl ------------------------------------------------------------------------------------------------------
    ("web-acl", "none"): (
        "Associate it: in Terraform the association with the ALB, in the direct architecture webACLv2 of the "
        "LoadBalancerConfiguration. `aws wafv2 get-web-acl-for-resource` says what {door} has."
    ),
    ("web-acl", "other"): (
        "Somebody associated another one with {door}: run `terraform plan`, or look at the configuration."
    ),
    ("web-acl", "passes"): (
        "The rule that should block isn't in force: see whether it counts only (override action Count), and whether "
        "logging shows the request: `aws wafv2 get-web-acl`."
    ),
    # --- azure --------------------------------------------------------------------------------------------------------
    ("azure", "backend"): (
        "The Application Gateway's probe fails; its words are in what was found. A certificate or root mismatch: the "
        "Gateway's CA has to be its trusted root and the name has to fit (check backend-certificate). No answer: the "
        "Service's externalTrafficPolicy Local and the network security groups: `az network application-gateway "
        "show-backend-health -g {group} -n {name}`."
    ),
    ("azure", "address"): (
        "The internal load balancer hasn't the fixed address: annotation "
        "service.beta.kubernetes.io/azure-load-balancer-ipv4 on the Gateway's Service, by spec.infrastructure, has to "
        "be {address}: `kubectl get services -n edge`."
    ),
    ("azure", "state"): (
        "`az network application-gateway show -g {group} -n {name}` (operationalState, provisioningState); start it if "
        "it is stopped."
    ),
    ("azure", "firewall"): "Associate the WAF policy with {name} in Prevention mode: `terraform plan`.",
}
"""By topic and reason; the texts' names are those that `advise` is given."""
