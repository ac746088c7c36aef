variable "cluster_name" {
  description = "Name of the cluster."
  type        = string
}

variable "partition" {
  description = "Partition of AWS."
  type        = string
}

variable "dns" {
  description = "Whether the controller writes records and requests certificates."
  type        = bool
}
