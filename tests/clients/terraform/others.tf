# What else load balancers, web ACLs, certificates and names can be, beside front.tf.

resource "aws_acm_certificate" "second" {
  certificate_body = var.certificate
  private_key      = var.key
}

resource "aws_lb_listener_certificate" "second" {
  listener_arn    = aws_lb_listener.https.arn
  certificate_arn = aws_acm_certificate.second.arn
}

resource "aws_lb_target_group" "canary" {
  name                          = "canary"
  protocol                      = "HTTPS"
  protocol_version              = "HTTP1"
  port                          = 443
  target_type                   = "ip"
  vpc_id                        = data.aws_vpc.cluster.id
  load_balancing_algorithm_type = "least_outstanding_requests"
  stickiness {
    type            = "lb_cookie"
    cookie_duration = 60
  }
}

resource "aws_lb_target_group" "grpc" {
  name             = "grpc"
  protocol         = "HTTP"
  protocol_version = "GRPC"
  port             = 80
  target_type      = "ip"
  vpc_id           = data.aws_vpc.cluster.id
  health_check {
    path    = "/grpc.health.v1.Health/Check"
    matcher = "0-99"
  }
}

resource "aws_lb_target_group" "instances" {
  name_prefix = "ec2-"
  protocol    = "HTTP"
  port        = 80
  vpc_id      = data.aws_vpc.cluster.id
}

resource "aws_lb_listener_rule" "weighted" {
  listener_arn = aws_lb_listener.https.arn
  action {
    type = "forward"
    forward {
      target_group {
        arn    = aws_lb_target_group.gateway.arn
        weight = 90
      }
      target_group {
        arn    = aws_lb_target_group.canary.arn
        weight = 10
      }
      stickiness {
        enabled  = true
        duration = 600
      }
    }
  }
  condition {
    host_header { values = ["*.example.com", "example.org"] }
  }
  condition {
    http_header {
      http_header_name = "X-Canary"
      values           = ["yes"]
    }
  }
  condition {
    query_string {
      key   = "version"
      value = "2"
    }
    query_string { value = "canary" }
  }
}

resource "aws_lb_listener_rule" "moved" {
  listener_arn = aws_lb_listener.https.arn
  priority     = 200
  action {
    type = "redirect"
    redirect {
      host        = "new.example.com"
      path        = "/moved/#{path}"
      query       = "from=#{host}"
      status_code = "HTTP_302"
    }
  }
  condition {
    source_ip { values = ["10.0.0.0/8", "127.0.0.0/8"] }
  }
  condition {
    path_pattern { values = ["/old/*"] }
  }
}

resource "aws_lb_listener_rule" "grpc" {
  listener_arn = aws_lb_listener.https.arn
  priority     = 300
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.grpc.arn
  }
  condition {
    path_pattern { values = ["/shop.Cart/*"] }
  }
}

resource "aws_lb_listener" "tls" {
  load_balancer_arn = aws_lb.inner.arn
  port              = 8443
  protocol          = "TLS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  alpn_policy       = "HTTP2Preferred"
  certificate_arn   = aws_acm_certificate.front.arn
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.tls.arn
  }
}

resource "aws_lb_target_group" "tls" {
  name               = "tls"
  protocol           = "TCP"
  port               = 8443
  target_type        = "ip"
  vpc_id             = data.aws_vpc.cluster.id
  proxy_protocol_v2  = true
  preserve_client_ip = true
  health_check {
    protocol = "HTTP"
    path     = "/ready"
    port     = 8080
  }
  stickiness {
    type    = "source_ip"
    enabled = true
  }
}

resource "aws_lb_listener" "udp" {
  load_balancer_arn = aws_lb.inner.arn
  port              = 53
  protocol          = "TCP_UDP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.dns.arn
  }
}

resource "aws_lb_target_group" "dns" {
  name        = "dns"
  protocol    = "TCP_UDP"
  port        = 53
  target_type = "ip"
  vpc_id      = data.aws_vpc.cluster.id
}

resource "aws_lb" "prefixed" {
  name_prefix  = "pre-"
  internal     = true
  subnets      = [for one in data.aws_subnet.private : one.id]
  enable_http2 = false
}

resource "aws_route53_zone" "this" {
  name = "example.com"
}

resource "aws_route53_record" "shop" {
  zone_id = aws_route53_zone.this.zone_id
  name    = "shop.example.com"
  type    = "A"
  alias {
    name                   = aws_lb.front.dns_name
    zone_id                = aws_lb.front.zone_id
    evaluate_target_health = true
  }
}

resource "aws_acm_certificate" "issued" {
  domain_name               = "issued.example.com"
  subject_alternative_names = ["also.example.com"]
  validation_method         = "DNS"
  lifecycle { create_before_destroy = true }
}

