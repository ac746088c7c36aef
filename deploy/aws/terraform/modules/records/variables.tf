variable "zone_id" {
  description = "Hosted zone."
  type        = string
}

variable "names" {
  description = "Names of records."
  type        = list(string)
}

variable "target" {
  description = "DNS name and hosted zone of the load balancer."
  type        = object({ name = string, zone_id = string })
}
