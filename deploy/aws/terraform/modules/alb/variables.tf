variable "name" {
  description = "Name of the ALB."
  type        = string
}

variable "vpc_id" {
  description = "ID of the VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Public subnets."
  type        = list(string)
}

variable "security_group_id" {
  description = "Its security group."
  type        = string
}

variable "certificate_arn" {
  description = "An issued certificate of ACM."
  type        = string
}

variable "ssl_policy" {
  description = "Security policy of the HTTPS listener."
  type        = string
}

variable "backend_protocol" {
  description = "HTTPS or HTTP."
  type        = string
}

variable "web_acl_arn" {
  description = "ARN of the web ACL."
  type        = string
}

variable "log_bucket" {
  description = "Bucket for access logs."
  type        = string
}

variable "deletion_protection" {
  description = "Whether it is protected from being deleted."
  type        = bool
}
