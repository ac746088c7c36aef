output "entry_subnet_id" {
  description = "Resource ID of the Application Gateway's subnet, when its rules are in force."
  value       = azurerm_subnet_network_security_group_association.entry.subnet_id
}

output "nodes_subnet_id" {
  description = "Resource ID of the nodes' subnet, when it has a way out."
  value       = azurerm_subnet_nat_gateway_association.nodes.subnet_id
}

output "gateway_subnet_id" {
  description = "Resource ID of the subnet of the Gateway's load balancer."
  value       = azurerm_subnet.gateway.id
}

output "egress_address" {
  description = "Public address that requests of nodes and pods come from."
  value       = azurerm_public_ip.nat.ip_address
}

output "gateway_subnet_name" {
  description = "Name of the subnet of the Gateway's load balancer."
  value       = azurerm_subnet.gateway.name
}
