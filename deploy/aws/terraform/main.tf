# Layers 1 and 2 of the platform: the network, the cluster with its nodes and identities, and what stands in front of
# it. What runs in the cluster is not here: Argo CD brings that (deploy/gitops).

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

data "aws_availability_zones" "this" {
  #checkov:skip=CKV_AWS_394:only the first two of the sorted names are taken, and var.zones pins them
  state = "available"

  # EKS has no control planes in these. The IDs are the same for all accounts, the names are not.
  exclude_zone_ids = ["use1-az3", "usw1-az2", "cac1-az3"]

  # No local zones: neither control planes nor NAT gateways stand there.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  chained   = var.architecture == "chained"
  zones     = length(var.zones) > 0 ? var.zones : slice(sort(data.aws_availability_zones.this.names), 0, 2)

  # Of the VPC's eighths the first ones are private subnets, one a zone, and the last one holds the public subnets.
  private_subnet_cidrs = length(var.private_subnet_cidrs) > 0 ? var.private_subnet_cidrs : [
    for index, _ in local.zones : cidrsubnet(var.vpc_cidr, 3, index)
  ]
  public_subnet_cidrs = length(var.public_subnet_cidrs) > 0 ? var.public_subnet_cidrs : [
    for index, _ in local.zones : cidrsubnet(var.vpc_cidr, 6, 56 + index)
  ]

  system_taint = { key = "CriticalAddonsOnly", value = "true", effect = "NoSchedule" }
}

# Layer 1

module "network" {
  source = "./modules/network"

  name                 = var.name
  vpc_cidr             = var.vpc_cidr
  zones                = local.zones
  public_subnet_cidrs  = local.public_subnet_cidrs
  private_subnet_cidrs = local.private_subnet_cidrs
  single_nat_gateway   = var.single_nat_gateway
  partition            = local.partition
  log_bucket           = module.logs.bucket
}

# Layer 2: the cluster

module "encryption" {
  source = "./modules/encryption"

  name       = var.name
  account_id = local.account
  partition  = local.partition
  region     = var.region
}

module "cluster" {
  source = "./modules/cluster"

  name                = var.name
  partition           = local.partition
  kubernetes_version  = var.kubernetes_version
  subnet_ids          = module.network.private_subnet_ids
  public_access_cidrs = var.cluster_public_access_cidrs
  admins              = var.cluster_admins
  key_arn             = module.encryption.key_arn
  deletion_protection = var.deletion_protection
}

# Nodes need a network before they are ready, so these come before them; what runs as pods comes after them.
module "node_addons" {
  source = "./modules/addons"

  cluster_name = module.cluster.name
  versions     = module.cluster.addon_versions
  addons = {
    "eks-pod-identity-agent" = {}
    "kube-proxy"             = {}
    "vpc-cni" = {
      enableNetworkPolicy = "true"
      env                 = { ENABLE_PREFIX_DELEGATION = "true", WARM_PREFIX_TARGET = "1" }
    }
  }
}

module "nodes" {
  source = "./modules/nodes"

  cluster_name       = module.cluster.name
  partition          = local.partition
  kubernetes_version = var.kubernetes_version
  subnet_ids         = module.network.private_subnet_ids
  groups = {
    system = merge(var.system_nodes, { taints = [local.system_taint] })
    user   = merge(var.user_nodes, { taints = [] })
  }

  depends_on = [module.node_addons]
}

module "pod_addons" {
  source = "./modules/addons"

  cluster_name = module.cluster.name
  versions     = module.cluster.addon_versions
  addons = {
    "coredns" = {
      nodeSelector = { role = "system" }
      tolerations  = [{ key = local.system_taint.key, operator = "Exists" }]
    }
  }

  depends_on = [module.nodes]
}

module "identity" {
  source = "./modules/identity"

  cluster_name = module.cluster.name
  partition    = local.partition
  dns          = !local.chained && module.certificate.has_zone
}

# Layer 2: the front

module "certificate" {
  source = "./modules/certificate"

  domain          = var.domain
  certificate_arn = var.certificate_arn
  create_zone     = var.create_hosted_zone
  zone_id         = var.hosted_zone_id
  force_destroy   = var.force_destroy
}

module "logs" {
  source = "./modules/logs"

  bucket         = "${var.name}-${local.account}-${var.region}-access-logs"
  account_id     = local.account
  partition      = local.partition
  region         = var.region
  retention_days = var.access_log_retention_days
  force_destroy  = var.force_destroy
}

module "firewall" {
  source = "./modules/firewall"

  name       = var.name
  mode       = var.web_acl_mode
  rate_limit = var.web_acl_rate_limit
  key_arn    = module.encryption.key_arn
}

module "admission" {
  source = "./modules/admission"

  name                      = var.name
  vpc_id                    = module.network.vpc_id
  ingress_cidrs             = var.ingress_cidrs
  vpc_cidr                  = var.vpc_cidr
  cluster_security_group_id = module.cluster.security_group_id

  # The NLB of the Gateway's Service has no security group: its own addresses, or the ALB's, are what nodes see.
  through_gateway = local.chained
  gateway_ports   = [80, 443, 15021]
  gateway_cidrs   = concat(local.private_subnet_cidrs, local.public_subnet_cidrs)
}

module "alb" {
  source = "./modules/alb"
  count  = local.chained ? 1 : 0

  name                = var.name
  vpc_id              = module.network.vpc_id
  subnet_ids          = module.network.public_subnet_ids
  security_group_id   = module.admission.security_group_id
  certificate_arn     = module.certificate.arn
  ssl_policy          = var.ssl_policy
  backend_protocol    = var.backend_protocol
  web_acl_arn         = module.firewall.arn
  log_bucket          = module.logs.bucket
  deletion_protection = var.deletion_protection
}

module "records" {
  source = "./modules/records"
  count  = local.chained && module.certificate.has_zone ? 1 : 0

  zone_id = module.certificate.zone_id
  names   = module.certificate.names
  target  = { name = module.alb[0].dns_name, zone_id = module.alb[0].zone_id }
}
