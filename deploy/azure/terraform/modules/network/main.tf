# A virtual network with three subnets: where clients come in, where nodes are, where the Gateway's load balancer is.

resource "azurerm_virtual_network" "this" {
  name                = var.name
  resource_group_name = var.resource_group
  location            = var.location
  address_space       = [var.vnet_cidr]
  tags                = var.tags
}

resource "azurerm_subnet" "entry" {
  name                 = "${var.name}-entry"
  resource_group_name  = var.resource_group
  virtual_network_name = azurerm_virtual_network.this.name
  address_prefixes     = [var.entry_cidr]
  service_endpoints    = ["Microsoft.KeyVault"]
}

resource "azurerm_subnet" "nodes" {
  name                            = "${var.name}-nodes"
  resource_group_name             = var.resource_group
  virtual_network_name            = azurerm_virtual_network.this.name
  address_prefixes                = [var.nodes_cidr]
  default_outbound_access_enabled = false
}

resource "azurerm_subnet" "gateway" {
  name                            = "${var.name}-gateway"
  resource_group_name             = var.resource_group
  virtual_network_name            = azurerm_virtual_network.this.name
  address_prefixes                = [var.gateway_cidr]
  default_outbound_access_enabled = false

  lifecycle {
    precondition {
      # Azure keeps the first four addresses and the last one of a subnet to itself.
      condition = (
        cidrhost("${var.gateway_address}/${split("/", var.gateway_cidr)[1]}", 0) == cidrhost(var.gateway_cidr, 0)
        && !contains([for index in [0, 1, 2, 3, -1] : cidrhost(var.gateway_cidr, index)], var.gateway_address)
      )
      error_message = "gateway_address ${var.gateway_address} must be in the gateway subnet ${var.gateway_cidr} and not one of its first four addresses or its last one."
    }
  }
}

# Nodes have no public addresses; this is how they reach registries and Azure.
resource "azurerm_public_ip" "nat" {
  name                = "${var.name}-nat"
  resource_group_name = var.resource_group
  location            = var.location
  allocation_method   = "Static"
  sku                 = "Standard"
  zones               = [var.nat_zone]
  tags                = var.tags
}

resource "azurerm_nat_gateway" "this" {
  name                = var.name
  resource_group_name = var.resource_group
  location            = var.location
  sku_name            = "Standard"
  zones               = [var.nat_zone]
  tags                = var.tags
}

resource "azurerm_nat_gateway_public_ip_association" "this" {
  nat_gateway_id       = azurerm_nat_gateway.this.id
  public_ip_address_id = azurerm_public_ip.nat.id
}

resource "azurerm_subnet_nat_gateway_association" "nodes" {
  subnet_id      = azurerm_subnet.nodes.id
  nat_gateway_id = azurerm_nat_gateway.this.id

  # AKS asks for a way out that works as soon as it joins the subnet.
  depends_on = [azurerm_nat_gateway_public_ip_association.this]
}
