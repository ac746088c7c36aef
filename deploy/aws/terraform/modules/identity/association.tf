resource "aws_eks_pod_identity_association" "this" {
  cluster_name    = var.cluster_name
  namespace       = "gatewright-system"
  service_account = "gatewright"
  role_arn        = aws_iam_role.this.arn
}
