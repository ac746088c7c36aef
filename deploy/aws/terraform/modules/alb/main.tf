# The ALB at which clients come in. Its target group is empty: an EdgeBinding fills it with the addresses of the NLB.

resource "aws_lb" "this" {
  #checkov:skip=CKV2_AWS_76:the web ACL has AWSManagedRulesKnownBadInputsRuleSet, in a dynamic block that the check does not see
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = false
  subnets                    = var.subnet_ids
  security_groups            = [var.security_group_id]
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection

  access_logs {
    enabled = true
    bucket  = var.log_bucket
    prefix  = "alb"
  }
}

resource "aws_wafv2_web_acl_association" "this" {
  resource_arn = aws_lb.this.arn
  web_acl_arn  = var.web_acl_arn
}

locals {
  port   = { HTTPS = 443, HTTP = 80 }[var.backend_protocol]
  suffix = { HTTPS = "", HTTP = "-80" }[var.backend_protocol] # names have 32 characters at the most
}

resource "aws_lb_target_group" "gateway" {
  name                 = "${var.name}-gateway${local.suffix}"
  target_type          = "ip"
  protocol             = var.backend_protocol
  port                 = local.port
  vpc_id               = var.vpc_id
  deregistration_delay = 30

  # Whose EdgeBindings may use it.
  tags = { "gatewright.dev/namespaces" = "edge" }

  health_check {
    protocol            = var.backend_protocol
    path                = "/healthz/ready"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }

  # Another protocol makes another one, to which the listener turns before the old one goes.
  lifecycle {
    create_before_destroy = true
  }
}
