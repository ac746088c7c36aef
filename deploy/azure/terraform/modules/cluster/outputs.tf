output "name" {
  description = "Of the cluster, when both of its pools are there."
  value       = azurerm_kubernetes_cluster.this.name
  depends_on  = [azurerm_kubernetes_cluster_node_pool.user]
}

output "endpoint" {
  description = "URL of the Kubernetes API."
  value       = "https://${azurerm_kubernetes_cluster.this.fqdn}:443"
}

output "certificate_authority" {
  description = "Base64 of a PEM: who signs the Kubernetes API's certificate."
  # Public, though it comes in an object that holds credentials.
  value = nonsensitive(azurerm_kubernetes_cluster.this.kube_config[0].cluster_ca_certificate)
}
