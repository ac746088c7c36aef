output "secret_id" {
  description = "Secret ID without a version, so that the Application Gateway follows renewals."
  value       = azurerm_key_vault_certificate.this.versionless_secret_id
}
