variable "name" {
  description = "Of the platform, its resource group, cluster and Application Gateway."
  type        = string
  default     = "platform"

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$", var.name)) && !strcontains(var.name, "--")
    error_message = "name must have at most 20 lower-case letters, digits and single hyphens, and begin with a letter and not end with a hyphen."
  }
}

variable "location" {
  description = "Azure location with availability zones, as `az account list-locations` names it."
  type        = string
  default     = "westeurope"

  validation {
    condition     = can(regex("^[a-z0-9]+$", var.location))
    error_message = "location must be the short name of a location, such as westeurope."
  }
}

variable "zones" {
  description = "Availability zones of the location over which nodes and the Application Gateway are spread."
  type        = list(string)
  default     = ["1", "2", "3"]

  validation {
    condition     = length(var.zones) >= 2 && length(distinct(var.zones)) == length(var.zones) && alltrue([for zone in var.zones : contains(["1", "2", "3"], zone)])
    error_message = "zones must name two or three different ones of 1, 2 and 3."
  }
}

variable "domain" {
  description = "Name that clients use; the certificate is for it and for `*.` of it."
  type        = string
  default     = "platform.example.com"

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", var.domain))
    error_message = "domain must be a lower-case DNS name of two or more labels, without a wildcard."
  }
}

variable "vnet_cidr" {
  description = "Addresses of the virtual network. Its subnets are computed: a quarter for nodes, a /24-sized part each for the Application Gateway and the Gateway's load balancer."
  type        = string
  default     = "10.20.0.0/16"

  validation {
    condition     = startswith(var.vnet_cidr, "10.") && can(cidrhost(var.vnet_cidr, 0)) && try(tonumber(split("/", var.vnet_cidr)[1]), 0) >= 12 && try(tonumber(split("/", var.vnet_cidr)[1]), 99) <= 18
    error_message = "vnet_cidr must be a CIDR in 10.0.0.0/8 between /12 and /18: pods and Services have 192.168.0.0/16 and 172.16.0.0/16."
  }
}

variable "gateway_address" {
  description = "Address of the Gateway's internal load balancer, fixed beforehand so that the Application Gateway's pool knows it. Empty: the 250th of the gateway subnet, or its last one but five."
  type        = string
  default     = ""

  validation {
    condition     = var.gateway_address == "" || can(cidrhost("${var.gateway_address}/32", 0))
    error_message = "gateway_address must be an IPv4 address or empty."
  }
}

variable "gateway_ca_certificate" {
  description = "PEM of the authority that signs the Gateway's certificate. The Application Gateway trusts only it behind itself."
  type        = string

  validation {
    condition     = can(regex("^-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\\s]+-----END CERTIFICATE-----\\s*$", var.gateway_ca_certificate))
    error_message = "gateway_ca_certificate must be one certificate in PEM."
  }
}

variable "certificate_secret_id" {
  description = "Key Vault's secret ID of the certificate that clients see, for the domain and `*.` of it. Empty: a self-signed one is made in a vault of the platform."
  type        = string
  default     = ""

  validation {
    condition     = var.certificate_secret_id == "" || can(regex("^https://[a-z0-9-]+\\.vault\\.[a-z.]+/secrets/[A-Za-z0-9-]+(/[a-f0-9]*)?$", var.certificate_secret_id))
    error_message = "certificate_secret_id must be like https://VAULT.vault.azure.net/secrets/NAME or empty."
  }
}

variable "certificate_key_vault_id" {
  description = "Resource ID of the vault that certificate_secret_id is in: the Application Gateway's identity may then read its secrets."
  type        = string
  default     = ""

  validation {
    condition     = (var.certificate_key_vault_id == "") == (var.certificate_secret_id == "")
    error_message = "certificate_key_vault_id and certificate_secret_id must be given together."
  }
}

variable "kubernetes_version" {
  description = "Minor version of Kubernetes; patches are installed by AKS."
  type        = string
  default     = "1.35"

  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.kubernetes_version))
    error_message = "kubernetes_version must be a minor version, such as 1.35."
  }
}

variable "system_nodes" {
  description = "Nodes for what the platform itself needs. The size has to have a local disk for the system."
  type = object({
    vm_size = optional(string, "Standard_D4ds_v5")
    min     = optional(number, 3)
    max     = optional(number, 6)
  })
  default = {}

  validation {
    condition     = var.system_nodes.min >= 2 && var.system_nodes.max >= var.system_nodes.min
    error_message = "system_nodes needs min >= 2, so that it survives a node, and max >= min."
  }
}

variable "user_nodes" {
  description = "Nodes for applications. The size has to have a local disk for the system."
  type = object({
    vm_size = optional(string, "Standard_D4ds_v5")
    min     = optional(number, 2)
    max     = optional(number, 10)
  })
  default = {}

  validation {
    condition     = var.user_nodes.min >= 1 && var.user_nodes.max >= var.user_nodes.min
    error_message = "user_nodes needs min >= 1 and max >= min."
  }
}

variable "authorized_ip_ranges" {
  description = "CIDRs from which the Kubernetes API and the platform's key vault are reached. Empty: from anywhere, by whoever can sign in."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for range in var.authorized_ip_ranges : can(cidrhost(range, 0))])
    error_message = "authorized_ip_ranges must be CIDRs."
  }
}

variable "cluster_admin_group_ids" {
  description = "Object IDs of Entra ID groups that administrate the cluster. With some, local accounts are disabled; with none, certificates of local accounts are the only way in."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for group in var.cluster_admin_group_ids : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", group))])
    error_message = "cluster_admin_group_ids must be object IDs (UUIDs, lower case)."
  }
}

variable "ingress_cidrs" {
  description = "CIDRs from which clients may come."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = length(var.ingress_cidrs) > 0 && alltrue([for range in var.ingress_cidrs : can(cidrhost(range, 0))])
    error_message = "ingress_cidrs must be CIDRs, at least one."
  }
}

variable "entry_capacity" {
  description = "Capacity units between which the Application Gateway scales."
  type = object({
    min = optional(number, 2)
    max = optional(number, 10)
  })
  default = {}

  validation {
    condition     = var.entry_capacity.min >= 0 && var.entry_capacity.max >= 2 && var.entry_capacity.max <= 125 && var.entry_capacity.max >= var.entry_capacity.min
    error_message = "entry_capacity needs 0 <= min <= max and 2 <= max <= 125."
  }
}

variable "waf_mode" {
  description = "Prevention refuses what the firewall's rules match; Detection only logs it."
  type        = string
  default     = "Prevention"

  validation {
    condition     = contains(["Prevention", "Detection"], var.waf_mode)
    error_message = "waf_mode must be Prevention or Detection."
  }
}

variable "waf_rate_limit" {
  description = "Requests that one client address may make in a minute."
  type        = number
  default     = 2000

  validation {
    condition     = var.waf_rate_limit >= 1 && var.waf_rate_limit <= 5000
    error_message = "waf_rate_limit must be between 1 and 5000."
  }
}

variable "create_dns_zone" {
  description = "Make a DNS zone for the domain, with records for it and `*.` of it. The parent zone then has to delegate to its name servers."
  type        = bool
  default     = false
}

variable "log_retention_days" {
  description = "Days for which access, firewall and audit logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = var.log_retention_days >= 30 && var.log_retention_days <= 730
    error_message = "log_retention_days must be between 30 and 730."
  }
}

variable "tags" {
  description = "Further tags of everything."
  type        = map(string)
  default     = {}
}
