variable "name" {
  description = "Name of the platform."
  type        = string
}

variable "vpc_id" {
  description = "ID of the VPC."
  type        = string
}

variable "vpc_cidr" {
  description = "Addresses of the VPC."
  type        = string
}

variable "ingress_cidrs" {
  description = "Networks of clients."
  type        = list(string)
}

variable "cluster_security_group_id" {
  description = "Security group of the nodes."
  type        = string
}

variable "through_gateway" {
  description = "Whether requests come by an NLB and the Gateway's proxy, or from the ALB to the pods."
  type        = bool
}

variable "gateway_ports" {
  description = "TCP ports of the Gateway's proxy."
  type        = list(number)
}

variable "gateway_cidrs" {
  description = "Networks of those that connect to the Gateway's proxy."
  type        = list(string)
}
