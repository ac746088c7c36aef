# This version of the provider doesn't know AWS_ENDPOINT_URL. Newer ones do, and need neither variable nor block.

terraform {
  required_providers {
    aws = { source = "gatewright.test/hashicorp/aws" }
  }
}

variable "endpoint" { type = string }

provider "aws" {
  s3_force_path_style = true

  endpoints {
    acm     = var.endpoint
    ec2     = var.endpoint
    eks     = var.endpoint
    elb     = var.endpoint
    iam     = var.endpoint
    route53 = var.endpoint
    s3      = var.endpoint
    sts     = var.endpoint
    wafv2   = var.endpoint
  }
}
