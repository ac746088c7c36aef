# Provider 3.x can't ask for versions of add-ons: EKS chooses them as they are made.

output "addon_versions" {
  description = "None."
  value       = {}
}
