# AKS with a pool for the system and one for applications.
#
# Pods have addresses of an overlay: nothing outside reaches one directly, and nothing has to, since the Gateway's
# internal load balancer leads to nodes. Istio's ambient mode works beside Cilium as AKS configures it.

data "azurerm_client_config" "current" {}

resource "azurerm_user_assigned_identity" "cluster" {
  name                = "${var.name}-cluster"
  resource_group_name = var.resource_group
  location            = var.location
  tags                = var.tags
}

# The cluster puts nodes into the one and the Gateway's load balancer into the other, and changes no other network.
resource "azurerm_role_assignment" "network" {
  for_each = { nodes = var.nodes_subnet_id, gateway = var.gateway_subnet_id }

  scope                = each.value
  role_definition_name = "Network Contributor"
  principal_id         = azurerm_user_assigned_identity.cluster.principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_kubernetes_cluster" "this" {
  #checkov:skip=CKV_AZURE_115:The API is public so that it can be deployed to from outside; authorized_ip_ranges and Entra ID say by whom.
  #checkov:skip=CKV_AZURE_117:Nodes' disks are ephemeral and encrypted by the platform's keys; no volume is made here.
  #checkov:skip=CKV_AZURE_172:No secret is mounted from a vault, so the secrets store driver isn't installed.
  #checkov:skip=CKV_AZURE_227:Encryption at the host has to be registered for a subscription before it can be asked for.
  name                              = var.name
  resource_group_name               = var.resource_group
  location                          = var.location
  node_resource_group               = "${var.name}-nodes"
  dns_prefix                        = var.name
  kubernetes_version                = var.kubernetes_version
  sku_tier                          = "Standard"
  automatic_upgrade_channel         = "patch"
  node_os_upgrade_channel           = "NodeImage"
  azure_policy_enabled              = true
  oidc_issuer_enabled               = true
  workload_identity_enabled         = true
  image_cleaner_enabled             = true
  image_cleaner_interval_hours      = 168
  role_based_access_control_enabled = true
  local_account_disabled            = length(var.admin_group_ids) > 0
  tags                              = var.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.cluster.id]
  }

  dynamic "azure_active_directory_role_based_access_control" {
    for_each = length(var.admin_group_ids) > 0 ? [var.admin_group_ids] : []

    content {
      tenant_id              = data.azurerm_client_config.current.tenant_id
      admin_group_object_ids = azure_active_directory_role_based_access_control.value
      azure_rbac_enabled     = true
    }
  }

  dynamic "api_server_access_profile" {
    for_each = length(var.authorized_ip_ranges) > 0 ? [var.authorized_ip_ranges] : []

    # Nodes reach the API at its public address, too, and leave by the NAT gateway, of which AKS doesn't know.
    content {
      authorized_ip_ranges = concat(api_server_access_profile.value, ["${var.egress_address}/32"])
    }
  }

  default_node_pool {
    name                        = "system"
    temporary_name_for_rotation = "systemtmp"
    orchestrator_version        = var.kubernetes_version
    vm_size                     = var.system_nodes.vm_size
    os_disk_type                = "Ephemeral"
    os_sku                      = "AzureLinux"
    zones                       = var.zones
    vnet_subnet_id              = var.nodes_subnet_id
    auto_scaling_enabled        = true
    min_count                   = var.system_nodes.min
    max_count                   = var.system_nodes.max
    max_pods                    = 110
    # The taint CriticalAddonsOnly=true:NoSchedule.
    only_critical_addons_enabled = true
    node_labels                  = { role = "system" }
    tags                         = var.tags

    upgrade_settings {
      max_surge = "33%"
    }
  }

  network_profile {
    network_plugin      = "azure"
    network_plugin_mode = "overlay"
    network_data_plane  = "cilium"
    network_policy      = "cilium"
    pod_cidr            = "192.168.0.0/16"
    service_cidr        = "172.16.0.0/16"
    dns_service_ip      = "172.16.0.10"
    load_balancer_sku   = "standard"
    outbound_type       = "userAssignedNATGateway"
  }

  oms_agent {
    log_analytics_workspace_id      = var.log_workspace_id
    msi_auth_for_monitoring_enabled = true
  }

  depends_on = [azurerm_role_assignment.network]
}

resource "azurerm_kubernetes_cluster_node_pool" "user" {
  #checkov:skip=CKV_AZURE_227:Encryption at the host has to be registered for a subscription before it can be asked for.
  name                        = "user"
  kubernetes_cluster_id       = azurerm_kubernetes_cluster.this.id
  temporary_name_for_rotation = "usertmp"
  mode                        = "User"
  orchestrator_version        = var.kubernetes_version
  vm_size                     = var.user_nodes.vm_size
  os_disk_type                = "Ephemeral"
  os_sku                      = "AzureLinux"
  zones                       = var.zones
  vnet_subnet_id              = var.nodes_subnet_id
  auto_scaling_enabled        = true
  min_count                   = var.user_nodes.min
  max_count                   = var.user_nodes.max
  max_pods                    = 110
  node_labels                 = { role = "user" }
  tags                        = var.tags

  upgrade_settings {
    max_surge = "33%"
  }
}
