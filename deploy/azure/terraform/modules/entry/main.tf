# The Application Gateway: HTTPS for clients, the firewall, and HTTPS again to the Gateway, whose authority it knows.

resource "azurerm_public_ip" "this" {
  name                = "${var.name}-entry"
  resource_group_name = var.resource_group
  location            = var.location
  allocation_method   = "Static"
  sku                 = "Standard"
  zones               = var.zones
  tags                = var.tags
}

resource "azurerm_application_gateway" "this" {
  #checkov:skip=CKV_AZURE_120:The firewall is the policy of firewall_policy_id, which comes from another module.
  #checkov:skip=CKV_AZURE_217:The HTTP listener only redirects to HTTPS.
  name                              = var.name
  resource_group_name               = var.resource_group
  location                          = var.location
  zones                             = var.zones
  enable_http2                      = true
  firewall_policy_id                = var.firewall_policy_id
  force_firewall_policy_association = true
  tags                              = var.tags

  sku {
    name = "WAF_v2"
    tier = "WAF_v2"
  }

  autoscale_configuration {
    min_capacity = var.capacity.min
    max_capacity = var.capacity.max
  }

  identity {
    type         = "UserAssigned"
    identity_ids = [var.identity_id]
  }

  gateway_ip_configuration {
    name      = "entry"
    subnet_id = var.subnet_id
  }

  frontend_ip_configuration {
    name                 = "public"
    public_ip_address_id = azurerm_public_ip.this.id
  }

  frontend_port {
    name = "http"
    port = 80
  }

  frontend_port {
    name = "https"
    port = 443
  }

  # TLS 1.2 and 1.3 only.
  ssl_policy {
    policy_type = "Predefined"
    policy_name = "AppGwSslPolicy20220101S"
  }

  ssl_certificate {
    name                = "clients"
    key_vault_secret_id = var.certificate_secret_id
  }

  trusted_root_certificate {
    name = "gateway"
    data = base64encode(var.gateway_ca_certificate)
  }

  http_listener {
    name                           = "http"
    frontend_ip_configuration_name = "public"
    frontend_port_name             = "http"
    protocol                       = "Http"
  }

  http_listener {
    name                           = "https"
    frontend_ip_configuration_name = "public"
    frontend_port_name             = "https"
    protocol                       = "Https"
    host_names                     = var.hostnames
    ssl_certificate_name           = "clients"
  }

  redirect_configuration {
    name                 = "https"
    redirect_type        = "Permanent"
    target_listener_name = "https"
    include_path         = true
    include_query_string = true
  }

  backend_address_pool {
    name         = "gateway"
    ip_addresses = [var.gateway_address]
  }

  # Without a host name of its own, a request keeps the one it came with, which is also the name in its TLS handshake
  # with the Gateway and the one that the Gateway's certificate has to be for.
  backend_http_settings {
    name                           = "gateway"
    protocol                       = "Https"
    port                           = 443
    cookie_based_affinity          = "Disabled"
    request_timeout                = 60
    probe_name                     = "gateway"
    trusted_root_certificate_names = ["gateway"]

    connection_draining {
      enabled           = true
      drain_timeout_sec = 60
    }
  }

  probe {
    name                = "gateway"
    protocol            = "Https"
    host                = var.hostnames[0]
    path                = "/healthz/ready"
    interval            = 10
    timeout             = 5
    unhealthy_threshold = 3

    match {
      status_code = ["200"]
    }
  }

  request_routing_rule {
    name                        = "redirect"
    priority                    = 10
    rule_type                   = "Basic"
    http_listener_name          = "http"
    redirect_configuration_name = "https"
  }

  request_routing_rule {
    name                       = "gateway"
    priority                   = 20
    rule_type                  = "Basic"
    http_listener_name         = "https"
    backend_address_pool_name  = "gateway"
    backend_http_settings_name = "gateway"
    rewrite_rule_set_name      = "forwarded"
  }

  # Left alone it writes CLIENT:PORT, which isn't an address to anything behind it.
  rewrite_rule_set {
    name = "forwarded"

    rewrite_rule {
      name          = "client-address"
      rule_sequence = 100

      request_header_configuration {
        header_name  = "X-Forwarded-For"
        header_value = "{var_add_x_forwarded_for_proxy}"
      }
    }
  }
}

resource "azurerm_monitor_diagnostic_setting" "this" {
  name                       = "access"
  target_resource_id         = azurerm_application_gateway.this.id
  log_analytics_workspace_id = var.log_workspace_id

  dynamic "enabled_log" {
    for_each = ["ApplicationGatewayAccessLog", "ApplicationGatewayFirewallLog"]

    content {
      category = enabled_log.value
    }
  }

  enabled_metric {
    category = "AllMetrics"
  }
}
