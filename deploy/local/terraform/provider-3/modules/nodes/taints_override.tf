# Provider 3.x: the taints of groups.tf, as configuration of the nodes' kubelet in the launch template's user data.

resource "aws_launch_template" "this" {
  user_data = length(each.value.taints) == 0 ? null : base64encode(join("\n", [
    "MIME-Version: 1.0",
    "Content-Type: multipart/mixed; boundary=\"//\"",
    "",
    "--//",
    "Content-Type: application/node.eks.aws",
    "",
    yamlencode({
      apiVersion = "node.eks.aws/v1alpha1"
      kind       = "NodeConfig"
      spec       = { kubelet = { config = { registerWithTaints = each.value.taints } } }
    }),
    "--//--",
    "",
  ]))
}
