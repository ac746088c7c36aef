locals {
  tags = merge(var.tags, { platform = var.name })

  # As vnet_cidr is at most a /18, these stay at a /26 or larger; the Application Gateway needs that much to scale.
  nodes_cidr   = cidrsubnet(var.vnet_cidr, 2, 1)
  entry_cidr   = cidrsubnet(var.vnet_cidr, 8, 0)
  gateway_cidr = cidrsubnet(var.vnet_cidr, 8, 1)

  # Azure keeps the first four addresses and the last one of a subnet to itself.
  gateway_address = var.gateway_address != "" ? var.gateway_address : cidrhost(local.gateway_cidr, -6)

  hostnames = [var.domain, "*.${var.domain}"]
}

resource "azurerm_resource_group" "platform" {
  name     = var.name
  location = var.location
  tags     = local.tags
}

module "logs" {
  source = "./modules/logs"

  name           = var.name
  resource_group = azurerm_resource_group.platform.name
  location       = var.location
  retention_days = var.log_retention_days
  tags           = local.tags
}

module "network" {
  source = "./modules/network"

  name            = var.name
  resource_group  = azurerm_resource_group.platform.name
  location        = var.location
  vnet_cidr       = var.vnet_cidr
  entry_cidr      = local.entry_cidr
  nodes_cidr      = local.nodes_cidr
  gateway_cidr    = local.gateway_cidr
  gateway_address = local.gateway_address
  ingress_cidrs   = var.ingress_cidrs
  nat_zone        = var.zones[0]
  tags            = local.tags
}

module "cluster" {
  source = "./modules/cluster"

  name                 = var.name
  resource_group       = azurerm_resource_group.platform.name
  location             = var.location
  zones                = var.zones
  kubernetes_version   = var.kubernetes_version
  nodes_subnet_id      = module.network.nodes_subnet_id
  gateway_subnet_id    = module.network.gateway_subnet_id
  system_nodes         = var.system_nodes
  user_nodes           = var.user_nodes
  authorized_ip_ranges = var.authorized_ip_ranges
  egress_address       = module.network.egress_address
  admin_group_ids      = var.cluster_admin_group_ids
  log_workspace_id     = module.logs.workspace_id
  tags                 = local.tags
}

resource "azurerm_user_assigned_identity" "entry" {
  name                = "${var.name}-entry"
  resource_group_name = azurerm_resource_group.platform.name
  location            = var.location
  tags                = local.tags
}

module "certificate" {
  source = "./modules/certificate"
  count  = var.certificate_secret_id == "" ? 1 : 0

  name                 = var.name
  resource_group       = azurerm_resource_group.platform.name
  location             = var.location
  hostnames            = local.hostnames
  reader_principal_id  = azurerm_user_assigned_identity.entry.principal_id
  reader_subnet_id     = module.network.entry_subnet_id
  authorized_ip_ranges = var.authorized_ip_ranges
  log_workspace_id     = module.logs.workspace_id
  tags                 = local.tags
}

resource "azurerm_role_assignment" "certificate" {
  count = var.certificate_secret_id == "" ? 0 : 1

  scope                = var.certificate_key_vault_id
  role_definition_name = "Key Vault Secrets User"
  principal_id         = azurerm_user_assigned_identity.entry.principal_id
  principal_type       = "ServicePrincipal"
}

module "firewall" {
  source = "./modules/firewall"

  name           = var.name
  resource_group = azurerm_resource_group.platform.name
  location       = var.location
  mode           = var.waf_mode
  rate_limit     = var.waf_rate_limit
  tags           = local.tags
}

module "entry" {
  source = "./modules/entry"

  name                   = var.name
  resource_group         = azurerm_resource_group.platform.name
  location               = var.location
  zones                  = var.zones
  capacity               = var.entry_capacity
  subnet_id              = module.network.entry_subnet_id
  identity_id            = azurerm_user_assigned_identity.entry.id
  firewall_policy_id     = module.firewall.policy_id
  hostnames              = local.hostnames
  certificate_secret_id  = var.certificate_secret_id != "" ? var.certificate_secret_id : one(module.certificate[*].secret_id)
  gateway_address        = local.gateway_address
  gateway_ca_certificate = var.gateway_ca_certificate
  log_workspace_id       = module.logs.workspace_id
  tags                   = local.tags

  # It reads the certificate while it is made, so its identity has to be allowed to by then.
  depends_on = [azurerm_role_assignment.certificate]
}

module "dns" {
  source = "./modules/dns"
  count  = var.create_dns_zone ? 1 : 0

  domain         = var.domain
  resource_group = azurerm_resource_group.platform.name
  address_id     = module.entry.address_id
  tags           = local.tags
}
