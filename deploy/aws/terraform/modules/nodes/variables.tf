variable "cluster_name" {
  description = "Name of the cluster."
  type        = string
}

variable "partition" {
  description = "Partition of AWS."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets."
  type        = list(string)
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes: the cluster's, which nodes don't take over by themselves."
  type        = string
}

variable "groups" {
  description = "Node groups by their names, which are also the values of the nodes' label `role`."
  type = map(object({
    instance_types = list(string)
    min            = number
    max            = number
    desired        = number
    taints         = list(object({ key = string, value = string, effect = string }))
  }))
}
