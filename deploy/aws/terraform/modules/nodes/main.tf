# Managed node groups in the private subnets. Their role has no more than nodes need; pods have identities of their own.

resource "aws_iam_role" "this" {
  name = "${var.cluster_name}-node"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = toset(["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy"])

  role       = aws_iam_role.this.name
  policy_arn = "arn:${var.partition}:iam::aws:policy/${each.value}"
}

resource "aws_launch_template" "this" {
  for_each = var.groups

  name                   = "${var.cluster_name}-${each.key}"
  update_default_version = true

  # With one hop, pods can't take the node's role from the instance's metadata.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = "/dev/xvda"
    ebs {
      volume_type           = "gp3"
      volume_size           = 50
      encrypted             = true
      delete_on_termination = true
    }
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume"]
    content {
      resource_type = tag_specifications.value
      tags          = { Name = "${var.cluster_name}-${each.key}" }
    }
  }
}
