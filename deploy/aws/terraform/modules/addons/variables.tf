variable "cluster_name" {
  description = "Name of the cluster."
  type        = string
}

variable "versions" {
  description = "Versions by the add-ons' names."
  type        = map(string)
}

variable "addons" {
  description = "Configuration values by the add-ons' names, by each add-on's own schema (aws eks describe-addon-configuration)."
  type        = any
}
