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

variable "kubernetes_version" {
  description = "Minor version of Kubernetes."
  type        = string
}

variable "nodes_subnet_id" {
  description = "Resource ID of the nodes' subnet."
  type        = string
}

variable "gateway_subnet_id" {
  description = "Resource ID of the subnet of the Gateway's load balancer."
  type        = string
}

variable "system_nodes" {
  description = "Size and number of the system's nodes."
  type        = object({ vm_size = string, min = number, max = number })
}

variable "user_nodes" {
  description = "Size and number of the applications' nodes."
  type        = object({ vm_size = string, min = number, max = number })
}

variable "authorized_ip_ranges" {
  description = "CIDRs of administrators; empty is everywhere."
  type        = list(string)
}

variable "egress_address" {
  description = "Public address that the nodes' requests come from."
  type        = string
}

variable "admin_group_ids" {
  description = "Object IDs of Entra ID groups that administrate the cluster."
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
