variable "name" {
  description = "Of the platform; names of what is made begin with it."
  type        = string
}

variable "resource_group" {
  description = "Name of the resource group."
  type        = string
}

variable "location" {
  description = "Azure location."
  type        = string
}

variable "zones" {
  description = "Availability zones."
  type        = list(string)
}

variable "capacity" {
  description = "Capacity units between which it scales."
  type        = object({ min = number, max = number })
}

variable "subnet_id" {
  description = "Resource ID of its subnet."
  type        = string
}

variable "identity_id" {
  description = "Resource ID of the identity by which it reads the certificate."
  type        = string
}

variable "firewall_policy_id" {
  description = "Resource ID of the web application firewall's policy."
  type        = string
}

variable "hostnames" {
  description = "The domain and `*.` of it."
  type        = list(string)
}

variable "certificate_secret_id" {
  description = "Key Vault's secret ID of the certificate that clients see."
  type        = string
}

variable "gateway_address" {
  description = "Fixed address of the Gateway's load balancer."
  type        = string
}

variable "gateway_ca_certificate" {
  description = "PEM of the authority that signs the Gateway's certificate."
  type        = string
}

variable "log_workspace_id" {
  description = "Resource ID of the Log Analytics workspace."
  type        = string
}

variable "tags" {
  description = "Of everything that can have tags."
  type        = map(string)
}
