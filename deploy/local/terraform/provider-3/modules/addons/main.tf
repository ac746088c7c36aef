# Provider 3.x: without configuration values, and with one argument for both kinds of conflicts.

resource "aws_eks_addon" "this" {
  for_each = var.addons

  cluster_name      = var.cluster_name
  addon_name        = each.key
  resolve_conflicts = "OVERWRITE"
}
