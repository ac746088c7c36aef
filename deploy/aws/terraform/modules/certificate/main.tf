# The certificate for the domain and the names one level below it, validated by a record in the domain's zone. Both names
# have the same one.

locals {
  names    = [var.domain, "*.${var.domain}"]
  has_zone = var.create_zone || var.zone_id != ""
  zone_id  = var.create_zone ? aws_route53_zone.this[0].zone_id : var.zone_id
  request  = var.certificate_arn == ""
}

resource "aws_route53_zone" "this" {
  #checkov:skip=CKV2_AWS_38:DNSSEC needs a record in the zone above, which is not ours to write
  #checkov:skip=CKV2_AWS_39:who asks for public names is not kept
  count = var.create_zone ? 1 : 0

  name          = var.domain
  comment       = "Names of the platform"
  force_destroy = var.force_destroy
}

resource "aws_acm_certificate" "this" {
  count = local.request ? 1 : 0

  domain_name               = var.domain
  subject_alternative_names = ["*.${var.domain}"]
  validation_method         = "DNS"
  tags                      = { Name = var.domain }

  lifecycle {
    create_before_destroy = true
  }
}

locals {
  validation = one([
    for option in flatten(aws_acm_certificate.this[*].domain_validation_options) : option if option.domain_name == var.domain
  ])
}

resource "aws_route53_record" "validation" {
  count = local.request ? 1 : 0

  zone_id         = local.zone_id
  name            = local.validation.resource_record_name
  type            = local.validation.resource_record_type
  records         = [local.validation.resource_record_value]
  ttl             = 300
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "this" {
  count = local.request ? 1 : 0

  certificate_arn         = aws_acm_certificate.this[0].arn
  validation_record_fqdns = aws_route53_record.validation[*].fqdn
}
