# What a platform team decides. Everything has a default but the domain's certificate: one of create_hosted_zone,
# hosted_zone_id and certificate_arn has to be given.

variable "name" {
  description = "Name of the platform and of its EKS cluster; names of load balancers, roles and the bucket begin with it."
  type        = string
  default     = "platform"

  validation {
    condition     = can(regex("^[a-z](-?[a-z0-9]){0,19}$", var.name)) && length(var.name) <= 20
    error_message = "name has to be 1 to 20 lower-case letters, digits and single hyphens, beginning with a letter and ending with none."
  }

  validation {
    condition     = !can(regex("^(internal|sg|sthree)-", var.name))
    error_message = "name can't begin with internal-, sg- or sthree-: AWS keeps such names of load balancers, security groups and buckets to itself."
  }
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "us-east-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]+$", var.region))
    error_message = "region has to be a region's code such as eu-central-1."
  }
}

variable "architecture" {
  description = "What stands in front of the pods: `chained` is an ALB made here, an internal NLB and the proxy of the Gateway; `direct` is an ALB that the controller makes of the Gateway."
  type        = string
  default     = "chained"

  validation {
    condition     = contains(["chained", "direct"], var.architecture)
    error_message = "architecture has to be chained or direct."
  }
}

variable "tags" {
  description = "Further tags for everything that is made here."
  type        = map(string)
  default     = {}
}

variable "deletion_protection" {
  description = "Whether the cluster and the ALB are protected from being deleted. To destroy the platform, apply with false first."
  type        = bool
  default     = true
}

variable "force_destroy" {
  description = "Whether destroying the platform deletes access logs and records that others have put into the hosted zone made here, too."
  type        = bool
  default     = false
}

# Layer 1: the network

variable "vpc_cidr" {
  description = "Addresses of the VPC; from /16 to /20."
  type        = string
  default     = "10.0.0.0/16"

  validation {
    condition     = try(cidrsubnet(var.vpc_cidr, 0, 0) == var.vpc_cidr && tonumber(split("/", var.vpc_cidr)[1]) >= 16 && tonumber(split("/", var.vpc_cidr)[1]) <= 20, false)
    error_message = "vpc_cidr has to be an IPv4 network from /16 to /20, written with its first address."
  }
}

variable "zones" {
  description = "Availability zones, two to six; empty takes the region's first two."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.zones) == 0 || length(distinct(var.zones)) == length(var.zones) && length(var.zones) >= 2 && length(var.zones) <= 6
    error_message = "zones has to be empty, or two to six different availability zones: an ALB and EKS need two."
  }
}

variable "public_subnet_cidrs" {
  description = "Networks of the public subnets, one a zone; empty computes them."
  type        = list(string)
  default     = []

  validation {
    condition     = contains([0, length(var.zones)], length(var.public_subnet_cidrs)) && alltrue([for one in var.public_subnet_cidrs : can(cidrhost(one, 0))])
    error_message = "public_subnet_cidrs has to be empty, or one IPv4 network for each of zones, in the same order."
  }
}

variable "private_subnet_cidrs" {
  description = "Networks of the private subnets, where nodes and pods are, one a zone; empty computes them."
  type        = list(string)
  default     = []

  validation {
    condition     = contains([0, length(var.zones)], length(var.private_subnet_cidrs)) && alltrue([for one in var.private_subnet_cidrs : can(cidrhost(one, 0))])
    error_message = "private_subnet_cidrs has to be empty, or one IPv4 network for each of zones, in the same order."
  }
}

variable "single_nat_gateway" {
  description = "One NAT gateway for all zones, which is cheaper, instead of one a zone, which survives the loss of a zone."
  type        = bool
  default     = false
}

# Layer 2: the cluster

variable "kubernetes_version" {
  description = "Minor version of Kubernetes."
  type        = string
  default     = "1.35"

  validation {
    condition     = can(regex("^1\\.(3[3-9]|[4-9][0-9])$", var.kubernetes_version))
    error_message = "kubernetes_version has to be a minor version such as 1.35, and 1.33 at the least: Istio and the add-ons are of that time."
  }
}

variable "cluster_public_access_cidrs" {
  description = "Networks from which the cluster's API can be reached from outside; empty leaves it to the VPC alone."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = alltrue([for one in var.cluster_public_access_cidrs : can(cidrhost(one, 0))])
    error_message = "cluster_public_access_cidrs has to be a list of networks such as 203.0.113.0/24."
  }
}

variable "cluster_admins" {
  description = "ARNs of IAM roles and users that administer the cluster, besides the one that makes it."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for one in var.cluster_admins : can(regex("^arn:[^:]+:iam::[0-9]{12}:(role|user)/.+$", one))])
    error_message = "cluster_admins has to be a list of ARNs of IAM roles or users."
  }
}

