# Who may talk to whom. Azure's own rules, which these come before, let the virtual network talk to itself.

resource "azurerm_network_security_group" "entry" {
  name                = "${var.name}-entry"
  resource_group_name = var.resource_group
  location            = var.location
  tags                = var.tags

  #checkov:skip=CKV_AZURE_160:Port 80 only redirects to HTTPS.
  security_rule {
    name                       = "clients"
    description                = "HTTP, which is redirected, and HTTPS."
    priority                   = 100
    direction                  = "Inbound"
    access                     = "Allow"
    protocol                   = "Tcp"
    source_address_prefixes    = var.ingress_cidrs
    source_port_range          = "*"
    destination_address_prefix = "*"
    destination_port_ranges    = ["80", "443"]
  }

  # An Application Gateway v2 doesn't start without these two.
  security_rule {
    name                       = "management"
    description                = "Azure's management of the Application Gateway."
    priority                   = 110
    direction                  = "Inbound"
    access                     = "Allow"
    protocol                   = "Tcp"
    source_address_prefix      = "GatewayManager"
    source_port_range          = "*"
    destination_address_prefix = "*"
    destination_port_range     = "65200-65535"
  }

  security_rule {
    name                       = "load-balancer"
    description                = "Probes of Azure's load balancer in front of its instances."
    priority                   = 120
    direction                  = "Inbound"
    access                     = "Allow"
    protocol                   = "*"
    source_address_prefix      = "AzureLoadBalancer"
    source_port_range          = "*"
    destination_address_prefix = "*"
    destination_port_range     = "*"
  }
}

resource "azurerm_network_security_group" "nodes" {
  name                = "${var.name}-nodes"
  resource_group_name = var.resource_group
  location            = var.location
  tags                = var.tags

  # To a packet for the Gateway's load balancer this is what it meets: its destination still is that load balancer.
  security_rule {
    name                       = "entry"
    description                = "The Application Gateway reaches the Gateway, by HTTPS."
    priority                   = 100
    direction                  = "Inbound"
    access                     = "Allow"
    protocol                   = "Tcp"
    source_address_prefix      = var.entry_cidr
    source_port_range          = "*"
    destination_address_prefix = "${var.gateway_address}/32"
    destination_port_range     = "443"
  }

  security_rule {
    name                       = "entry-elsewhere"
    description                = "The Application Gateway reaches nothing else."
    priority                   = 110
    direction                  = "Inbound"
    access                     = "Deny"
    protocol                   = "*"
    source_address_prefix      = var.entry_cidr
    source_port_range          = "*"
    destination_address_prefix = "*"
    destination_port_range     = "*"
  }
}

resource "azurerm_network_security_group" "gateway" {
  name                = "${var.name}-gateway"
  resource_group_name = var.resource_group
  location            = var.location
  tags                = var.tags
}

resource "azurerm_subnet_network_security_group_association" "entry" {
  subnet_id                 = azurerm_subnet.entry.id
  network_security_group_id = azurerm_network_security_group.entry.id
}

resource "azurerm_subnet_network_security_group_association" "nodes" {
  subnet_id                 = azurerm_subnet.nodes.id
  network_security_group_id = azurerm_network_security_group.nodes.id
}

resource "azurerm_subnet_network_security_group_association" "gateway" {
  subnet_id                 = azurerm_subnet.gateway.id
  network_security_group_id = azurerm_network_security_group.gateway.id
}
