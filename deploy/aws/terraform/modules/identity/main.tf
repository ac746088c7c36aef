# Who the gatewright controller is to AWS. What it may do is limited to what has its cluster's tags, by the policies that
# the project keeps for all ways of installing it.

locals {
  namespace       = "gatewright-system"
  service_account = "gatewright"

  texts = { for name in concat(["policy"], var.dns ? ["dns"] : []) : name => file("${path.module}/policies/${name}.json") }
  policies = {
    for name, text in local.texts :
    name => jsonencode(jsondecode(replace(replace(text, "CLUSTER_NAME", var.cluster_name), "arn:aws:", "arn:${var.partition}:")))
  }
}

# Without a condition, whoever may associate roles could give it to any pod of any cluster in the account.
resource "aws_iam_role" "this" {
  name = "${var.cluster_name}-gatewright"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "pods.eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = {
        StringEquals = {
          "aws:RequestTag/eks-cluster-name"           = var.cluster_name
          "aws:RequestTag/kubernetes-namespace"       = local.namespace
          "aws:RequestTag/kubernetes-service-account" = local.service_account
        }
      }
    }]
  })
}

resource "aws_iam_policy" "this" {
  for_each = local.policies

  name   = "${var.cluster_name}-gatewright-${each.key}"
  policy = each.value
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = aws_iam_policy.this

  role       = aws_iam_role.this.name
  policy_arn = each.value.arn
}
