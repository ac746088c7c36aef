# Where access, firewall and audit logs are kept.

resource "azurerm_log_analytics_workspace" "this" {
  name                = "${var.name}-logs" # names of workspaces have four characters at the least
  resource_group_name = var.resource_group
  location            = var.location
  sku                 = "PerGB2018"
  retention_in_days   = var.retention_days
  tags                = var.tags
}
