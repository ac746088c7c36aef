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

variable "vnet_cidr" {
  description = "Addresses of the virtual network."
  type        = string
}

variable "entry_cidr" {
  description = "Addresses of the Application Gateway's subnet."
  type        = string
}

variable "nodes_cidr" {
  description = "Addresses of the nodes' subnet."
  type        = string
}

variable "gateway_cidr" {
  description = "Addresses of the subnet of the Gateway's load balancer."
  type        = string
}

variable "gateway_address" {
  description = "Fixed address of the Gateway's load balancer."
  type        = string
}

variable "ingress_cidrs" {
  description = "CIDRs from which clients may come."
  type        = list(string)
}

variable "nat_zone" {
  description = "Availability zone of the NAT gateway, which is in one zone only."
  type        = string
}

variable "tags" {
  description = "Of everything that can have tags."
  type        = map(string)
}
