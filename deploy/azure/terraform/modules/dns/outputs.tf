output "zone_id" {
  description = "Resource ID of the zone."
  value       = azurerm_dns_zone.this.id
}

output "name_servers" {
  description = "Its name servers."
  value       = azurerm_dns_zone.this.name_servers
}
