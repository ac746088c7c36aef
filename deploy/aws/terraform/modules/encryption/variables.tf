variable "name" {
  description = "Name of the platform."
  type        = string
}

variable "account_id" {
  description = "AWS account."
  type        = string
}

variable "partition" {
  description = "Partition of AWS."
  type        = string
}

variable "region" {
  description = "AWS region."
  type        = string
}
