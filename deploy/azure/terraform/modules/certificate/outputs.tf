output "secret_id" {
  description = "Secret ID without a version, so that the Application Gateway follows renewals."
  value       = azurerm_key_vault_certificate.this.versionless_secret_id
}

output "certificate" {
  description = "The certificate, DER in base64."
  value       = azurerm_key_vault_certificate.this.certificate_data_base64
}
