# Provider 3.x: without update_config, AMI types of our time, and taints, which came with 3.40. Nodes are told by their launch template
# to register themselves with them (taints_override.tf), as AMIs of Amazon Linux 2023 do.

resource "aws_eks_node_group" "this" {
  for_each = var.groups

  cluster_name    = var.cluster_name
  node_group_name = each.key
  version         = var.kubernetes_version
  node_role_arn   = aws_iam_role.this.arn
  subnet_ids      = var.subnet_ids
  instance_types  = each.value.instance_types
  labels          = { role = each.key }

  scaling_config {
    min_size     = each.value.min
    max_size     = each.value.max
    desired_size = each.value.desired
  }

  launch_template {
    id      = aws_launch_template.this[each.key].id
    version = aws_launch_template.this[each.key].latest_version
  }

  lifecycle {
    ignore_changes = [scaling_config[0].desired_size]
  }

  depends_on = [aws_iam_role_policy_attachment.this]
}