variable "system_nodes" {
  description = "Nodes for what the platform itself runs: tainted CriticalAddonsOnly, labelled role=system. Of types with x86-64 processors."
  type        = object({ instance_types = list(string), min = number, max = number, desired = number })
  default     = { instance_types = ["m7i.large"], min = 2, max = 4, desired = 2 }

  validation {
    condition     = length(var.system_nodes.instance_types) > 0 && var.system_nodes.min >= 1 && var.system_nodes.min <= var.system_nodes.desired && var.system_nodes.desired <= var.system_nodes.max
    error_message = "system_nodes needs an instance type, and 1 <= min <= desired <= max."
  }
}

variable "user_nodes" {
  description = "Nodes for applications: no taint, labelled role=user. Of types with x86-64 processors."
  type        = object({ instance_types = list(string), min = number, max = number, desired = number })
  default     = { instance_types = ["m7i.large"], min = 2, max = 10, desired = 2 }

  validation {
    condition     = length(var.user_nodes.instance_types) > 0 && var.user_nodes.min >= 1 && var.user_nodes.min <= var.user_nodes.desired && var.user_nodes.desired <= var.user_nodes.max
    error_message = "user_nodes needs an instance type, and 1 <= min <= desired <= max."
  }
}

# Layer 2: the front

variable "domain" {
  description = "Name that clients use; the certificate is for it and for all names one level below it."
  type        = string
  default     = "platform.example.com"

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,63}$", var.domain))
    error_message = "domain has to be a name in lower case with a dot in it, such as platform.example.com."
  }
}

variable "create_hosted_zone" {
  description = "Make a public hosted zone for the domain. Its name servers (aws route53 get-hosted-zone) have to be entered in the zone above it while this is applied, which waits for it: the certificate is validated by it."
  type        = bool
  default     = false
}

variable "hosted_zone_id" {
  description = "An existing public hosted zone that holds the domain, for the records and the certificate's validation; empty for none."
  type        = string
  default     = ""

  validation {
    condition     = var.hosted_zone_id == "" || can(regex("^Z[A-Z0-9]+$", var.hosted_zone_id))
    error_message = "hosted_zone_id has to be empty, or an ID such as Z0123456789ABC, without /hostedzone/."
  }

  validation {
    condition     = var.hosted_zone_id == "" || !var.create_hosted_zone
    error_message = "Give hosted_zone_id or create_hosted_zone, not both."
  }
}

variable "certificate_arn" {
  description = "An issued certificate of ACM in this region to be used instead of requesting one; empty requests one."
  type        = string
  default     = ""

  validation {
    condition     = var.certificate_arn == "" || can(regex("^arn:[^:]+:acm:[^:]+:[0-9]{12}:certificate/.+$", var.certificate_arn))
    error_message = "certificate_arn has to be empty, or the ARN of a certificate in ACM."
  }

  validation {
    condition     = var.certificate_arn != "" || var.hosted_zone_id != "" || var.create_hosted_zone
    error_message = "HTTPS needs an issued certificate: give certificate_arn, or hosted_zone_id or create_hosted_zone, with which one is requested and validated."
  }
}

variable "ingress_cidrs" {
  description = "IPv4 networks of clients."
  type        = list(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = length(var.ingress_cidrs) > 0 && alltrue([for one in var.ingress_cidrs : can(cidrhost(one, 0))])
    error_message = "ingress_cidrs has to be a list of at least one IPv4 network such as 203.0.113.0/24."
  }
}

variable "backend_protocol" {
  description = "What the ALB speaks to the Gateway: HTTPS on port 443, or HTTP on port 80. A change makes another target group: clients get 503 until the EdgeBinding has followed."
  type        = string
  default     = "HTTPS"

  validation {
    condition     = contains(["HTTPS", "HTTP"], var.backend_protocol)
    error_message = "backend_protocol has to be HTTPS or HTTP."
  }
}

variable "ssl_policy" {
  description = "Security policy of the HTTPS listener, with TLS 1.3."
  type        = string
  default     = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"

  validation {
    condition     = can(regex("^ELBSecurityPolicy-TLS13-1-[23]-", var.ssl_policy))
    error_message = "ssl_policy has to be one with TLS 1.3 and nothing below TLS 1.2: ELBSecurityPolicy-TLS13-1-2-... or ELBSecurityPolicy-TLS13-1-3-...."
  }
}

variable "access_log_retention_days" {
  description = "Days for which access logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = var.access_log_retention_days >= 1 && floor(var.access_log_retention_days) == var.access_log_retention_days
    error_message = "access_log_retention_days has to be a whole number of days, 1 at the least."
  }
}

variable "web_acl_mode" {
  description = "Block refuses what AWS's managed rules match, as bodies of more than 8 KB; Count only logs it, to see beforehand what applications would lose."
  type        = string
  default     = "Block"

  validation {
    condition     = contains(["Block", "Count"], var.web_acl_mode)
    error_message = "web_acl_mode has to be Block or Count."
  }
}

variable "web_acl_rate_limit" {
  description = "Requests in five minutes from one address above which the web ACL blocks it."
  type        = number
  default     = 10000

  validation {
    condition     = var.web_acl_rate_limit >= 10 && var.web_acl_rate_limit <= 2000000000
    error_message = "web_acl_rate_limit has to be from 10 to 2000000000."
  }
}
