# A vault with a self-signed certificate for clients, which the Application Gateway reads.

data "azurerm_client_config" "current" {}

locals {
  # Names of vaults are unique in all of Azure and have at most 24 characters. One that was destroyed keeps its name for a
  # week, and comes back in its own location only.
  suffix = substr(sha256("${data.azurerm_client_config.current.subscription_id}/${var.location}/${var.name}"), 0, 6)
  name   = "${trimsuffix(substr(var.name, 0, 17), "-")}-${local.suffix}"
}

resource "azurerm_key_vault" "this" {
  #checkov:skip=CKV_AZURE_109:Denied by default as soon as authorized_ip_ranges says from where it is administrated.
  #checkov:skip=CKV_AZURE_189:The Application Gateway reads it through its subnet's service endpoint, whoever runs Terraform from outside.
  #checkov:skip=CKV2_AZURE_32:A service endpoint of the Application Gateway's subnet takes the place of a private endpoint.
  name                       = local.name
  resource_group_name        = var.resource_group
  location                   = var.location
  tenant_id                  = data.azurerm_client_config.current.tenant_id
  sku_name                   = "standard"
  rbac_authorization_enabled = false
  purge_protection_enabled   = true
  soft_delete_retention_days = 7
  tags                       = var.tags

  network_acls {
    default_action             = length(var.authorized_ip_ranges) > 0 ? "Deny" : "Allow"
    bypass                     = "AzureServices"
    ip_rules                   = var.authorized_ip_ranges
    virtual_network_subnet_ids = [var.reader_subnet_id]
  }

  # Policies, since they hold at once: it takes minutes until a vault knows of a role, and both are used right away.
  access_policy {
    tenant_id               = data.azurerm_client_config.current.tenant_id
    object_id               = data.azurerm_client_config.current.object_id
    certificate_permissions = ["Create", "Delete", "Get", "List", "Recover", "Update"]
  }

  access_policy {
    tenant_id          = data.azurerm_client_config.current.tenant_id
    object_id          = var.reader_principal_id
    secret_permissions = ["Get"]
  }
}

resource "azurerm_key_vault_certificate" "this" {
  name         = "entry"
  key_vault_id = azurerm_key_vault.this.id
  tags         = var.tags

  certificate_policy {
    issuer_parameters {
      name = "Self"
    }

    key_properties {
      exportable = true
      key_type   = "RSA"
      key_size   = 2048
      reuse_key  = false
    }

    lifetime_action {
      action {
        action_type = "AutoRenew"
      }

      trigger {
        days_before_expiry = 30
      }
    }

    secret_properties {
      content_type = "application/x-pkcs12"
    }

    x509_certificate_properties {
      subject            = "CN=${var.hostnames[0]}"
      validity_in_months = 12
      key_usage          = ["digitalSignature", "keyEncipherment"]
      extended_key_usage = ["1.3.6.1.5.5.7.3.1"]

      subject_alternative_names {
        dns_names = var.hostnames
      }
    }
  }
}

resource "azurerm_monitor_diagnostic_setting" "this" {
  name                       = "audit"
  target_resource_id         = azurerm_key_vault.this.id
  log_analytics_workspace_id = var.log_workspace_id

  enabled_log {
    category = "AuditEvent"
  }
}
