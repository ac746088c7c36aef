# The front of a cluster as a platform team makes it: a public ALB with a web ACL and access logs, re-encrypting to an
# internal NLB, which passes connections on to pods.

variable "certificate" { type = string }
variable "key" { type = string }
variable "pods" { type = map(object({ address = string, port = number })) }
variable "health_path" {
  type    = string
  default = "/healthz/ready"
}
variable "teapot_paths" {
  type    = list(string)
  default = ["/teapot"]
}

data "aws_vpc" "cluster" {
  tags = { Name = "gatewright" }
}

data "aws_subnet" "public" {
  for_each = toset(["public-a", "public-b"])
  vpc_id   = data.aws_vpc.cluster.id
  tags     = { Name = "gatewright-${each.key}" }
}

data "aws_subnet" "private" {
  for_each = toset(["private-a", "private-b"])
  vpc_id   = data.aws_vpc.cluster.id
  tags     = { Name = "gatewright-${each.key}" }
}

data "aws_elb_service_account" "this" {}
data "aws_caller_identity" "this" {}

resource "aws_s3_bucket" "logs" {
  bucket        = "front-logs"
  force_destroy = true
}

resource "aws_s3_bucket_public_access_block" "logs" {
  bucket                  = aws_s3_bucket.logs.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

data "aws_iam_policy_document" "logs" {
  statement {
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.logs.arn}/edge/AWSLogs/${data.aws_caller_identity.this.account_id}/*"]
    principals {
      type        = "AWS"
      identifiers = [data.aws_elb_service_account.this.arn]
    }
  }
}

resource "aws_s3_bucket_policy" "logs" {
  bucket     = aws_s3_bucket.logs.id
  policy     = data.aws_iam_policy_document.logs.json
  depends_on = [aws_s3_bucket_public_access_block.logs]
}

resource "aws_acm_certificate" "front" {
  certificate_body = var.certificate
  private_key      = var.key
  tags             = { Name = "front" }
  lifecycle { create_before_destroy = true }
}

resource "aws_security_group" "front" {
  name        = "front"
  description = "Clients of the front"
  vpc_id      = data.aws_vpc.cluster.id
  dynamic "ingress" {
    for_each = [80, 443]
    content {
      from_port   = ingress.value
      to_port     = ingress.value
      protocol    = "tcp"
      cidr_blocks = ["0.0.0.0/0"]
    }
  }
  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_lb" "front" {
  name                       = "front"
  load_balancer_type         = "application"
  security_groups            = [aws_security_group.front.id]
  subnets                    = [for one in data.aws_subnet.public : one.id]
  idle_timeout               = 30
  drop_invalid_header_fields = true
  access_logs {
    bucket  = aws_s3_bucket.logs.id
    prefix  = "edge"
    enabled = true
  }
  tags       = { Team = "platform" }
  depends_on = [aws_s3_bucket_policy.logs]
}

resource "aws_lb_target_group" "gateway" {
  name                 = "gateway"
  protocol             = "HTTPS"
  port                 = 443
  target_type          = "ip"
  vpc_id               = data.aws_vpc.cluster.id
  deregistration_delay = 30
  slow_start           = 30
  health_check {
    protocol            = "HTTPS"
    path                = var.health_path
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
  stickiness {
    type            = "lb_cookie"
    cookie_duration = 600
    enabled         = false
  }
  tags = { Team = "platform" }
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.front.arn
  port              = 80
  protocol          = "HTTP"
  default_action {
    type = "redirect"
    redirect {
      port        = "443"
      protocol    = "HTTPS"
      status_code = "HTTP_301"
    }
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.front.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-2016-08"
  certificate_arn   = aws_acm_certificate.front.arn
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.gateway.arn
  }
}

resource "aws_lb_listener_rule" "teapot" {
  listener_arn = aws_lb_listener.https.arn
  priority     = 10
  action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      message_body = "no coffee"
      status_code  = "418"
    }
  }
  condition {
    path_pattern { values = var.teapot_paths }
  }
  condition {
    http_request_method { values = ["GET"] }
  }
}

resource "aws_wafv2_ip_set" "blocked" {
  name               = "blocked"
  scope              = "REGIONAL"
  ip_address_version = "IPV4"
  addresses          = ["192.0.2.0/24", "198.51.100.0/24"]
}

resource "aws_wafv2_web_acl" "front" {
  name  = "front"
  scope = "REGIONAL"
  default_action {
    allow {}
  }
  rule {
    name     = "blocked-addresses"
    priority = 0
    action {
      block {}
    }
    statement {
      ip_set_reference_statement { arn = aws_wafv2_ip_set.blocked.arn }
    }
    visibility_config {
      cloudwatch_metrics_enabled = false
      metric_name                = "blocked-addresses"
      sampled_requests_enabled   = false
    }
  }
  rule {
    name     = "dot-files"
    priority = 1
    action {
      block {}
    }
    statement {
      byte_match_statement {
        search_string         = "/."
        positional_constraint = "CONTAINS"
        field_to_match {
          uri_path {}
        }
        text_transformation {
          priority = 0
          type     = "URL_DECODE"
        }
      }
    }
    visibility_config {
      cloudwatch_metrics_enabled = false
      metric_name                = "dot-files"
      sampled_requests_enabled   = false
    }
  }
  visibility_config {
    cloudwatch_metrics_enabled = false
    metric_name                = "front"
    sampled_requests_enabled   = false
  }
}

resource "aws_wafv2_web_acl_association" "front" {
  resource_arn = aws_lb.front.arn
  web_acl_arn  = aws_wafv2_web_acl.front.arn
}

resource "aws_lb" "inner" {
  name                             = "inner"
  load_balancer_type               = "network"
  internal                         = true
  enable_cross_zone_load_balancing = true
  dynamic "subnet_mapping" {
    for_each = data.aws_subnet.private
    content {
      subnet_id            = subnet_mapping.value.id
      private_ipv4_address = cidrhost(subnet_mapping.value.cidr_block, 9000)
    }
  }
}

resource "aws_lb_target_group" "pods" {
  name        = "pods"
  protocol    = "TCP"
  port        = 8443
  target_type = "ip"
  vpc_id      = data.aws_vpc.cluster.id
  health_check {
    protocol = "TCP"
    interval = 10
  }
}

resource "aws_lb_listener" "inner" {
  load_balancer_arn = aws_lb.inner.arn
  port              = 443
  protocol          = "TCP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.pods.arn
  }
}

resource "aws_lb_target_group_attachment" "pods" {
  for_each         = var.pods
  target_group_arn = aws_lb_target_group.pods.arn
  target_id        = each.value.address
  port             = each.value.port
}

resource "aws_lb_target_group_attachment" "inner" {
  for_each         = data.aws_subnet.private
  target_group_arn = aws_lb_target_group.gateway.arn
  target_id        = cidrhost(each.value.cidr_block, 9000)
  port             = aws_lb_listener.inner.port
}

output "front" { value = aws_lb.front.arn }
output "gateway" { value = aws_lb_target_group.gateway.arn }
output "pods" { value = aws_lb_target_group.pods.arn }
