output "policy_id" {
  description = "Resource ID of the policy."
  value       = azurerm_web_application_firewall_policy.this.id
}