resource "aws_route53_record" "validation" {
  for_each = {
    for one in aws_acm_certificate.issued.domain_validation_options : one.domain_name => one
  }
  allow_overwrite = true
  name            = each.value.resource_record_name
  records         = [each.value.resource_record_value]
  ttl             = 60
  type            = each.value.resource_record_type
  zone_id         = aws_route53_zone.this.zone_id
}

resource "aws_acm_certificate_validation" "issued" {
  certificate_arn         = aws_acm_certificate.issued.arn
  validation_record_fqdns = [for one in aws_route53_record.validation : one.fqdn]
}

resource "aws_wafv2_regex_pattern_set" "this" {
  name  = "patterns"
  scope = "REGIONAL"
  regular_expression { regex_string = "^/admin" }
  regular_expression { regex_string = "secret$" }
}

resource "aws_wafv2_rule_group" "this" {
  name     = "group"
  scope    = "REGIONAL"
  capacity = 100
  rule {
    name     = "patterns"
    priority = 1
    action {
      count {}
    }
    statement {
      regex_pattern_set_reference_statement {
        arn = aws_wafv2_regex_pattern_set.this.arn
        field_to_match {
          single_header { name = "x-path" }
        }
        text_transformation {
          priority = 0
          type     = "LOWERCASE"
        }
      }
    }
    visibility_config {
      cloudwatch_metrics_enabled = false
      metric_name                = "patterns"
      sampled_requests_enabled   = false
    }
  }
  visibility_config {
    cloudwatch_metrics_enabled = false
    metric_name                = "group"
    sampled_requests_enabled   = false
  }
}

resource "aws_wafv2_web_acl" "more" {
  name  = "more"
  scope = "REGIONAL"
  tags  = { a = "b" }
  default_action {
    block {}
  }
  rule {
    name     = "group"
    priority = 0
    override_action {
      none {}
    }
    statement {
      rule_group_reference_statement { arn = aws_wafv2_rule_group.this.arn }
    }
    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "group"
      sampled_requests_enabled   = true
    }
  }
  rule {
    name     = "managed"
    priority = 1
    override_action {
      count {}
    }
    statement {
      managed_rule_group_statement {
        name        = "AWSManagedRulesCommonRuleSet"
        vendor_name = "AWS"
        excluded_rule { name = "SizeRestrictions_BODY" }
      }
    }
    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "managed"
      sampled_requests_enabled   = true
    }
  }
  rule {
    name     = "rate"
    priority = 2
    action {
      block {}
    }
    statement {
      rate_based_statement {
        limit              = 100
        aggregate_key_type = "IP"
        scope_down_statement {
          not_statement {
            statement {
              ip_set_reference_statement { arn = aws_wafv2_ip_set.blocked.arn }
            }
          }
        }
      }
    }
    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "rate"
      sampled_requests_enabled   = true
    }
  }
  rule {
    name     = "allowed"
    priority = 3
    action {
      allow {}
    }
    statement {
      and_statement {
        statement {
          geo_match_statement { country_codes = ["DE", "US"] }
        }
        statement {
          or_statement {
            statement {
              size_constraint_statement {
                comparison_operator = "LT"
                size                = 100
                field_to_match {
                  query_string {}
                }
                text_transformation {
                  priority = 0
                  type     = "NONE"
                }
              }
            }
            statement {
              sqli_match_statement {
                field_to_match {
                  all_query_arguments {}
                }
                text_transformation {
                  priority = 0
                  type     = "URL_DECODE"
                }
                text_transformation {
                  priority = 1
                  type     = "HTML_ENTITY_DECODE"
                }
              }
            }
          }
        }
      }
    }
    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "allowed"
      sampled_requests_enabled   = true
    }
  }
  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = "more"
    sampled_requests_enabled   = true
  }
}

resource "aws_eip" "this" {
  count = 2
  vpc   = true
}

resource "aws_lb" "public" {
  name               = "public"
  load_balancer_type = "network"
  subnet_mapping {
    subnet_id     = data.aws_subnet.public["public-a"].id
    allocation_id = aws_eip.this[0].id
  }
  subnet_mapping {
    subnet_id     = data.aws_subnet.public["public-b"].id
    allocation_id = aws_eip.this[1].id
  }
}

data "aws_eks_cluster" "this" { name = "gatewright" }

data "aws_lb" "front" { arn = aws_lb.front.arn }

data "aws_lb_target_group" "gateway" { name = aws_lb_target_group.gateway.name }

data "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.front.arn
  port              = aws_lb_listener.https.port
}

data "aws_wafv2_web_acl" "front" {
  name  = aws_wafv2_web_acl.front.name
  scope = "REGIONAL"
}

data "aws_acm_certificate" "issued" {
  domain = aws_acm_certificate_validation.issued.certificate_arn == "" ? "" : "issued.example.com"
}

data "aws_availability_zones" "all" {}

data "aws_network_interfaces" "front" {
  filter {
    name   = "description"
    values = ["ELB ${aws_lb.front.arn_suffix}"]
  }
}
