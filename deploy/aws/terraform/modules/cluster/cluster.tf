# The control plane. Who may use its API is said by access entries alone (access.tf). Its network interfaces are in
# private subnets only: in the direct architecture network policies admit what comes from the public ones, where the ALB
# is.

resource "aws_eks_cluster" "this" {
  #checkov:skip=CKV_AWS_38:var.cluster_public_access_cidrs narrows it; whoever asks has to be known to IAM and to have an access entry
  #checkov:skip=CKV_AWS_39:var.cluster_public_access_cidrs = [] turns it off
  name                          = var.name
  role_arn                      = aws_iam_role.this.arn
  version                       = var.kubernetes_version
  enabled_cluster_log_types     = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
  bootstrap_self_managed_addons = false
  deletion_protection           = var.deletion_protection

  vpc_config {
    subnet_ids              = var.subnet_ids
    endpoint_private_access = true
    endpoint_public_access  = length(var.public_access_cidrs) > 0
    public_access_cidrs     = length(var.public_access_cidrs) > 0 ? var.public_access_cidrs : null
  }

  encryption_config {
    resources = ["secrets"]
    provider {
      key_arn = var.key_arn
    }
  }

  access_config {
    authentication_mode                         = "API"
    bootstrap_cluster_creator_admin_permissions = true
  }

  upgrade_policy {
    support_type = "STANDARD"
  }

  # EKS would make a log group of its own otherwise, which is kept for ever and outlives the cluster.
  depends_on = [aws_cloudwatch_log_group.this, aws_iam_role_policy_attachment.this]
}
