# The names lead to the ALB, by IPv4 as it has no other addresses.

resource "aws_route53_record" "this" {
  for_each = toset(var.names)

  zone_id = var.zone_id
  name    = each.value
  type    = "A"

  alias {
    name                   = var.target.name
    zone_id                = var.target.zone_id
    evaluate_target_health = true
  }
}
