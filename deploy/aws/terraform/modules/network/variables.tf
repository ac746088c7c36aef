variable "name" {
  description = "Name of the platform and its cluster."
  type        = string
}

variable "vpc_cidr" {
  description = "Addresses of the VPC."
  type        = string
}

variable "zones" {
  description = "Availability zones."
  type        = list(string)
}

variable "public_subnet_cidrs" {
  description = "Networks of the public subnets, in the order of the zones."
  type        = list(string)
}

variable "private_subnet_cidrs" {
  description = "Networks of the private subnets, in the order of the zones."
  type        = list(string)
}

variable "single_nat_gateway" {
  description = "One NAT gateway for all zones."
  type        = bool
}

variable "partition" {
  description = "Partition of AWS."
  type        = string
}

variable "log_bucket" {
  description = "Bucket for flow logs of refused connections."
  type        = string
}
