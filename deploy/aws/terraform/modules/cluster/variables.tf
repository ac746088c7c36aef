variable "name" {
  description = "Name of the cluster."
  type        = string
}

variable "partition" {
  description = "Partition of AWS."
  type        = string
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets in which the control plane has network interfaces."
  type        = list(string)
}

variable "public_access_cidrs" {
  description = "Networks from which the API can be reached from outside; empty for none."
  type        = list(string)
}

variable "admins" {
  description = "ARNs of those who administer the cluster, besides the one that makes it."
  type        = list(string)
}

variable "key_arn" {
  description = "Key by which Secrets and logs are encrypted."
  type        = string
}

variable "deletion_protection" {
  description = "Whether the cluster is protected from being deleted."
  type        = bool
}
