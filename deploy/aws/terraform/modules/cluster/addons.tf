# Versions of the add-ons, those that EKS holds to be right for the cluster's: an upgrade of it takes them along, as EKS by
# itself does not.

data "aws_eks_addon_version" "this" {
  for_each = toset(["coredns", "eks-pod-identity-agent", "kube-proxy", "vpc-cni"])

  addon_name         = each.key
  kubernetes_version = var.kubernetes_version
}

output "addon_versions" {
  description = "Versions of add-ons by their names."
  value       = { for name, found in data.aws_eks_addon_version.this : name => found.version }
}
