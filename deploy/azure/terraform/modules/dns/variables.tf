variable "domain" {
  description = "Name of the zone."
  type        = string
}

variable "resource_group" {
  description = "Name of the resource group."
  type        = string
}

variable "address_id" {
  description = "Resource ID of the public address that records lead to."
  type        = string
}

variable "tags" {
  description = "Of everything that can have tags."
  type        = map(string)
}
