variable "domain" {
  description = "Name that clients use."
  type        = string
}

variable "certificate_arn" {
  description = "An issued certificate; empty requests one."
  type        = string
}

variable "create_zone" {
  description = "Whether a hosted zone is made for the domain."
  type        = bool
}

variable "zone_id" {
  description = "An existing hosted zone; empty for none."
  type        = string
}

variable "force_destroy" {
  description = "Whether the zone goes with all records in it."
  type        = bool
}
