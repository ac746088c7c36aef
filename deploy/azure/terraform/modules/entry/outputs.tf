output "name" {
  description = "Of the Application Gateway."
  value       = azurerm_application_gateway.this.name
}

output "address" {
  description = "Public IPv4 address."
  value       = azurerm_public_ip.this.ip_address
}

output "address_id" {
  description = "Resource ID of the public address."
  value       = azurerm_public_ip.this.id
}
