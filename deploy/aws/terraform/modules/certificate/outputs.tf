output "names" {
  description = "Names that the certificate is for, the domain first."
  value       = local.names
}

output "arn" {
  description = "ARN of the certificate, once it is issued."
  value       = local.request ? aws_acm_certificate_validation.this[0].certificate_arn : var.certificate_arn
}

output "has_zone" {
  description = "Whether there is a hosted zone."
  value       = local.has_zone
}

output "zone_id" {
  description = "ID of the hosted zone; empty for none."
  value       = local.zone_id
}

output "name_servers" {
  description = "Name servers of the zone made here; empty where none was made."
  value       = flatten(aws_route53_zone.this[*].name_servers)
}
