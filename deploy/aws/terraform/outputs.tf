# What later steps need. Both architectures have all outputs; what one lacks is empty.

output "name" {
  description = "Name of the platform."
  value       = var.name
}

output "region" {
  description = "AWS region."
  value       = var.region
}

output "architecture" {
  description = "chained or direct."
  value       = var.architecture
}

output "account_id" {
  description = "AWS account."
  value       = local.account
}

output "cluster_name" {
  description = "Name of the EKS cluster."
  value       = module.cluster.name
}

output "cluster_endpoint" {
  description = "URL of the cluster's API."
  value       = module.cluster.endpoint
}

output "cluster_certificate_authority" {
  description = "Certificate authority of the cluster's API, PEM in base64."
  value       = module.cluster.certificate_authority
}

output "hostnames" {
  description = "Names that the certificate is for, the domain first."
  value       = module.certificate.names
}

output "entry" {
  description = "DNS name of the ALB; empty in the direct architecture, where the controller makes it."
  value       = try(module.alb[0].dns_name, "")
}

output "vpc_id" {
  description = "ID of the VPC."
  value       = module.network.vpc_id
}

output "vpc_cidr" {
  description = "Addresses of the VPC."
  value       = var.vpc_cidr
}

output "public_subnet_ids" {
  description = "IDs of the public subnets, in the order of the zones."
  value       = module.network.public_subnet_ids
}

output "public_subnet_cidrs" {
  description = "Their networks: where the ALB's connections to pods come from."
  value       = local.public_subnet_cidrs
}

output "private_subnet_ids" {
  description = "IDs of the private subnets, in the order of the zones."
  value       = module.network.private_subnet_ids
}

output "controller_role_arn" {
  description = "IAM role of the gatewright controller."
  value       = module.identity.role_arn
}

output "alb_arn" {
  description = "ARN of the ALB; empty in the direct architecture."
  value       = try(module.alb[0].arn, "")
}

output "target_group_arn" {
  description = "ARN of the target group that the HTTPS listener forwards to; empty in the direct architecture."
  value       = try(module.alb[0].target_group_arn, "")
}

output "target_group_name" {
  description = "Its name, which the EdgeBinding gives; empty in the direct architecture."
  value       = try(module.alb[0].target_group_name, "")
}

output "target_group_port" {
  description = "Port at which the Gateway is registered there; 0 in the direct architecture."
  value       = try(module.alb[0].target_group_port, 0)
}

output "web_acl_arn" {
  description = "ARN of the web ACL."
  value       = module.firewall.arn
}

output "certificate_arn" {
  description = "ARN of the issued certificate."
  value       = module.certificate.arn
}

output "access_log_bucket" {
  description = "Bucket for access logs, by the prefix alb."
  value       = module.logs.bucket
}

output "hosted_zone_id" {
  description = "ID of the hosted zone; empty where there is none."
  value       = module.certificate.zone_id
}

output "name_servers" {
  description = "Name servers of the hosted zone that was made here, to be entered in the zone above it; empty where none was made."
  value       = module.certificate.name_servers
}

output "security_group_id" {
  description = "Security group of the ALB, also of the one that the controller makes."
  value       = module.admission.security_group_id
}
