output "name" {
  description = "Of the platform."
  value       = var.name
}

output "region" {
  description = "Azure location."
  value       = var.location
}

output "architecture" {
  description = "Always chained: Application Gateway, internal load balancer, Istio's gateway, pods."
  value       = "chained"
}

output "cluster_name" {
  description = "Of the AKS cluster."
  value       = module.cluster.name
}

output "cluster_endpoint" {
  description = "URL of the Kubernetes API."
  value       = module.cluster.endpoint
}

output "cluster_certificate_authority" {
  description = "Base64 of a PEM: who signs the Kubernetes API's certificate."
  value       = module.cluster.certificate_authority
}

output "hostnames" {
  description = "Names that the certificate is for, the domain first."
  value       = local.hostnames
}

output "entry" {
  description = "Public address of the Application Gateway."
  value       = module.entry.address
}

output "resource_group" {
  description = "Of everything but AKS's own nodes."
  value       = azurerm_resource_group.platform.name
}

output "application_gateway" {
  description = "Its name."
  value       = module.entry.name
}

output "entry_certificate" {
  description = "The self-signed certificate that clients see, DER in base64; empty where an own one was given."
  value       = try(module.certificate[0].certificate, "")
}

output "gateway_address" {
  description = "Address of the Gateway's internal load balancer, which its Service asks for."
  value       = local.gateway_address
}

output "gateway_subnet" {
  description = "Name of the subnet that this address is in."
  value       = module.network.gateway_subnet_name
}

output "hosted_zone_id" {
  description = "Resource ID of the DNS zone; empty where none was made."
  value       = try(module.dns[0].zone_id, "")
}

output "name_servers" {
  description = "Name servers of the DNS zone, to which the parent zone has to delegate the domain; none where none was made."
  value       = try(sort(module.dns[0].name_servers), [])
}
