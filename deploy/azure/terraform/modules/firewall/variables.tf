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

variable "mode" {
  description = "Prevention or Detection."
  type        = string
}

variable "rate_limit" {
  description = "Requests that one client address may make in a minute."
  type        = number
}

variable "tags" {
  description = "Of everything that can have tags."
  type        = map(string)
}
