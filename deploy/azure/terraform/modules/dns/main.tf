# A zone for the domain, with records that follow the Application Gateway's address.

resource "azurerm_dns_zone" "this" {
  name                = var.domain
  resource_group_name = var.resource_group
  tags                = var.tags
}

resource "azurerm_dns_a_record" "this" {
  for_each = toset(["@", "*"])

  name                = each.value
  zone_name           = azurerm_dns_zone.this.name
  resource_group_name = var.resource_group
  ttl                 = 300
  target_resource_id  = var.address_id
  tags                = var.tags
}
