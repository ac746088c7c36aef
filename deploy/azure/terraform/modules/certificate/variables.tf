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

variable "hostnames" {
  description = "The domain and `*.` of it."
  type        = list(string)
}

variable "reader_principal_id" {
  description = "Object ID of the identity that reads the certificate."
  type        = string
}

variable "reader_subnet_id" {
  description = "Resource ID of the subnet from which it is read."
  type        = string
}

variable "authorized_ip_ranges" {
  description = "CIDRs of administrators; empty is everywhere."
  type        = list(string)
}

variable "log_workspace_id" {
  description = "Resource ID of the Log Analytics workspace."
  type        = string
}

variable "tags" {
  description = "Of everything that can have tags."
  type        = map(string)
}
