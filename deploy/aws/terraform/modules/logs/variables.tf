variable "bucket" {
  description = "Name of the bucket, which is unique in the world."
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

variable "retention_days" {
  description = "Days for which logs are kept."
  type        = number
}

variable "force_destroy" {
  description = "Whether the bucket goes with the logs in it."
  type        = bool
}
